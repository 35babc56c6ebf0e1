"""Some pairs of every source, among which `mgte mine` looks for hard negatives.

    python recipes/nano/sample_pairs.py nano-data/pairs --rows 1500 --out nano-data/mining

Sources that hold translations or sentences of equal meaning are left out: they have no answers.
"""

import argparse
import random
from pathlib import Path

LEFT_OUT = ("classical-zh", "java-cs", "jsts", "korsts", "lv-en", "quran", "tldr-translated")


def main() -> None:
    """Read the files of pairs, and write a sample of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs", type=Path, help="folder of JSONL files, one per source")
    parser.add_argument("--rows", type=int, default=1500, help="pairs of a source at most")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(given.pairs.glob("*.jsonl")):
        if path.stem not in LEFT_OUT:
            rows = path.read_text("utf-8").splitlines()
            drawn = random.Random(path.stem).sample(rows, min(given.rows, len(rows)))
            (given.out / path.name).write_text("\n".join(drawn) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
