"""mean_over_subsets: one value for a task that is several collections, such as CQADupStack."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from mgte.evaluate.records import TaskResult
from mgte.evaluate.significance import bootstrap_interval


def mean_over_subsets(results: Sequence[TaskResult], *, seed: int = 0) -> list[TaskResult]:
    """Means over the subsets of a task, each subset counting once.

    Values per item are weighted by how many its subset has, so that their plain mean is the mean
    over subsets: intervals and paired tests work on them.

    Args:
        results: Results of one task, one per subset and variant.
        seed: Decides the intervals.

    Returns:
        One result per variant, without a subset.
    """
    by_variant: dict[str, list[TaskResult]] = {}
    for result in results:
        by_variant.setdefault(result.variant, []).append(result)
    return [_mean(parts, seed) for parts in by_variant.values()]


def _mean(parts: Sequence[TaskResult], seed: int) -> TaskResult:
    num_items = sum(len(part.per_item) for part in parts)
    per_item = {
        f"{part.subset}/{item}": value * num_items / (len(parts) * len(part.per_item))
        for part in parts
        for item, value in part.per_item.items()
    }
    hashes = "\n".join(f"{part.subset} {part.dataset_hash}" for part in parts)
    counts = ("num_documents", "num_queries", "num_documents_truncated", "num_queries_truncated")
    return replace(
        parts[0],
        subset="",
        language="",
        metrics={
            name: sum(part.metrics[name] for part in parts) / len(parts)
            for name in parts[0].metrics
        },
        num_items=sum(part.num_items for part in parts),
        interval=bootstrap_interval(list(per_item.values()), seed=seed),
        per_item=per_item,
        worst=(),
        facts={name: sum(part.facts[name] for part in parts) for name in counts}
        | {"mean_over": [part.subset for part in parts]},
        seconds={
            name: sum(part.seconds.get(name, 0.0) for part in parts) for name in parts[0].seconds
        },
        dataset_hash=sha256(hashes.encode()).hexdigest(),
    )
