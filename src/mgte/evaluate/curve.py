"""measure_curve: quality against width, bytes and time, of a collection that is embedded once."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from mgte.errors import ConfigError, DataError
from mgte.evaluate.collection import Collection
from mgte.evaluate.metrics import MAIN_METRIC, METRICS, mean_metrics, measure_rankings
from mgte.evaluate.quantized_vectors import PRECISIONS, Precision, QuantizedVectors, quantize
from mgte.evaluate.rankings import without_own
from mgte.evaluate.records import TaskResult
from mgte.evaluate.searches import narrowed
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import TextEncoder
from mgte.search import FloatArray, Ranking, encode_texts

# A search is timed again until this has passed, and the fastest counts.
_SECONDS_PER_SEARCH = 0.5
_MOST_SEARCHES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveConfig:
    """Which points of the curve are measured.

    Attributes:
        widths: Leading dimensions of the vectors; empty means those of the model.
        precisions: How document vectors are kept; see `quantize`.
        top_k: Documents that each search finds.
        candidates: Candidates that "binary-rescored" scores again, as a multiple of `top_k`.
        main_metric: The metric that stands in tables.
        seed: Decides on calibration and intervals.
    """

    widths: tuple[int, ...] = ()
    precisions: tuple[Precision, ...] = PRECISIONS
    top_k: int = 100
    candidates: int = 4
    main_metric: str = MAIN_METRIC
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.precisions if name not in PRECISIONS]
        if unknown or not self.precisions:
            raise ConfigError(
                f"precisions: got {list(self.precisions)}, expected some of {', '.join(PRECISIONS)}"
            )
        for name in ("top_k", "candidates"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if self.main_metric not in METRICS:
            raise ConfigError(
                f"main_metric: got {self.main_metric!r}, expected one of {', '.join(METRICS)}"
            )


def measure_curve(
    encoder: TextEncoder,
    collection: Collection,
    config: CurveConfig | None = None,
    *,
    name: str = "",
    language: str = "",
    dataset_hash: str = "",
) -> list[TaskResult]:
    """Measure a collection at every width and precision; it is embedded once.

    Args:
        encoder: The model.
        collection: Documents, queries and judgements.
        config: Which points; None means the defaults.
        name: Name of the task; "" takes the collection's.
        language: Language of the texts, for reports.
        dataset_hash: Hash of the collection, for reports.

    Returns:
        One result per width and precision, as the variant `dense@256/int8`. Its facts hold width,
        precision, bytes_per_document and ms_per_query: time of an exact search of all queries at
        once on the CPU, divided by their number.

    Raises:
        ConfigError: A width is beyond the model, or the collection has answers for judgements.
        DataError: The model gives no dense vectors, NaN or infinity.
        BackendUnavailableError: pytrec_eval is not installed.
    """
    config = config or CurveConfig()
    if collection.answers:
        raise ConfigError(f"{collection.name}: has answers, expected judgements of documents")
    began = time.perf_counter()
    queries = _vectors(encoder, [query.text for query in collection.queries], "query")
    documents = _vectors(encoder, [d.full_text for d in collection.documents], "document")
    embedding = time.perf_counter() - began
    full = documents.shape[1]
    results = []
    for width, precision, q, vectors in _points(queries, documents, config, encoder):
        rankings, seconds = _timed_search(vectors, q, config.top_k + collection.num_left_out)
        per_query = _measured(without_own(rankings, collection, config.top_k), collection)
        per_item = {query: values[config.main_metric] for query, values in per_query.items()}
        facts: dict[str, Any] = {
            "width": width,
            "full_width": full,
            "precision": precision,
            "bytes_per_document": vectors.bytes_per_document,
            "ms_per_query": 1000.0 * seconds / len(q),
            "num_documents": len(collection.documents),
            "num_queries": len(collection.queries),
        }
        results.append(
            TaskResult(
                task=name or collection.name,
                kind="retrieval",
                main_metric=config.main_metric,
                metrics=mean_metrics(per_query),
                num_items=len(collection.queries),
                variant=f"dense@{width}/{precision}",
                split=collection.split,
                language=language,
                interval=bootstrap_interval(list(per_item.values()), seed=config.seed),
                per_item=per_item,
                facts=facts,
                settings={
                    "curve": asdict(config),
                    "model": encoder.name,
                    "max_length": encoder.max_length,
                },
                seconds={"embed": embedding, "dense": seconds},
                dataset_hash=dataset_hash,
            )
        )
    return results


def _points(
    queries: FloatArray, documents: FloatArray, config: CurveConfig, encoder: TextEncoder
) -> Iterator[tuple[int, Precision, FloatArray, QuantizedVectors]]:
    widths = config.widths or encoder.widths or (documents.shape[1],)
    for width in dict.fromkeys(widths):
        cut = partial(narrowed, dim=width, is_cosine=encoder.is_cosine)
        q, d = cut(queries), cut(documents)
        for precision in config.precisions:
            vectors = quantize(d, precision, candidates=config.candidates, seed=config.seed)
            yield width, precision, q, vectors


def _vectors(encoder: TextEncoder, texts: Sequence[str], role: Any) -> FloatArray:
    dense = encode_texts(partial(encoder.encode, role=role), texts).dense
    if dense is None:
        raise DataError(f"{encoder.name}: gave no dense vectors, expected some")
    return dense


def _timed_search(
    vectors: QuantizedVectors, queries: FloatArray, count: int
) -> tuple[list[Ranking], float]:
    """Rankings, and how long the fastest of some searches took: others share the machine."""
    taken: list[float] = []
    while True:
        began = time.perf_counter()
        rankings = vectors.nearest(queries, count)
        taken.append(time.perf_counter() - began)
        # The first search also warms caches and threads.
        is_enough = len(taken) > 1 and float(np.sum(taken)) >= _SECONDS_PER_SEARCH
        if is_enough or len(taken) >= _MOST_SEARCHES:
            return rankings, min(taken)


def _measured(rankings: Sequence[Ranking], collection: Collection) -> dict[str, dict[str, float]]:
    documents = collection.documents
    by_query = {
        query.query_id: [documents[row].doc_id for row in ranking.rows.tolist()]
        for query, ranking in zip(collection.queries, rankings, strict=True)
    }
    return measure_rankings(by_query, collection.qrels)
