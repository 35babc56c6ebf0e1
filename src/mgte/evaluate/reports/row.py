"""ReportRow: one row of a report's tables, and the names that people read. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mgte.evaluate.records import TaskKind, TaskResult
from mgte.evaluate.reports.published import Published

KIND_TITLES: Mapping[TaskKind, str] = {
    "retrieval": "Retrieval",
    "reranking": "Reranking",
    "sts": "Semantic similarity",
    "classification": "Classification",
    "clustering": "Clustering",
    "pair_classification": "Pair classification",
    "bitext": "Translations",
    "fine_tuning": "Fine-tuning",
    "efficiency": "Efficiency",
    "average": "Whole benchmarks",
}
_METRIC_NAMES = {
    "ndcg_at_10": "nDCG@10",
    "map": "MAP",
    "mrr_at_10": "MRR@10",
    "recall_at_100": "recall@100",
    "answer_recall_at_20": "answer recall@20",
    "v_measure": "V-measure",
    "macro_f1": "macro F1",
    "spearman": "Spearman",
    "cosine_spearman": "Spearman (cosine)",
    "pearson": "Pearson",
    "average_precision": "average precision",
    "cosine_ap": "AP (cosine)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRow:
    """One row of a report's tables.

    Attributes:
        kind: Kind of the task.
        task: What was measured, with subset, and split where it is not "test".
        variant: How the model was used.
        metric: Name of the metric, for people.
        value: Its value.
        interval: 95 % interval; None where there is none.
        num_items: Queries, pairs or texts.
        published: The published number beside which it stands.
        others: More published numbers of the same thing.
        difference: Value less the published one; None where the protocols differ.
        notes: Why there is no difference.
        result: What was measured; None for a mean over a benchmark.
    """

    kind: TaskKind
    task: str
    variant: str
    metric: str
    value: float
    interval: tuple[float, float] | None = None
    num_items: int = 0
    published: Published | None = None
    others: tuple[Published, ...] = ()
    difference: float | None = None
    notes: tuple[str, ...] = ()
    result: TaskResult | None = field(default=None, repr=False)

    @property
    def is_mean(self) -> bool:
        """Whether this is the mean over a benchmark."""
        return self.result is None


def metric_name(metric: str) -> str:
    """A metric's name for people."""
    return _METRIC_NAMES.get(metric, metric.replace("_at_", "@").replace("_", " "))


def task_label(result: TaskResult) -> str:
    """Task with its subset, and its split where that is not "test"; no word stands twice."""
    words = [
        result.subset if result.subset != "default" else "",
        result.split if result.split != "test" else "",
    ]
    details = [word for word in dict.fromkeys(words) if word and not result.task.endswith(word)]
    return f"{result.task} ({', '.join(details)})" if details else result.task
