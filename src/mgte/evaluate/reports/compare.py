"""compare_reports: two reports side by side, with the significance of every difference. No torch.

Differences are those of the second report to the first. Whatever makes two values incomparable
(other data, other settings, another metric) is told beside them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mgte.evaluate.records import Report, TaskKind, TaskResult
from mgte.evaluate.reports.curves import is_of_curve
from mgte.evaluate.reports.facts import missing_tasks
from mgte.evaluate.reports.row import metric_name, task_label
from mgte.evaluate.reports.setting_differences import SettingDifference, setting_differences
from mgte.evaluate.significance import PairedTest, paired_test

SIGNIFICANT = 0.05
Verdict = Literal["better", "worse", "same", "untested"]
_SMALLER_IS_BETTER = ("seconds", "milliseconds", "peak", "bytes")
_MOST_SETTINGS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRow:
    """One task and variant in both reports.

    Attributes:
        kind: Kind of the task.
        task: Its label.
        variant: How the model was used.
        metric: Metric that both have.
        first: Value of the first report.
        second: Value of the second.
        test: Paired test of second minus first; None where items are not the same.
        p_adjusted: Its permutation p value, adjusted for the number of tests (Holm); None without.
        notes: What else differs, or why there is no test.
        is_of_curve: Whether it is one of many widths and precisions of the same vectors.
    """

    kind: TaskKind
    task: str
    variant: str
    metric: str
    first: float
    second: float
    test: PairedTest | None = None
    p_adjusted: float | None = None
    notes: tuple[str, ...] = ()
    is_of_curve: bool = False

    @property
    def difference(self) -> float:
        """Value of the second report minus that of the first."""
        return self.second - self.first

    @property
    def is_smaller_better(self) -> bool:
        """Whether the metric is a cost, such as a time."""
        return self.metric.startswith(_SMALLER_IS_BETTER)

    @property
    def verdict(self) -> Verdict:
        """What the second report is beside the first, at a level of 5 % over all tests."""
        if self.p_adjusted is None:
            return "untested"
        if self.p_adjusted >= SIGNIFICANT:
            return "same"
        return "better" if (self.difference > 0) != self.is_smaller_better else "worse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two reports side by side.

    Attributes:
        first: Name of the first report's model.
        second: Name of the second's.
        rows: What both measured.
        settings: Settings that differ, over the tasks that are in both.
        only_first: What only the first measured.
        only_second: What only the second measured.
        missing_first: Tasks that the first has not measured yet, in words; "" without any.
        missing_second: Tasks that the second has not measured yet.
    """

    first: str
    second: str
    rows: tuple[ComparedRow, ...]
    settings: tuple[SettingDifference, ...] = ()
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    missing_first: str = ""
    missing_second: str = ""

    def count(self, verdict: Verdict) -> int:
        """Rows of a verdict."""
        return sum(row.verdict == verdict for row in self.rows)


def compare_reports(a: Report, b: Report, *, seed: int = 0) -> Comparison:
    """Compare two reports.

    Args:
        a: The first report, such as what was.
        b: The second, such as what is new.
        seed: Decides what the tests draw.

    Returns:
        Rows in the order of the first report; p values are adjusted for their number.

    Raises:
        BackendUnavailableError: SciPy is not installed.
    """
    first, second = _by_key(a), _by_key(b)
    both = [key for key in first if key in second and _shared_metric(first[key], second[key])]
    pairs = [(first[key], second[key]) for key in both]
    settings = setting_differences(pairs, a, b)
    rows = [_compared(*pair, settings, seed) for pair in pairs]
    return Comparison(
        first=_titled(a),
        second=_titled(b),
        rows=tuple(_adjusted(rows)),
        settings=settings,
        only_first=tuple(_named(result) for key, result in first.items() if key not in both),
        only_second=tuple(_named(result) for key, result in second.items() if key not in both),
        missing_first=missing_tasks(a),
        missing_second=missing_tasks(b),
    )


def _by_key(report: Report) -> dict[tuple[str, ...], TaskResult]:
    return {
        (result.kind, result.task, result.split, result.subset, result.variant): result
        for result in report.results
    }


def _compared(
    a: TaskResult, b: TaskResult, settings: Sequence[SettingDifference], seed: int
) -> ComparedRow:
    metric = _shared_metric(a, b)
    notes = [*_result_differences(a, b), *_setting_notes(a, settings)]
    test = None
    is_same_data = not (a.dataset_hash and b.dataset_hash) or a.dataset_hash == b.dataset_hash
    items = [item for item in a.per_item if item in b.per_item]
    # Values of single items are of the main metric only.
    if is_same_data and items and a.main_metric == b.main_metric:
        test = paired_test(b.per_item, a.per_item, seed=seed)
        if test.num_unshared:
            notes.append(f"tested on {test.num_items:,} items that both have")
    return ComparedRow(
        kind=a.kind,
        task=task_label(a),
        variant=a.variant,
        metric=metric_name(metric),
        first=a.metrics[metric],
        second=b.metrics[metric],
        test=test,
        notes=tuple(notes),
        is_of_curve=is_of_curve(a),
    )


def _shared_metric(a: TaskResult, b: TaskResult) -> str:
    """A main metric that both have; "" where there is none."""
    names = (a.main_metric, b.main_metric)
    return next((name for name in names if name in a.metrics and name in b.metrics), "")


def _result_differences(a: TaskResult, b: TaskResult) -> Iterator[str]:
    if a.dataset_hash and b.dataset_hash and a.dataset_hash != b.dataset_hash:
        yield "other data: the hashes differ"
    elif not (a.dataset_hash and b.dataset_hash) and (_reads_data(a) or _reads_data(b)):
        yield "data not known to be the same: no hash"
    if a.main_metric != b.main_metric:
        yield f"main metrics differ: {metric_name(a.main_metric)}, {metric_name(b.main_metric)}"
    if a.num_items != b.num_items:
        yield f"items differ: {a.num_items:,}, {b.num_items:,}"


def _reads_data(result: TaskResult) -> bool:
    """Whether there are files; times are mostly taken on texts that the settings describe."""
    task = result.settings.get("task")
    return result.kind != "efficiency" or bool(isinstance(task, Mapping) and task.get("data"))


def _setting_notes(result: TaskResult, settings: Sequence[SettingDifference]) -> Iterator[str]:
    """Settings that differ here and not everywhere."""
    label = task_label(result)
    found = [setting for setting in settings if label in setting.tasks]
    for setting in found[:_MOST_SETTINGS]:
        yield f"{setting.name}: {setting.first or 'not set'}, {setting.second or 'not set'}"
    if len(found) > _MOST_SETTINGS:
        yield f"{len(found) - _MOST_SETTINGS} more settings differ"


def _adjusted(rows: Sequence[ComparedRow]) -> list[ComparedRow]:
    """Rows with p values for which the chance of any false alarm stays below the level.

    Rows without any difference, such as BM25 in both, could not become significant and do not
    count. Source: Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted = [row if row.test is None else replace(row, p_adjusted=1.0) for row in rows]
    tested = sorted(
        (row.test.p_permutation, index)
        for index, row in enumerate(rows)
        if row.test is not None and row.test.num_better + row.test.num_worse
    )
    highest = 0.0
    for rank, (p, index) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[index] = replace(rows[index], p_adjusted=highest)
    return adjusted


def _titled(report: Report) -> str:
    return f"{report.model} with {report.reranker}" if report.reranker else report.model


def _named(result: TaskResult) -> str:
    label = task_label(result)
    return f"{label}, {result.variant}" if result.variant else label
