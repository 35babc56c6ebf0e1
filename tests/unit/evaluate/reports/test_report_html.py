"""The page is one file that is whole, escaped, and needs nothing from elsewhere."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mgte.evaluate.records import Report
from mgte.evaluate.reports.html import report_html, write_html
from mgte.evaluate.reports.page.bars import bar_chart
from mgte.evaluate.reports.page.elements import Markup, element, joined, plain
from mgte.evaluate.reports.page.points import Point, line_chart, pareto_front
from mgte.evaluate.reports.page.scales import linear_scale, log_scale
from mgte.evaluate.reports.page.tables import Cell, sortable_table

VOID = {"meta", "br", "hr", "input"}


class Reader(HTMLParser):
    """Checks that elements close in order, and keeps what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_elements_close_in_order_and_ids_are_unique(report):
    reader = read(report_html(report))
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_links_lead_to_sections(report):
    reader = read(report_html(report))
    ids = {value for _, name, value in reader.attributes if name == "id"}
    links = [value for tag, name, value in reader.attributes if (tag, name) == ("a", "href")]
    assert len(links) > 8
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_nothing_is_fetched(report):
    text = report_html(report)
    assert not re.search(r"https?://", text)
    assert not re.search(r"@import|url\(", text)
    reader = read(text)
    loading = {"src", "srcset", "action", "formaction", "poster", "data", "xlink:href"}
    assert [name for _, name, _ in reader.attributes if name in loading] == []
    assert "link" not in reader.names


def test_texts_of_the_report_are_escaped(report, hostile):
    text = report_html(report)
    reader = read(text)
    assert reader.names.count("script") == 1
    assert "<script>alert" not in text
    shown = hostile.replace("\ud800", "?")
    assert any(shown in words for words in reader.words)


def test_no_handler_stands_in_an_attribute(report):
    reader = read(report_html(report))
    assert [name for _, name, _ in reader.attributes if name.startswith("on")] == []


def test_every_value_is_in_a_table(report):
    words = set(read(report_html(report)).words)
    for result in report.results:
        if result.kind != "efficiency" and "@" not in result.variant:
            assert f"{result.main:.3f}" in words


def test_charts_have_names_and_bars_tell_their_values(report):
    reader = read(report_html(report))
    charts = [
        value for tag, name, value in reader.attributes if (tag, name) == ("svg", "aria-label")
    ]
    assert len(charts) == reader.names.count("svg")
    assert reader.names.count("rect") >= 8


def test_sections_stand_only_where_there_is_something(report, make_result):
    full = report_html(report)
    for name in ("Languages", "Lengths", "Widths and precisions", "Worst items", "Failures"):
        assert f"<h2>{name}</h2>" in full
    small = report_html(Report(model="m", results=(make_result(),)))
    for name in ("Languages", "Lengths", "Widths and precisions", "Worst items", "Failures"):
        assert f"<h2>{name}</h2>" not in small
    read(small)


def test_what_was_not_measured_yet_is_told_first(report):
    head = report_html(replace(report, missing=("cisi", "npl"))).split("<nav")[0]
    assert "Not measured yet: cisi, npl (2 of 8 tasks)." in head
    assert "Not measured yet" not in report_html(report)


def test_intervals_tell_both_ends_with_a_word(report):
    assert "0.450 to 0.550" in read(report_html(report)).words


def test_notes_on_times_stand_behind_the_results(report):
    facts = {"engines_that_cannot_run": {"st": "its package is missing"}, "device": "cpu"}
    facts |= {"computed_tokens_per_real_one": 1.8}
    found = [replace(r, facts={**r.facts, **facts}) for r in report.results]
    text = report_html(replace(report, results=tuple(found)))
    section = text.split("<h2>Efficiency</h2>")[1].split("</section>")[0]
    notes = section.rpartition("</table>")[2]
    for words in (
        "st could not run here: its package is missing.",
        "Measured on cpu.",
        "1.8 tokens",
    ):
        assert words in notes


def test_charts_of_nothing_and_empty_columns_are_left_out():
    assert bar_chart([], "Nothing") == ""
    assert line_chart({"dense": [None, None]}, ["1", "2"], "x", "y") == ""
    rows = [[Cell(content="a"), Cell(content=""), Cell(content="1", is_number=True)]]
    words = read(sortable_table(("Task", "Variant", "Value"), rows, "Few")).words
    assert words == ["Few", "Task", "Value", "a", "1"]


def test_an_empty_report_is_a_page(tmp_path):
    write_html(Report(model="m"), tmp_path / "report.html")
    read((tmp_path / "report.html").read_text("utf-8"))


def test_plain_children_are_escaped_and_markup_is_not():
    inner = element("b", "<&>")
    assert element("p", "a < b", inner, title='"') == (
        '<p title="&quot;">a &lt; b<b>&lt;&amp;&gt;</b></p>'
    )
    assert element("input", disabled=True, hidden=False, value=None) == "<input disabled>"
    assert joined(["<", Markup("<br>")]) == "&lt;<br>"
    assert plain("\udfff") == "?"


@pytest.mark.parametrize("values", [[0.2, 0.73], [0.0], [-0.4, 0.1], [3.0, 3.0], [1e-9], []])
def test_axes_hold_their_values_between_round_marks(values):
    scale = linear_scale(values, 0.0, 100.0)
    assert scale.low <= min([*values, 0.0]) <= max([*values, 0.0]) <= scale.high
    assert 2 <= len(scale.ticks) <= 9
    assert scale.place(scale.low) == 0.0
    assert scale.place(scale.high) == 100.0


def test_a_logarithmic_axis_has_equal_factors():
    scale = log_scale([4.0, 1024.0], 0.0, 100.0)
    assert scale.place(64.0) == pytest.approx(50.0, abs=0.1)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)


def test_the_front_holds_what_nothing_beats():
    points = [Point(series="", x=x, y=y) for x, y in [(1, 5), (2, 4), (2, 7), (3, 7), (4, 9)]]
    front = pareto_front(points)
    assert [(point.x, point.y) for point in front] == [(1, 5), (2, 7), (4, 9)]
    for point in points:
        beaten = any(o.x <= point.x and o.y >= point.y and o != point for o in points)
        assert (point in front) == (not beaten)
