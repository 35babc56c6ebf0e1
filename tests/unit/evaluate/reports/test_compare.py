"""Two reports side by side: tests are paired over items, and whatever else differs is told."""

from dataclasses import replace

import pytest

from mgte.evaluate.records import Report
from mgte.evaluate.reports.compare import compare_reports
from mgte.evaluate.reports.comparison_text import (
    comparison_html,
    comparison_markdown,
    write_comparison,
)
from mgte.evaluate.reports.setting_differences import SettingDifference
from mgte.evaluate.significance import paired_test

pytest.importorskip("scipy")


def pair(make_result, a, b, **fields):
    first = Report(model="A", results=(make_result(per_item=a, value=sum(a.values()) / len(a)),))
    second = make_result(per_item=b, value=sum(b.values()) / len(b), **fields)
    return first, Report(model="B", results=(second,))


def items(*values):
    return {f"q{i}": value for i, value in enumerate(values)}


def test_a_difference_is_second_less_first_and_tested_on_items(make_result):
    a, b = items(*[0.1, 0.3, 0.2] * 10), items(*[0.4, 0.5, 0.6] * 10)
    (row,) = compare_reports(*pair(make_result, a, b)).rows
    assert row.test == paired_test(b, a)
    assert row.difference == pytest.approx(row.test.difference)
    assert row.p_adjusted == row.test.p_permutation
    assert row.verdict == "better"
    (back,) = compare_reports(*reversed(pair(make_result, a, b))).rows
    assert back.verdict == "worse"


def test_the_same_report_twice_shows_no_difference(report):
    comparison = compare_reports(report, report)
    assert comparison.count("better") == comparison.count("worse") == 0
    assert comparison.count("same") == 6
    assert len(comparison.rows) == len(report.results)
    assert comparison.settings == comparison.only_first == comparison.only_second == ()


def test_p_values_are_adjusted_for_the_number_of_tests(report, make_report):
    rows = [row for row in compare_reports(report, make_report(0.08)).rows if row.test]
    raw = sorted((row.test.p_permutation, row.p_adjusted) for row in rows)
    expected, highest = [], 0.0
    for rank, (p, _) in enumerate(raw):
        highest = max(highest, min(1.0, (len(raw) - rank) * p))
        expected.append(highest)
    assert [adjusted for _, adjusted in raw] == pytest.approx(expected)
    assert all(adjusted >= p for p, adjusted in raw)


def test_what_did_not_change_at_all_does_not_count_as_a_test(make_result):
    a, b = items(*[0.1, 0.3] * 8), items(*[0.4, 0.5] * 8)
    first, second = pair(make_result, a, b)
    same = make_result("other", "bm25", per_item=a)
    grown = compare_reports(
        replace(first, results=(*first.results, same)),
        replace(second, results=(*second.results, same)),
    )
    assert grown.rows[0].p_adjusted == compare_reports(first, second).rows[0].p_adjusted
    assert grown.rows[1].verdict == "same"


def test_other_data_is_told_and_not_tested(make_result):
    a = items(0.1, 0.2, 0.3)
    (row,) = compare_reports(*pair(make_result, a, a, dataset_hash="cd" * 32)).rows
    assert row.test is None
    assert row.verdict == "untested"
    assert "other data" in row.notes[0]


def test_data_without_a_hash_is_told(make_result):
    a = items(0.1, 0.2, 0.3)
    (row,) = compare_reports(*pair(make_result, a, a, dataset_hash="")).rows
    assert row.test is not None
    assert any("no hash" in note for note in row.notes)


def differences(comparison):
    return {found.name: (found.first, found.second, found.tasks) for found in comparison.settings}


