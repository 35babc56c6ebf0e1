"""mine_negatives: documents that a model takes for answers and that are none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.data import text_hash
from mgte.errors import DataError
from mgte.inference import Embedder
from mgte.search.encoding import comparing_device, encode_texts
from mgte.search.mining_report import Candidate, MiningReport
from mgte.search.mining_rules import (
    MiningConfig,
    Sifted,
    by_falling_score,
    reference_score,
    sift,
)
from mgte.search.nearest import DocumentVectors
from mgte.search.ranking import FloatArray, IntArray, Ranking
from mgte.text import TrainingGroup

# Scores (query, document) pairs: `Reranker.predict` with raw scores, or another embedder's `score`.
Teacher = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]

_QUERIES_PER_BLOCK = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Mined:
    """What mining gives.

    Attributes:
        groups: Queries with positives, negatives and their scores: the teacher's, or the
            embedder's cosines without one. Negatives stand by falling score.
        report: Counts and examples.
    """

    groups: list[TrainingGroup]
    report: MiningReport


def mine_negatives(
    groups: Sequence[TrainingGroup],
    embedder: Embedder,
    *,
    corpus: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    teacher: Teacher | None = None,
    config: MiningConfig | None = None,
    encode_options: dict[str, Any] | None = None,
) -> Mined:
    """Choose hard negatives for every query from the documents nearest to it.

    The search is exact. Memory is needed for the vectors of one source, and for the scores of some
    hundred queries. The same inputs give the same negatives. A text that differs from a positive
    in case, width or white space only counts as the positive, as everywhere in training.

    Args:
        groups: Queries with their positives; known negatives serve as documents.
        embedder: The model that searches.
        corpus: Documents that are searched, beside all positives. By source: those of the query's
            source, beside all documents of its groups; None means these alone.
        teacher: Scores the query's positives and candidates again; leaves out false negatives,
            and its scores are the ones that are written.
        config: The rules; None means the defaults.
        encode_options: Options of `Embedder.encode_query` and `encode_document`.

    Returns:
        Groups in the given order, without those that have too few negatives, and the report.

    Raises:
        DataError: There is no group, a positive is empty, or a model gives NaN.
    """
    config = config or MiningConfig()
    if not groups:
        raise DataError("groups: got none, expected at least one")
    for group in groups:
        if not all(text.strip() for text in group.positives):
            raise DataError(f"query {group.query[:60]!r}: has an empty positive, expected text")
    report = MiningReport(settings={name: str(value) for name, value in asdict(config).items()})
    rows_of_source: dict[str, list[int]] = {}
    by_source = {} if corpus is None else corpus
    is_shared = not isinstance(by_source, Mapping)
    for row, group in enumerate(groups):
        rows_of_source.setdefault("" if is_shared else group.source, []).append(row)
    mined: dict[int, TrainingGroup] = {}
    for source_name, rows in rows_of_source.items():
        chosen = [groups[row] for row in rows]
        more = by_source.get(source_name, ()) if isinstance(by_source, Mapping) else by_source
        documents = dict.fromkeys([*more, *_documents_of(chosen, with_negatives=not is_shared)])
        texts = [text for text in documents if text.strip()]
        source = _Source(chosen, texts, embedder, encode_options or {})
        for start in range(0, len(rows), _QUERIES_PER_BLOCK):
            block = range(start, min(start + _QUERIES_PER_BLOCK, len(rows)))
            seeds = [rows[index] for index in block]
            for row, result in zip(
                seeds, source.mine(block, seeds, teacher, config, report), strict=True
            ):
                if result is not None:
                    mined[row] = result
    return Mined(groups=[mined[row] for row in sorted(mined)], report=report)


class _Source:
    """Queries and documents that are compared with each other."""

    def __init__(
        self,
        groups: Sequence[TrainingGroup],
        texts: list[str],
        embedder: Embedder,
        encode_options: dict[str, Any],
    ) -> None:
        self._groups = groups
        self._texts = texts
        self._row_of_text = {text: row for row, text in enumerate(texts)}
        self._rows_of_key: dict[int, list[int]] = {}
        for row, text in enumerate(texts):
            self._rows_of_key.setdefault(text_hash(text), []).append(row)
        # A query that stands in several groups has the answers of all of them.
        self._answers: dict[int, set[int]] = {}
        for group in groups:
            self._answers.setdefault(text_hash(group.query), set()).update(
                map(text_hash, group.positives)
            )
        encode_query = partial(embedder.encode_query, **encode_options)
        encode_document = partial(embedder.encode_document, **encode_options)
        queries = encode_texts(encode_query, [group.query for group in groups]).dense
        documents = encode_texts(encode_document, texts).dense
        if queries is None or documents is None:
            raise DataError("the model gave no dense vectors, expected some to search with")
        self._queries, self._documents = queries, documents
        # Queries come block by block; the documents are moved to the device once.
        self._placed = DocumentVectors(documents, device=comparing_device(embedder))

    def mine(
        self,
        block: range,
        seeds: Sequence[int],
        teacher: Teacher | None,
        config: MiningConfig,
        report: MiningReport,
    ) -> list[TrainingGroup | None]:
        """Groups of some queries; None for a query with too few negatives."""
        forbidden = [self._forbidden_rows(self._groups[index]) for index in block]
        # So many that the last rank of the window is reached in any case.
        count = config.window[1] + max(len(rows) for rows in forbidden)
        rankings = self._placed.nearest(self._queries[block.start : block.stop], count)
        pending = []
        for index, seed, rows, ranking in zip(block, seeds, forbidden, rankings, strict=True):
            group = self._groups[index]
            scores = self._positive_scores(index)
            random = np.random.default_rng([config.seed, seed])
            is_forbidden = np.isin(ranking.rows, list(rows))
            reference = reference_score(scores, config)
            sifted = sift(ranking, is_forbidden, reference, config, random)
            one = _Pending(
                group=group,
                ranking=ranking,
                kept=sifted.kept,
                scores=scores,
                reference=reference,
            )
            self._report(report, one, sifted)
            pending.append(one)
        if teacher is not None:
            pending = self._rescore(pending, teacher, config, report)
        return [self._finish(one, config, report) for one in pending]

    def _forbidden_rows(self, group: TrainingGroup) -> set[int]:
        keys = {text_hash(group.query)} | self._answers[text_hash(group.query)]
        return {row for key in keys for row in self._rows_of_key.get(key, ())}

    def _positive_scores(self, index: int) -> FloatArray:
        rows = [self._row_of_text[text] for text in self._groups[index].positives]
        scores: FloatArray = self._documents[rows] @ self._queries[index]
        return scores

    def _rescore(
        self,
        pending: "list[_Pending]",
        teacher: Teacher,
        config: MiningConfig,
        report: MiningReport,
    ) -> "list[_Pending]":
        """Scores of the teacher for positives and the first candidates, without false negatives."""
        pools = [one.kept[: config.teacher_pool * config.num_negatives] for one in pending]
        pairs = []
        for one, pool in zip(pending, pools, strict=True):
            texts = [*one.group.positives, *(self._text(one, position) for position in pool)]
            pairs += [(one.group.query, text) for text in texts]
        values = np.asarray(teacher(pairs), dtype=np.float32)
        if values.shape != (len(pairs),) or not np.isfinite(values).all():
            raise DataError(
                f"teacher: got scores of shape {values.shape} or NaN, expected {len(pairs)} numbers"
            )
        rescored, start = [], 0
        for one, pool in zip(pending, pools, strict=True):
            split = start + len(one.group.positives)
            positives, candidates = values[start:split], values[split : split + len(pool)]
            start = split + len(pool)
            reference = reference_score(positives, config)
            is_false = candidates > reference - config.teacher_margin
            report.left_out["teacher"] += int(is_false.sum())
            new = replace(
                one, kept=pool, scores=positives, reference=reference, kept_scores=candidates
            )
            worst = np.flatnonzero(is_false)[np.argsort(-candidates[is_false])[:1]]
            report.note("teacher", self._candidates(new, pool[worst], candidates[worst]))
            rescored.append(replace(new, kept=pool[~is_false], kept_scores=candidates[~is_false]))
        return rescored

    def _finish(
        self, one: "_Pending", config: MiningConfig, report: MiningReport
    ) -> TrainingGroup | None:
        source = one.group.source
        kept = one.kept[: config.num_negatives]
        if len(kept) < config.min_negatives:
            report.num_without[source] += 1
            return None
        scores = one.ranking.scores[kept] if one.kept_scores is None else one.kept_scores
        scores = scores[: len(kept)]
        order = by_falling_score(np.arange(len(kept)), scores)
        report.num_written[source] += 1
        report.num_negatives[source] += len(kept)
        report.note("kept", self._candidates(one, kept[order[:1]], scores[order[:1]]))
        return replace(
            one.group,
            negatives=tuple(self._text(one, position) for position in kept[order]),
            positive_scores=tuple(one.scores.tolist()),
            negative_scores=tuple(scores[order].tolist()),
        )

    def _report(self, report: MiningReport, one: "_Pending", sifted: Sifted) -> None:
        source, ranking = one.group.source, one.ranking
        report.num_queries[source] += 1
        report.left_out["duplicate"] += len(sifted.duplicates)
        report.left_out["margin"] += len(sifted.too_close)
        report.left_out["window"] += sifted.num_outside
        if len(ranking) < len(self._texts) and one.scores.min() < ranking.scores[-1]:
            report.num_positives_outside[source] += 1
        close = sifted.too_close[:1]
        report.note("margin", self._candidates(one, close, ranking.scores[close]))

    def _candidates(
        self, one: "_Pending", positions: IntArray, scores: FloatArray
    ) -> list[Candidate]:
        return [
            Candidate(
                closeness=float(score) - one.reference,
                score=float(score),
                positive_score=one.reference,
                query=one.group.query,
                positive=one.group.positives[int(one.scores.argmax())],
                document=self._text(one, position),
                source=one.group.source,
            )
            for position, score in zip(positions, scores, strict=True)
        ]

    def _text(self, one: "_Pending", position: np.int64) -> str:
        return self._texts[int(one.ranking.rows[position])]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Pending:
    """A query on its way: positions in its ranking, in the order in which they are wanted."""

    group: TrainingGroup
    ranking: Ranking
    kept: IntArray
    scores: FloatArray
    reference: float
    kept_scores: FloatArray | None = None


def _documents_of(groups: Sequence[TrainingGroup], with_negatives: bool) -> list[str]:
    """Positives, whose scores are needed anyway, and known negatives."""
    texts = [text for group in groups for text in group.positives]
    if with_negatives:
        texts += [text for group in groups for text in group.negatives]
    return texts
