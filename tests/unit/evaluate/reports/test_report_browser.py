"""The page in a real browser: no error, nothing fetched, tables sort, the theme changes."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mgte.evaluate.reports.compare import compare_reports
from mgte.evaluate.reports.comparison_text import write_comparison
from mgte.evaluate.reports.html import write_html

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine"),
]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever the page would ask for fails at once.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--window-size=1100,900",
)
EARLY = """<script>
  window.faults = [];
  addEventListener("error", (event) => faults.push(String(event.message)));
  addEventListener("securitypolicyviolation", (event) => faults.push(event.violatedDirective));
</script>"""
LATE = """<script>
  const told = { faults };
  const table = document.querySelector("table.sortable");
  const column = [...table.tHead.rows[0].cells].findIndex((h) => h.textContent === "Value");
  const head = table.tHead.rows[0].cells[column];
  const numbers = () => [...table.tBodies[0].rows].map((r) => r.cells[column].dataset.order);
  told.before = numbers();
  const button = head.firstElementChild;
  button.focus();
  told.focused = document.activeElement === button;
  button.click();
  told.rising = numbers();
  told.sort = head.getAttribute("aria-sort");
  button.click();
  told.falling = numbers();
  const paper = () => getComputedStyle(document.body).backgroundColor;
  told.light = paper();
  document.getElementById("theme").click();
  told.dark = paper();
  told.fetched = performance.getEntriesByType("resource").length;
  told.wider = document.documentElement.scrollWidth - innerWidth;
  const shown = (shape) => shape.getBoundingClientRect();
  told.charts = [...document.querySelectorAll("svg.chart")].map((svg) => shown(svg).height);
  told.overflow = [...document.querySelectorAll("svg.chart text")].filter((text) => {
    const [inside, outside] = [shown(text), shown(text.ownerSVGElement)];
    return inside.left < outside.left - 1 || inside.right > outside.right + 1;
  }).map((text) => text.textContent);
  const result = document.createElement("pre");
  result.id = "told";
  result.textContent = JSON.stringify(told);
  document.body.append(result);
</script>"""


def browse(page: Path, folder: Path, *flags: str) -> str:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def look_at(page: Path, folder: Path) -> dict:
    """Open the page with a script of ours around it, and read what that script found."""
    text = page.read_text("utf-8")
    watched = folder / "watched.html"
    text = text.replace("<style>", EARLY + "<style>", 1)
    watched.write_text(text.replace("</body>", LATE + "</body>", 1), "utf-8")
    dom = browse(watched, folder, "--dump-dom")
    found = re.search(r'<pre id="told">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found, "the page's script did not reach its end"
    return json.loads(
        found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    )


@pytest.fixture
def page(report, tmp_path) -> Path:
    # Names of people's models are shorter than that of the hostile one.
    write_html(replace(report, model="mgte-nano"), tmp_path / "report.html")
    return tmp_path / "report.html"


def test_the_page_works_without_a_fault_or_a_request(page, tmp_path):
    told = look_at(page, tmp_path)
    assert told["faults"] == []
    assert told["fetched"] == 0
    assert told["focused"]
    numbers = [float(number) for number in told["before"]]
    assert [float(number) for number in told["rising"]] == sorted(numbers)
    assert [float(number) for number in told["falling"]] == sorted(numbers, reverse=True)
    assert told["sort"] == "ascending"
    assert told["light"] != told["dark"]
    assert told["wider"] <= 0
    assert min(told["charts"]) > 20
    assert told["overflow"] == []


def test_hostile_names_run_nothing_and_widen_nothing(report, tmp_path):
    write_html(report, tmp_path / "report.html")
    told = look_at(tmp_path / "report.html", tmp_path)
    assert told["faults"] == []
    assert told["wider"] <= 0


def test_the_page_is_drawn(page, tmp_path):
    browse(page, tmp_path, f"--screenshot={tmp_path / 'page.png'}")
    # An empty page of this size has about 5 kB.
    assert (tmp_path / "page.png").stat().st_size > 30_000


def test_the_comparison_works_too(report, make_report, tmp_path):
    write_comparison(compare_reports(report, make_report(0.1)), tmp_path / "comparison.html")
    text = (tmp_path / "comparison.html").read_text("utf-8")
    dom = browse(tmp_path / "comparison.html", tmp_path, "--dump-dom")
    assert dom.count("<tr") == text.count("<tr")


WIDTHS = """<pre id="told"></pre><script>
  const frames = [...document.querySelectorAll(".frame")];
  const told = frames.map((frame) => {
    const edge = frame.getBoundingClientRect().right;
    const verdicts = [...frame.querySelectorAll(".verdict")];
    return {
      hidden: verdicts.filter((cell) => cell.getBoundingClientRect().right > edge + 1).length,
      wide: frame.scrollWidth > frame.clientWidth + 1,
      hint: getComputedStyle(frame, "::before").content,
    };
  });
  const wider = document.documentElement.scrollWidth - innerWidth;
  document.getElementById("told").textContent = JSON.stringify({ wider, frames: told });
</script>"""


@pytest.mark.parametrize("width", [500, 1200])
def test_verdicts_are_seen_without_scrolling_and_the_rest_is_told(
    width, report, make_report, tmp_path
):
    a, b = (replace(made, model="mgte-nano") for made in (report, make_report(0.1)))
    # A setting of some tasks only, so that there are notes.
    deep = {"max_length": 64}
    cut = [replace(r, settings=deep) if r.task == "cranfield" else r for r in b.results]
    b = replace(b, results=tuple(cut))
    page = tmp_path / "comparison.html"
    write_comparison(compare_reports(a, b), page)
    page.write_text(page.read_text("utf-8").replace("</body>", WIDTHS + "</body>"), "utf-8")
    dom = browse(page, tmp_path, f"--window-size={width},900", "--dump-dom")
    found = re.search(r'<pre id="told">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found
    told = json.loads(html.unescape(found.group(1)))
    assert told["wider"] <= 0
    assert [frame["hidden"] for frame in told["frames"]] == [0] * len(told["frames"])
    for frame in told["frames"]:
        assert ("scroll" in frame["hint"]) == frame["wide"]
    assert any(frame["wide"] for frame in told["frames"]) == (width == 500)
