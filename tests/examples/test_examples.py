"""Every example runs and prints what its first lines promise."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = {"demo.py": 140}
PROMISED = {
    "demo.py": [
        "came first, of 9",
        "cut at the model's 2048 tokens",
        "tokens/s",
        "rerank",
        "Next:",
    ],
    "01_embed_and_compare.py": ["similarity of the first text", "alone or in a batch"],
    "02_rerank.py": ["Why there are two tides a day"],
    "03_use_the_bare_model.py": ["2 sequences of (5, 7) tokens -> states (12, 384)", "cosine"],
}


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


@pytest.mark.parametrize("name", PROMISED)
def test_an_example_prints_what_it_promises(name: str) -> None:
    result = run(name)
    assert result.returncode == 0, result.stderr
    missing = [part for part in PROMISED[name] if part not in result.stdout]
    assert missing == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= MAX_LINES.get(path.name, 60)
