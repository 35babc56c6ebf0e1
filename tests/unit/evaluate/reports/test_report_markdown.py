"""Markdown shows every number of a report, and nothing of its texts is taken for Markdown."""

import re
from dataclasses import replace

import pytest

from mgte.evaluate.records import Report
from mgte.evaluate.reports.curves import is_of_curve
from mgte.evaluate.reports.markdown import cell, report_markdown, write_markdown
from mgte.evaluate.reports.rows import report_rows


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def tables(text: str) -> list[list[dict[str, str]]]:
    blocks = [table_rows(block) for block in text.split("\n\n")]
    return [
        [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]
        for rows in blocks
        if len(rows) > 2
    ]


def test_every_result_is_a_line_with_its_value(report):
    lines = [line for rows in tables(report_markdown(report)) for line in rows if "task" in line]
    shown = {
        (line["task"], line.get("variant", "")): line["value"] for line in lines if "value" in line
    }
    for row in report_rows(report):
        if not is_of_curve(row.result):
            value = float(shown[row.task, row.variant].replace(",", ""))
            assert value == pytest.approx(row.value, rel=1e-4, abs=5e-4)


def test_widths_and_precisions_have_their_costs_in_a_table_of_their_own(report):
    text = report_markdown(report)
    (rows,) = [rows for rows in tables(text) if "Bytes per document" in rows[0]]
    results = [result for result in report.results if is_of_curve(result)]
    assert len(rows) == len(results) == 4
    for row, result in zip(rows, results, strict=True):
        assert int(row["Bytes per document"]) == result.facts["bytes_per_document"]
        assert float(row["ms per query"]) == pytest.approx(result.facts["ms_per_query"], rel=1e-2)
        assert float(row["nDCG@10"]) == pytest.approx(result.main, abs=5e-4)
    assert "dense@64" not in text


def test_columns_in_which_nothing_stands_are_left_out(report):
    (rows,) = [
        rows for rows in tables(report_markdown(report)) if rows[0].get("task") == "stsb (de)"
    ]
    assert set(rows[0]) == {"task", "metric", "value", "items"}


def test_what_was_not_measured_yet_is_told_first(report):
    head = report_markdown(replace(report, missing=("cisi", "npl"))).split("##")[0]
    assert "Not measured yet: cisi, npl (2 of 8 tasks)." in head
    assert "Not measured yet" not in report_markdown(report)


def test_engines_that_could_not_run_are_told_below_their_table(report):
    found = [
        replace(result, facts={**result.facts, "engines_that_cannot_run": ["st", "padded"]})
        for result in report.results
        if result.kind == "efficiency"
    ]
    text = report_markdown(replace(report, results=tuple(found)))
    assert text.count("st, padded could not run here: ") == 1
    assert text.index("tokens per second") < text.index("could not run here")


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
