"""Writing for people and programs: data to standard output, words to standard error."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SNIPPET_CHARACTERS = 80
_NUM_NAMED = 3


def say(text: str) -> None:
    """A line of words for the person who watches."""
    sys.stderr.write(text + "\n")


def write_line(text: str) -> None:
    """A line of data."""
    sys.stdout.write(text + "\n")


def write_json(value: Any) -> None:
    """One JSON value on one line."""
    write_line(json.dumps(value, ensure_ascii=False, default=_plain))


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Aligned columns of plain Python values; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *cells]) for i in range(len(header))]
    is_number = [all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    for row in [list(header), *cells]:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ]
        write_line("  ".join(padded).rstrip())


def snippet(text: str, width: int = SNIPPET_CHARACTERS) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 4 * width].split())
    return line if len(line) <= width else line[: width - 1] + "…"


def report_truncation(
    is_truncated: "np.ndarray[Any, np.dtype[np.bool_]]",
    count_dropped: Callable[[int], int],
    names: Sequence[str],
    max_length: int,
) -> None:
    """Say how many texts were cut, and of the first ones by how much.

    Args:
        is_truncated: Whether tokens of each text were dropped.
        count_dropped: Counts the dropped tokens of one text.
        names: What each text is called.
        max_length: Where they were cut.
    """
    cut = is_truncated.nonzero()[0].tolist()
    if not cut:
        return
    first = ", ".join(f"{names[i]} (-{count_dropped(i):,} tokens)" for i in cut[:_NUM_NAMED])
    more = ", …" if len(cut) > _NUM_NAMED else ""
    say(f"cut to {max_length:,} tokens: {len(cut):,} of {len(is_truncated):,} texts: {first}{more}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell == "-" or (cell[:1] == "-" and cell[1:2].isdigit())


def _plain(value: Any) -> Any:
    """What `json` does not know by itself."""
    import numpy as np

    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")