def test_settings_that_differ_are_told(make_result):
    a = items(0.1, 0.2, 0.3)
    first, second = pair(make_result, a, a)
    first, second = replace(first, settings={"seed": 0}), replace(second, settings={"seed": 1})
    told = SettingDifference(name="seed", first="0", second="1")
    assert compare_reports(first, second).settings == (told,)
    more = make_result("other", settings={"max_length": 512})
    longer = replace(more, settings={"max_length": 64})
    comparison = compare_reports(
        replace(first, results=(*first.results, more)),
        replace(second, results=(*second.results, longer)),
    )
    assert comparison.rows[0].notes == ()
    assert comparison.rows[1].notes == ("max_length: 512, 64",)
    assert differences(comparison) == {
        "seed": ("0", "1", ()),
        "max_length": ("512", "64", ("other",)),
    }
    for text in (comparison_markdown(comparison), comparison_html(comparison)):
        assert "all of both" in text


def search_settings(**changed):
    hybrid = {"sparse_weight": 0.1, "missing": "zero"}
    return {"hybrid": hybrid, "dim": None, "top_k": 1000, "first_stage": "hybrid"} | changed


def test_settings_are_those_of_the_tasks_in_both(make_result):
    # The suite's settings stand in every report; those of a search are told by searches only.
    suite = {"seed": 0, "retrieval": search_settings(first_stage="")}
    search = make_result("adi", settings=search_settings())
    other = make_result("sick-r", "", kind="sts", settings={"data": {"max_items": 300}})
    whole = Report(model="m", settings=suite, results=(search, other))
    part = Report(model="m", settings=suite, results=(search,))
    assert compare_reports(whole, part).settings == ()
    assert compare_reports(part, whole).settings == ()
    alone = Report(model="m", results=(search,))
    assert compare_reports(whole, alone).settings == ()


def test_a_setting_that_one_task_changes_names_the_task(make_result):
    suite = {"retrieval": search_settings(first_stage="")}
    results = [make_result(task, settings=search_settings()) for task in ("adi", "cran")]
    changed = [results[0], replace(results[1], settings=search_settings(dim=64, top_k=10))]
    a, b = (Report(model="m", settings=suite, results=tuple(r)) for r in (results, changed))
    comparison = compare_reports(a, b)
    assert differences(comparison) == {
        "retrieval.dim": ("", "64", ("cran",)),
        "retrieval.top_k": ("1000", "10", ("cran",)),
    }
    assert [row.notes for row in comparison.rows] == [
        (),
        ("retrieval.dim: not set, 64", "retrieval.top_k: 1000, 10"),
    ]
    assert "| retrieval.dim | not set | 64 | cran |" in comparison_markdown(comparison)


def test_long_lists_of_tasks_are_cut(make_result):
    def suite(max_length):
        found = [make_result(f"t{i}", settings={"max_length": max_length}) for i in range(15)]
        return Report(model="m", results=(make_result("same"), *found))

    text = comparison_markdown(compare_reports(suite(64), suite(128)))
    assert "t10, t11 and 3 more |" in text


def test_hybrid_settings_concern_lists_of_candidates_too(make_result):
    result = make_result("trecqa", "hybrid", kind="reranking", settings={"layout": "rows"})
    a, b = (
        Report(
            model="m",
            settings={"retrieval": search_settings(hybrid={"sparse_weight": weight}, top_k=top_k)},
            results=(result,),
        )
        for weight, top_k in ((0.1, 1000), (0.3, 10))
    )
    assert differences(compare_reports(a, b)) == {
        "retrieval.hybrid.sparse_weight": ("0.1", "0.3", ())
    }


def test_what_one_report_does_not_tell_is_no_difference(make_result):
    run = Report(model="run", results=(make_result(),))
    searched = Report(model="m", results=(make_result(settings=search_settings()),))
    assert compare_reports(run, searched).settings == ()


def test_names_of_models_are_no_settings(make_result):
    results = [make_result(settings={"model": name, "reranker": None}) for name in "AB"]
    first, second = (Report(model=r.settings["model"], results=(r,)) for r in results)
    assert compare_reports(first, second).settings == ()


