"""The plot of quality against cost is a picture, and says what it lacks."""

import sys

import pytest

from mgte.errors import BackendUnavailableError, DataError
from mgte.evaluate.records import Report
from mgte.evaluate.reports.pareto_plot import plot_pareto


def test_a_report_with_a_curve_is_drawn(report, tmp_path):
    pytest.importorskip("matplotlib")
    file = plot_pareto(Report(model="m", results=report.results), tmp_path / "pareto.png")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_report_without_a_curve_is_an_error(tmp_path):
    with pytest.raises(DataError, match="without widths"):
        plot_pareto(Report(model="m"), tmp_path / "pareto.png")


def test_a_missing_package_is_named(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(BackendUnavailableError, match="matplotlib"):
        plot_pareto(report, tmp_path / "pareto.png")
