"""RerankingTask: are the right ones of given candidates ranked first?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgte.errors import ConfigError, DataError
from mgte.evaluate.metrics import measure_rankings
from mgte.evaluate.records import TaskKind, TaskResult, WorstItem
from mgte.evaluate.retrieval_config import HybridConfig
from mgte.evaluate.significance import bootstrap_interval
from mgte.evaluate.subjects.subject import PairScorer, Subject, TextEncoder
from mgte.evaluate.tasks.task import Task, TaskContext
from mgte.evaluate.tasks.text_parts import (
    TextPart,
    task_settings,
    text_parts,
    timed,
    worst_first,
    worst_item,
)
from mgte.evaluate.text_data import (
    CandidateLayout,
    CandidateList,
    TextDataConfig,
    candidate_lists,
    drawn,
    items_hash,
)
from mgte.vectors import Embeddings

Variant = Literal["dense", "sparse", "hybrid", "reranked"]
VARIANTS: tuple[Variant, ...] = ("dense", "sparse", "hybrid", "reranked")
Scores = NDArray[np.float64]
_RANKED = ("map", "mrr_at_10", "ndcg_at_10")


@dataclass(frozen=True, kw_only=True, slots=True)
class RerankingConfig:
    """Queries with given candidates.

    Attributes:
        kind: "reranking".
        name: Name of the task.
        data: Where the queries lie.
        layout: How candidates stand in the data; see `candidate_lists`.
        query: Field of the query.
        document: Field of candidates.
        grade: Field of grades, or of the place of the right candidate.
        main_metric: Metric that stands in tables; "accuracy" is the share of queries whose first
            candidate is relevant.
    """

    kind: Literal["reranking"] = "reranking"
    name: str
    data: TextDataConfig
    layout: CandidateLayout = "rows"
    query: str = "query"
    document: str = "document"
    grade: str = "grade"
    main_metric: Literal["map", "mrr_at_10", "ndcg_at_10", "accuracy"] = "map"


class RerankingTask(Task[RerankingConfig]):
    """Rankings of the candidates of each query, by every similarity that the subject has.

    "dense" and "sparse" compare vectors, "hybrid" adds both scores, "reranked" scores pairs. Equal
    scores are ranked in an order that knows nothing of the grades. Queries of which all candidates,
    or none, are relevant are left out, as no ranking of them is better than another.
    """

    kind: TaskKind = "reranking"

    def run(self, subject: Subject, context: TaskContext) -> list[TaskResult]:
        """Measure a subject.

        Args:
            subject: What is measured.
            context: How; of its modes, all but "bm25" count here.

        Returns:
            One result per subset and variant.

        Raises:
            DataError: The data, vectors or scores cannot be used.
            ConfigError: The subject can do none of the modes.
            BackendUnavailableError: pytrec_eval is not installed.
        """
        variants = self._variants(subject, context)
        return [
            result
            for part in text_parts(self.config.data, self.root)
            for result in self._measure(part, subject, variants, context)
        ]

    def _variants(self, subject: Subject, context: TaskContext) -> list[Variant]:
        encoder = subject.encoder
        has_dense = encoder is not None and encoder.has_dense
        has_sparse = encoder is not None and encoder.has_sparse
        able: dict[Variant, bool] = {
            "dense": has_dense,
            "sparse": has_sparse,
            "hybrid": has_dense and has_sparse,
            "reranked": subject.reranker is not None,
        }
        found = [v for v in VARIANTS if able[v] and (not context.modes or v in context.modes)]
        if not found:
            raise ConfigError(
                f"{self.name}: got the modes {', '.join(context.modes)}, expected one that the "
                f"models can do: {', '.join(v for v in VARIANTS if able[v])}"
            )
        return found

    def _measure(
        self,
        part: TextPart,
        subject: Subject,
        variants: Sequence[Variant],
        context: TaskContext,
    ) -> list[TaskResult]:
        config = self.config
        rows = part.rows()
        lists = drawn(
            candidate_lists(
                rows,
                layout=config.layout,
                query=part.field(config.query),
                document=part.field(config.document),
                grade=part.field(config.grade),
            ),
            config.data.max_items,
            context.seed,
        )
        counts = {
            "num_candidates": sum(len(item.documents) for item in lists),
            "num_relevant": sum(grade > 0 for item in lists for grade in item.grades),
        }
        results = []
        for variant, scores, seconds, facts in _scored(
            lists, subject, variants, context.retrieval.hybrid
        ):
            per_query = ranking_values(lists, scores)
            main = [values[config.main_metric] for values in per_query]
            results.append(
                TaskResult(
                    task=self.name,
                    kind="reranking",
                    main_metric=config.main_metric,
                    metrics={
                        name: float(np.mean([values[name] for values in per_query]))
                        for name in per_query[0]
                    },
                    num_items=len(lists),
                    variant=variant,
                    split=config.data.split,
                    subset=part.subset,
                    language=part.language,
                    interval=bootstrap_interval(main, seed=context.seed),
                    per_item={q.item_id: v for q, v in zip(lists, main, strict=True)},
                    worst=_worst(lists, scores, main),
                    facts={**facts, **counts},
                    settings=task_settings(config, context),
                    seconds=seconds,
                    dataset_hash=items_hash(lists),
                )
            )
        return results


def ranking_values(
    lists: Sequence[CandidateList], scores: Sequence[Scores]
) -> list[dict[str, float]]:
    """Metrics of every query.

    Args:
        lists: Queries with their candidates.
        scores: Per query one score per candidate, `[num_candidates]`.

    Returns:
        Per query "map", "mrr_at_10", "ndcg_at_10", and "accuracy": is the first one relevant?

    Raises:
        BackendUnavailableError: pytrec_eval is not installed.
    """
    orders = {
        item.item_id: np.argsort(-values, kind="stable").tolist()
        for item, values in zip(lists, scores, strict=True)
    }
    measured = measure_rankings(
        {item_id: [str(place) for place in order] for item_id, order in orders.items()},
        {
            item.item_id: {str(place): grade for place, grade in enumerate(item.grades)}
            for item in lists
        },
    )
    return [
        {name: measured[item.item_id][name] for name in _RANKED}
        | {"accuracy": float(item.grades[orders[item.item_id][0]] > 0)}
        for item in lists
    ]


_Found = tuple[Variant, list[Scores], Mapping[str, float], Mapping[str, int]]


def _scored(
    lists: Sequence[CandidateList],
    subject: Subject,
    variants: Sequence[Variant],
    hybrid: HybridConfig,
) -> list[_Found]:
    """Scores of all candidates by variant, with the time that they took."""
    found: list[_Found] = []
    if subject.encoder is not None and {*variants} - {"reranked"}:
        found += _by_vectors(lists, subject.encoder, variants, hybrid)
    if subject.reranker is not None and "reranked" in variants:
        seconds: dict[str, float] = {}
        with timed(seconds, "rerank"):
            scores = _by_pairs(lists, subject.reranker)
        found.append(("reranked", scores, seconds, {}))
    return found


def _by_vectors(
    lists: Sequence[CandidateList],
    encoder: TextEncoder,
    variants: Sequence[Variant],
    hybrid: HybridConfig,
) -> list[_Found]:
    seconds: dict[str, float] = {}
    is_sparse = bool({"sparse", "hybrid"} & {*variants})
    texts = [text for item in lists for text in item.documents]
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    with timed(seconds, "embed"):
        queries = encoder.encode([item.query for item in lists], role="query", sparse=is_sparse)
        documents = encoder.encode(list(distinct), role="document", sparse=is_sparse)
    owners = [row for row, item in enumerate(lists) for _ in item.documents]
    places = [distinct[text] for text in texts]
    ends = np.cumsum([len(item.documents) for item in lists])[:-1]
    facts = {
        "num_texts": len(queries) + len(documents),
        "num_truncated": int(queries.is_truncated.sum() + documents.is_truncated.sum()),
    }
    scores: dict[Variant, list[Scores]] = {}
    spent: dict[Variant, dict[str, float]] = {}
    singles: dict[Variant, bool] = {"dense": encoder.has_dense, "sparse": is_sparse}
    for variant in [variant for variant, is_there in singles.items() if is_there]:
        spent[variant] = dict(seconds)
        with timed(spent[variant], "score"):
            values = _compared(queries, documents, owners, places, variant)
        if not np.isfinite(values).all():
            raise DataError(f"{encoder.name}: gave NaN or infinity, expected numbers")
        scores[variant] = np.split(values, ends)
    if "hybrid" in variants:
        spent["hybrid"] = {
            "embed": seconds["embed"],
            "score": spent["dense"]["score"] + spent["sparse"]["score"],
        }
        scores["hybrid"] = [
            _added(dense, sparse, hybrid)
            for dense, sparse in zip(scores["dense"], scores["sparse"], strict=True)
        ]
    return [(v, scores[v], spent[v], facts) for v in scores if v in variants]


def _added(dense: Scores, sparse: Scores, config: HybridConfig) -> Scores:
    """Hybrid scores of the candidates of one query, all of which both searches know."""
    largest = float(sparse.max())
    if config.sparse_scale == "query" and largest > 0.0:
        sparse = sparse / largest
    return dense + config.sparse_weight * sparse


def _compared(
    queries: Embeddings,
    documents: Embeddings,
    owners: Sequence[int],
    places: Sequence[int],
    variant: Variant,
) -> Scores:
    """Similarity of each candidate with its query."""
    if variant == "sparse" and queries.sparse is not None and documents.sparse is not None:
        scores = queries.sparse.take(owners).dot_rows(documents.sparse.take(places))
        return scores.astype(np.float64)
    if variant == "dense" and queries.dense is not None and documents.dense is not None:
        pairs = np.einsum("ij,ij->i", queries.dense[owners], documents.dense[places])
        return np.asarray(pairs, dtype=np.float64)
    raise DataError(f"model: gave no {variant} vectors, expected some")


def _by_pairs(lists: Sequence[CandidateList], reranker: PairScorer) -> list[Scores]:
    pairs = [(item.query, text) for item in lists for text in item.documents]
    scores = np.asarray(reranker.score(pairs), dtype=np.float64)
    if scores.shape != (len(pairs),) or not np.isfinite(scores).all():
        raise DataError(f"{reranker.name}: gave NaN or too few scores, expected {len(pairs):,}")
    return np.split(scores, np.cumsum([len(item.documents) for item in lists])[:-1])


def _worst(
    lists: Sequence[CandidateList], scores: Sequence[Scores], main: Sequence[float]
) -> tuple[WorstItem, ...]:
    items = []
    for row in worst_first(main):
        item, values = lists[row], scores[row]
        relevant = [place for place, grade in enumerate(item.grades) if grade > 0]
        best = relevant[int(np.argmax(values[relevant]))]
        items.append(
            worst_item(
                item.item_id,
                main[row],
                item.query,
                item.documents[best],
                item.documents[int(np.argmax(values))],
            )
        )
    return tuple(items)