def test_tasks_of_one_report_only_are_listed(make_result):
    first = Report(model="A", results=(make_result("one"), make_result("both")))
    second = Report(model="B", results=(make_result("both"), make_result("two")))
    comparison = compare_reports(first, second)
    assert [row.task for row in comparison.rows] == ["both"]
    assert (comparison.only_first, comparison.only_second) == (("one, dense",), ("two, dense",))


def test_results_without_a_shared_metric_are_not_compared(make_result):
    other = make_result(metrics={"map": 0.3}, main_metric="map")
    comparison = compare_reports(
        Report(model="A", results=(make_result(),)), Report(model="B", results=(other,))
    )
    assert comparison.rows == ()
    assert comparison.only_first == comparison.only_second == ("scifact, dense",)


def test_a_smaller_time_is_better(make_result):
    def timed(value):
        per_item = {f"t{i}": value + i / 1000 for i in range(20)}
        metrics = {"milliseconds_per_query": value}
        main = "milliseconds_per_query"
        return make_result(kind="efficiency", metrics=metrics, main_metric=main, per_item=per_item)

    first, second = (Report(model="m", results=(timed(value),)) for value in (2.0, 1.0))
    assert compare_reports(first, second).rows[0].verdict == "better"


def test_a_comparison_is_written_as_its_file_asks(report, make_report, tmp_path):
    comparison = compare_reports(report, make_report(0.1))
    write_comparison(comparison, tmp_path / "c.html")
    write_comparison(comparison, tmp_path / "c.md")
    html = (tmp_path / "c.html").read_text("utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert "<script>alert" not in html
    assert html == comparison_html(comparison).replace("\ud800", "?")
    markdown = (tmp_path / "c.md").read_text("utf-8")
    assert markdown == comparison_markdown(comparison).replace("\ud800", "?")
    assert f"{len(comparison.rows)} values in both" in markdown


def header_of(text: str, section: str) -> list[str]:
    lines = text.split(f"## {section}\n\n")[1].splitlines()
    return [name.strip() for name in lines[0].strip("|").split("|")]


def test_what_matters_stands_first_and_empty_columns_nowhere(report, make_report):
    text = comparison_markdown(compare_reports(report, make_report(0.1)))
    assert header_of(text, "Retrieval")[3:7] == ["A", "B", "B − A", "Verdict"]
    assert "Notes" not in header_of(text, "Retrieval")
    assert "Notes" in header_of(text, "Semantic similarity")
    similarity = header_of(text, "Semantic similarity")
    assert "Variant" not in similarity
    assert "p (Holm)" not in similarity


def test_widths_stand_in_a_section_without_an_empty_chart(report):
    comparison = compare_reports(report, report)
    assert any(row.is_of_curve for row in comparison.rows)
    page = comparison_html(comparison)
    section = page.split("<h2>Widths and precisions</h2>")[1].split("</section>")[0]
    assert "dense@64/float32" in section
    assert "<svg" not in section
    retrieval = page.split("<h2>Retrieval</h2>")[1].split("</section>")[0]
    assert "<svg" in retrieval
    assert "dense@64" not in retrieval


def test_what_was_not_measured_yet_is_told_first(report):
    partial = replace(report, missing=("cisi", "npl"))
    comparison = compare_reports(report, partial)
    words = "Not measured yet in B: cisi, npl (2 of 8 tasks)."
    assert words in comparison_html(comparison).split("<nav")[0]
    assert words in comparison_markdown(comparison).split("##")[0]
    assert "Not measured yet in A" not in comparison_markdown(comparison)


def test_times_of_made_texts_need_no_hash(report):
    rows = compare_reports(report, report).rows
    assert {row.notes for row in rows if row.kind == "efficiency"} == {()}


def test_a_comparison_of_nothing_is_a_page():
    comparison = compare_reports(Report(model="A"), Report(model="B"))
    assert "0 values in both" in comparison_html(comparison)
