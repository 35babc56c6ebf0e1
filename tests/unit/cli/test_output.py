import json

import numpy as np
import pytest

from mgte.cli.output import report_truncation, snippet, write_json, write_table


def test_numbers_stand_to_the_right_and_words_to_the_left(capsys) -> None:
    write_table(("name", "count"), [("a", 7), ("longer", 12345)])
    assert capsys.readouterr().out == "name     count\na            7\nlonger  12,345\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.25, "0.2500"), (2e-5, "2.0e-05"), (None, "-"), (True, "yes"), (0.0, "0.0000")],
)
def test_cells_are_readable(value: object, shown: str, capsys) -> None:
    write_table(("value",), [(value,)])
    assert capsys.readouterr().out.splitlines()[1].strip() == shown


def test_json_is_one_line_of_plain_values(capsys) -> None:
    write_json({"a": np.float32(0.5), "b": np.arange(2), "c": "ü"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": 0.5, "b": [0, 1], "c": "ü"}
    assert "ü" in out


def test_a_snippet_is_one_line_of_at_most_its_width() -> None:
    assert snippet("a\n b\tc", 10) == "a b c"
    assert snippet("x" * 30, 10) == "x" * 9 + "…"


def test_nothing_is_said_when_nothing_was_cut(capsys) -> None:
    report_truncation(np.zeros(3, dtype=bool), lambda index: 1 // 0, ["a", "b", "c"], 8)
    assert capsys.readouterr() == ("", "")


def test_the_first_cut_texts_are_named_with_what_they_lost(capsys) -> None:
    names = [f"text {i}" for i in range(6)]
    is_cut = np.array([False, True, True, True, True, True])
    report_truncation(is_cut, lambda index: 1000 * index, names, 512)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cut to 512 tokens: 5 of 6 texts" in captured.err
    assert "text 1 (-1,000 tokens)" in captured.err
    assert "text 3 (-3,000 tokens), …" in captured.err
    assert "text 4" not in captured.err


def test_the_formats_of_the_options_are_those_of_the_readers() -> None:
    from mgte.cli.reading import FORMAT_NAMES
    from mgte.text import FORMATS

    assert set(FORMAT_NAMES) == set(FORMATS.values())
