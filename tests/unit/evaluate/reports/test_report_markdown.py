"""Markdown shows every number of a report, and nothing of its texts is taken for Markdown."""

import re
from dataclasses import replace

import pytest

from mgte.evaluate.records import Report
from mgte.evaluate.reports.markdown import cell, report_markdown, write_markdown
from mgte.evaluate.reports.rows import report_rows


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_result_is_a_line_with_its_value(report):
    rows = {(row[0], row[1]): row[3] for row in table_rows(report_markdown(report)) if len(row) > 5}
    for row in report_rows(report):
        shown = rows[row.task, row.variant].replace(",", "")
        assert float(shown) == pytest.approx(row.value, rel=1e-4, abs=5e-4)


def test_tables_have_as_many_cells_in_every_line(report):
    text = report_markdown(report)
    for block in text.split("\n\n"):
        widths = {len(row) for row in table_rows(block)}
        assert len(widths) <= 1


def test_texts_stay_texts(report, hostile):
    text = report_markdown(report)
    assert "<script" not in text
    assert "\\| \\`code\\`" in text
    assert cell("a\nb | c") == "a b \\| c"


def test_published_numbers_have_numbered_sources(report):
    text = report_markdown(report)
    assert (
        "| scifact | bm25 | nDCG@10 | 0.500 | 0.450 to 0.550 | 300 | 0.665 | -0.165 | (1)" in text
    )
    assert "1. BEIR paper (arXiv 2104.08663), table 2:" in text


def test_truncation_failures_and_settings_are_told(report):
    text = report_markdown(report)
    for words in ("## Texts that were cut", "## Tasks that failed", "ntrex128", "| seed | 0 |"):
        assert words in text


def test_the_file_is_utf_8_whatever_the_texts_hold(report, tmp_path):
    write_markdown(report, tmp_path / "report.md")
    assert "?" in (tmp_path / "report.md").read_text("utf-8")


def test_a_report_without_results_is_no_error():
    text = report_markdown(Report(model="m"))
    assert text.startswith("# Evaluation of m\n")
    assert "0 results" in text


def test_columns_of_published_numbers_stand_only_where_there_are_any(make_result):
    mine = Report(model="m", results=(make_result("mine"),))
    assert "published" not in report_markdown(mine)
    known = replace(mine, results=(make_result("scifact", "bm25"),))
    assert "published" in report_markdown(known)
