"""A trained model on its test sets, and the mean over seeds. What was measured becomes results."""

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mgte.errors import ConfigError
from mgte.evaluate.fine_tuning.config import TestSet, Training
from mgte.evaluate.fine_tuning.example_reading import read_examples
from mgte.evaluate.fine_tuning.examples import hash_examples
from mgte.evaluate.fine_tuning.loop import predict
from mgte.evaluate.fine_tuning.methods import Measured, build_method
from mgte.evaluate.fine_tuning.methods.retrieval import RetrievalMethod, measure_pool
from mgte.evaluate.fine_tuning.pools import Pool, read_pool
from mgte.evaluate.fine_tuning.stages import Start, TrainedStage
from mgte.search import FloatArray
from mgte.text import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredSet:
    """A trained model on one language of one test set.

    Attributes:
        test: The test set.
        language: The language; "" where there is one.
        measured: Metrics.
        main_metric: The method's.
        dataset_hash: Hash of the examples.
    """

    test: TestSet
    language: str
    measured: Measured
    main_metric: str
    dataset_hash: str


def measure_sets(
    training: Training,
    stage: TrainedStage,
    tests: Sequence[TestSet],
    start: Start,
    *,
    main_metric: str,
) -> list[MeasuredSet]:
    """Measure a trained model.

    Args:
        training: What was trained.
        stage: The trained model.
        tests: What it is measured on.
        start: Tokenizer, and root of the data.
        main_metric: The metric that items are told by.

    Returns:
        One entry per test set and language, in order.

    Raises:
        DataError: Data is missing or damaged.
    """
    vectors = _KeptVectors(stage, training, start.tokenizer)
    return [
        _measure_pool(test, language, vectors, start, main_metric)
        if training.method == "retrieval"
        else _measure_set(training, stage, test, language, start)
        for test in tests
        for language in test.languages or ("",)
    ]


class _KeptVectors:
    """Vectors of candidates, kept for the next language, which often has the same ones.

    Args:
        stage: The trained model.
        training: What was trained.
        tokenizer: The encoder's tokenizer.
    """

    def __init__(self, stage: TrainedStage, training: Training, tokenizer: Tokenizer) -> None:
        self._model, self._setting = stage.model, training.setting
        self._method = RetrievalMethod(tokenizer, training.setting)
        self._texts: tuple[str, ...] = ()
        self._vectors: FloatArray = np.zeros((0, 0), np.float32)

    def of_queries(self, texts: tuple[str, ...]) -> FloatArray:
        """Vectors of queries."""
        return self._encode(texts, is_query=True)

    def of_documents(self, texts: tuple[str, ...]) -> FloatArray:
        """Vectors of candidates."""
        if texts != self._texts:
            self._texts, self._vectors = texts, self._encode(texts, is_query=False)
        return self._vectors

    def _encode(self, texts: tuple[str, ...], *, is_query: bool) -> FloatArray:
        items = self._method.encode(texts, is_query=is_query)
        return np.stack([output[0] for output in predict(self._model, items, self._setting)])


def _measure_pool(
    test: TestSet, language: str, vectors: _KeptVectors, start: Start, main_metric: str
) -> MeasuredSet:
    pool = read_pool(test, language, start.root)
    measured = measure_pool(
        pool,
        vectors.of_queries(pool.queries),
        vectors.of_documents(pool.documents),
        main_metric=main_metric,
    )
    return MeasuredSet(
        test=test,
        language=language,
        measured=measured,
        main_metric=RetrievalMethod.main_metric,
        dataset_hash=_pool_hash(pool),
    )


def _measure_set(
    training: Training, stage: TrainedStage, test: TestSet, language: str, start: Start
) -> MeasuredSet:
    method, setting = stage.method, training.setting
    if training.method == "spans":
        method = build_method(
            training, start.tokenizer, answer_style=test.answer_style, language=language or "en"
        )
    source = test.source.of_language(language)
    examples = read_examples(source, training.method, training.labels, start.root)
    items = method.prepare(examples, is_training=False)
    measured = method.measure(examples, items, predict(stage.model, items, setting))
    return MeasuredSet(
        test=test,
        language=language,
        measured=measured,
        main_metric=method.main_metric,
        dataset_hash=hash_examples(examples),
    )


def measure_dev(training: Training, stage: TrainedStage, metric: str, root: Path) -> float:
    """The metric that a sweep chooses by.

    Args:
        training: What was trained; it has a dev part.
        stage: The trained model.
        metric: The metric.
        root: Folder from which paths of data count.

    Returns:
        Its value on the dev part.

    Raises:
        ConfigError: There is no dev part, or no such metric.
    """
    if training.dev is None:
        raise ConfigError(
            f"{training.name}.dev: missing, expected examples that a sweep chooses by"
        )
    examples = read_examples(training.dev, training.method, training.labels, root)
    items = stage.method.prepare(examples, is_training=False)
    outputs = predict(stage.model, items, training.setting)
    return metric_of(stage.method.measure(examples, items, outputs).metrics, metric, training.name)


def metric_of(metrics: Mapping[str, float], name: str, place: str) -> float:
    """Value of a metric.

    Raises:
        ConfigError: It was not measured.
    """
    if name not in metrics:
        raise ConfigError(
            f"{place}.main_metric: got {name!r}, expected one of {', '.join(metrics)}"
        )
    return metrics[name]


def mean_metrics(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every metric over runs."""
    return {name: statistics.fmean(run[name] for run in runs) for name in runs[0]}


def spread(values: Sequence[float]) -> Mapping[str, Any]:
    """Values of a metric by run, and their standard deviation (0 for one run)."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"runs": list(values), "standard_deviation": deviation}


def _pool_hash(pool: Pool) -> str:
    content = (pool.queries, pool.documents, tuple(tuple(sorted(rows)) for rows in pool.positives))
    return hashlib.sha256(repr(content).encode()).hexdigest()
