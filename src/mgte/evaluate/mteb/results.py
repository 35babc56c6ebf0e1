"""mteb's results as ours: one TaskResult per split and subset."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mgte.evaluate.records import TaskKind, TaskResult

# mteb's types of text tasks. Summaries are ranked by similarity and measured by correlation.
_KINDS: Mapping[str, TaskKind] = {
    "BitextMining": "bitext",
    "Classification": "classification",
    "Clustering": "clustering",
    "InstructionReranking": "reranking",
    "InstructionRetrieval": "retrieval",
    "MultilabelClassification": "classification",
    "PairClassification": "pair_classification",
    "Regression": "sts",
    "Reranking": "reranking",
    "Retrieval": "retrieval",
    "STS": "sts",
    "Summarization": "sts",
    "ZeroShotClassification": "classification",
}
_MAIN = "main_score"
# Numbers beside a score that are no metrics, and metrics of confidence, of which there are dozens.
_NO_METRICS = ("nauc_", "samples_per_label", "n_experiments")
_MOST_LANGUAGES = 2


def kind_of(task_type: str) -> TaskKind:
    """Our kind of a type of mteb.

    Args:
        task_type: mteb's type, such as "PairClassification".

    Returns:
        The kind; "retrieval" for types that mteb may add.
    """
    return _KINDS.get(task_type, "retrieval")


def task_results_of(
    task: Any,
    found: Any,
    *,
    name: str,
    variant: str,
    counts: Mapping[tuple[str, str], int],
    settings: Mapping[str, Any],
) -> list[TaskResult]:
    """What mteb measured, as our records.

    Args:
        task: `mteb.AbsTask`.
        found: `mteb.TaskResult` of it.
        name: Our name of the task.
        variant: How the model was used.
        counts: (split, subset) to items that were measured, where known.
        settings: What was asked for.

    Returns:
        One record per split and subset that the task asks for; metrics are mteb's.
    """
    metadata = task.metadata
    return [
        TaskResult(
            task=name,
            kind=kind_of(metadata.type),
            main_metric=main,
            metrics=metrics,
            num_items=counts.get((split, scores["hf_subset"]), 0),
            variant=variant,
            split=split,
            subset="" if scores["hf_subset"] == "default" else scores["hf_subset"],
            language=_language(scores["languages"]),
            facts={
                "mteb_task": metadata.name,
                "mteb_type": metadata.type,
                "mteb_version": str(scores.get("mteb_version") or found.mteb_version),
            },
            settings=settings,
            seconds={"mteb": float(found.evaluation_time or 0.0)},
            dataset_hash=f"{metadata.dataset['path']}@{found.dataset_revision}",
        )
        for split, scores in _wanted(task, found)
        for main, metrics in [_metrics(scores, metadata.main_score)]
    ]


def item_counts(task: Any) -> dict[tuple[str, str], int]:
    """How much there is to measure: queries of a search, else rows.

    Args:
        task: `mteb.AbsTask`.

    Returns:
        (split, subset) to the number, of the data where it is loaded, else as mteb states it;
        left out where nobody knows.
    """
    places = [(split, subset) for split in task.eval_splits for subset in task.hf_subsets]
    if task.is_aggregate:
        return {}
    stated = task.metadata.descriptive_stats or {}
    counts: dict[tuple[str, str], int] = {}
    for split, subset in places:
        count = _loaded_count(task, split, subset)
        if count is None:
            count = _stated_count(stated.get(split) or {}, subset)
        if count is not None:
            counts[split, subset] = count
    return counts


def _loaded_count(task: Any, split: str, subset: str) -> int | None:
    data = task.dataset if task.data_loaded else None
    if data is None:
        return None
    part = data.get(subset, data).get(split)
    if part is None:
        return None
    return len(part["queries"]) if isinstance(part, dict) and "queries" in part else len(part)


def _stated_count(stated: Mapping[str, Any], subset: str) -> int | None:
    own = (stated.get("hf_subset_descriptive_stats") or {}).get(subset, stated)
    count = own.get("num_queries", own.get("num_samples"))
    return None if count is None else int(count)


def _wanted(task: Any, found: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Split and scores of what the task asks for: a file may hold more than that."""
    for split in task.eval_splits:
        for scores in found.scores.get(split, ()):
            if task.is_aggregate or scores["hf_subset"] in task.hf_subsets:
                yield split, scores


def _metrics(scores: Mapping[str, Any], main: str) -> tuple[str, dict[str, float]]:
    """Name of the main metric, and all metrics that are numbers."""
    metrics = {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, float | int)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and not name.startswith(_NO_METRICS)
        and name != _MAIN
    }
    # Some tasks name a metric that another split or variant of theirs does not have.
    if metrics.get(main) != scores[_MAIN]:
        main = _MAIN
        metrics[_MAIN] = float(scores[_MAIN])
    return main, metrics


def _language(languages: list[str]) -> str:
    """Codes without scripts: "eng", "eng-deu" of two languages, "" of more."""
    codes = list(dict.fromkeys(language.split("-")[0] for language in languages))
    return "-".join(codes) if len(codes) <= _MOST_LANGUAGES else ""
