"""Write the list of files in ARCHITECTURE.md from the first sentence of every module docstring.

Run by `make fmt`; a test in tests/docs says when it is out of date.
"""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "ARCHITECTURE.md"
PACKAGE = REPOSITORY / "src" / "mgte"
START, END = "<!-- rooms: written by docs/room_map.py -->", "<!-- end of rooms -->"
# From the lowest floor up.
ROOMS = (
    "",
    "kernels",
    "text",
    "packing",
    "model",
    "store",
    "inference",
    "data",
    "losses",
    "search",
    "train",
    "evaluate",
    "cli",
)


def first_sentence(path: Path) -> str:
    """First sentence of the module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n", 1)[0].split())
    return re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0]


def room_lines(room: str) -> list[str]:
    """Heading and one line per file of a room."""
    folder = PACKAGE / room
    paths = sorted(folder.glob("*.py") if not room else folder.rglob("*.py"))
    if room:
        start = folder / "__init__.py"
        lines = [f"**`{room}/`** {first_sentence(start)}", ""]
        paths = [path for path in paths if path != start]
    else:
        lines = ["**`mgte/`**", ""]
    for path in paths:
        lines.append(f"* `{path.relative_to(folder)}`: {first_sentence(path)}")
    return [*lines, ""]


def room_map() -> str:
    """The whole section between the two marks.

    Raises:
        ValueError: A package stands in no place of `ROOMS`.
    """
    missing = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - set(ROOMS)
    if missing:
        raise ValueError(f"ROOMS lacks {sorted(missing)}")
    lines = [line for room in ROOMS for line in room_lines(room)]
    return "\n".join([START, "", *lines, END])


def with_room_map(page: str) -> str:
    """The page with its section replaced."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + room_map() + after


if __name__ == "__main__":
    PAGE.write_text(with_room_map(PAGE.read_text("utf-8")), encoding="utf-8")
