"""A report with everything that reports can show, made by hand."""

import random

import pytest

from mgte.evaluate.records import Failure, Report, TaskResult, WorstItem

HOSTILE = "<script>alert('x')</script> & \"quoted\" | `code` *star* \ud800"


def retrieval_result(task="scifact", variant="dense", value=0.62, **fields) -> TaskResult:
    values = {
        "task": task,
        "kind": "retrieval",
        "main_metric": "ndcg_at_10",
        "metrics": {"ndcg_at_10": value, "recall_at_100": 0.9},
        "num_items": 300,
        "variant": variant,
        "language": "en",
        "dataset_hash": "ab" * 32,
    }
    return TaskResult(**values | fields)


def measured_items(mean: float, count: int = 60, seed: int = 0) -> dict[str, float]:
    rng = random.Random(seed)
    return {f"q{i}": min(1.0, max(0.0, rng.gauss(mean, 0.2))) for i in range(count)}


def full_report(better: float = 0.0) -> Report:
    lengths = {f"q{i}": 10 + 7 * i for i in range(60)}
    worst = WorstItem(item_id="q1", value=0.0, text=HOSTILE, expected=HOSTILE, found="d9: other")
    results = [
        retrieval_result(
            task,
            variant,
            0.5 + better,
            interval=(0.45, 0.55),
            per_item=measured_items(0.5 + better),
            worst=(worst,),
            facts={"num_documents": 5183, "num_queries_truncated": 3, "item_characters": lengths},
            settings={"max_length": 512, "task": {"name": task, "max_queries": 0}},
            seconds={"embed": 1.5},
        )
        for task in ("scifact", "cranfield")
        for variant in ("dense", "hybrid", "bm25")
    ]
    results += [
        retrieval_result(
            "widths",
            f"dense@{width}/{precision}",
            0.4 + width / 1000,
            facts={
                "width": width,
                "precision": precision,
                "bytes_per_document": width * size,
                "ms_per_query": width * size / 1000,
            },
        )
        for width in (64, 128)
        for precision, size in (("float32", 4), ("int8", 1))
    ]
    results += [
        TaskResult(
            task="stsb",
            kind="sts",
            main_metric="spearman",
            metrics={"spearman": value},
            num_items=100,
            subset=language,
            language=language,
        )
        for language, value in (("de", 0.7), ("en", -0.1))
    ]
    results += [
        TaskResult(
            task="efficiency",
            kind="efficiency",
            main_metric="tokens_per_second",
            metrics={"tokens_per_second": speed / length},
            num_items=8,
            variant=name,
            subset=f"encoding to {length} tokens",
            facts={"measure": "encoding", "length": length},
        )
        for length in (128, 512)
        for name, speed in (("packed", 2e6), ("padded", 1e6))
    ]
    return Report(
        model=f"org/model {HOSTILE}",
        revision="sha256-0123",
        suite="local",
        settings={"seed": 0, "modes": ["dense", "bm25"]},
        versions={"mgte": "1.0"},
        machine={"cores": 2},
        created="2026-11-21T16:00:00Z",
        results=tuple(results),
        failures=(Failure(task="ntrex128", error=HOSTILE),),
    )


@pytest.fixture
def report() -> Report:
    return full_report()


@pytest.fixture
def make_report():
    """Reports whose values are higher by a given number."""
    return full_report


@pytest.fixture
def make_result():
    return retrieval_result


@pytest.fixture
def hostile() -> str:
    return HOSTILE
