"""What an evaluation gives back: metrics by ranking, per query, with what they were measured on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mgte.evaluate.metrics import MAIN_METRIC


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeResult:
    """One way of ranking.

    Attributes:
        metrics: Metric to its mean over the judged queries.
        per_query: Query id to metric to value.
    """

    metrics: Mapping[str, float]
    per_query: Mapping[str, Mapping[str, float]] = field(repr=False)

    @property
    def main(self) -> float:
        """nDCG@10."""
        return self.metrics[MAIN_METRIC]


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalResult:
    """A model on a collection.

    Attributes:
        collection: Name of the collection.
        split: Which judgements.
        num_documents: Documents that were searched.
        num_queries: Judged queries.
        num_documents_cut: Documents of which the model did not see the end.
        num_queries_cut: Queries of which it did not see the end.
        modes: "dense", "sparse", "hybrid", "reranked", "bm25" to what each reached.
        seconds: Name of a part of the work to how long it took.
        settings: What was asked for, and which model.
        num_own_documents: Queries that stand among the documents themselves; each is left out of
            its own ranking.
    """

    collection: str
    split: str
    num_documents: int
    num_queries: int
    num_documents_cut: int
    num_queries_cut: int
    modes: Mapping[str, ModeResult]
    seconds: Mapping[str, float]
    settings: Mapping[str, Any]
    num_own_documents: int = 0

    @property
    def name(self) -> str:
        """Collection and split."""
        return f"{self.collection}/{self.split}"

    @property
    def metrics(self) -> dict[str, float]:
        """nDCG@10 by way of ranking."""
        return {mode: result.main for mode, result in self.modes.items()}

    def to_dict(self, *, per_query: bool = True) -> dict[str, Any]:
        """Plain values for JSON.

        Args:
            per_query: Whether values of single queries are listed too.

        Returns:
            All fields.
        """
        values = {
            "collection": self.collection,
            "split": self.split,
            "num_documents": self.num_documents,
            "num_queries": self.num_queries,
            "num_documents_cut": self.num_documents_cut,
            "num_queries_cut": self.num_queries_cut,
            "num_own_documents": self.num_own_documents,
            "metrics": {mode: dict(result.metrics) for mode, result in self.modes.items()},
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "settings": dict(self.settings),
        }
        if per_query:
            values["per_query"] = {
                mode: {query_id: dict(row) for query_id, row in result.per_query.items()}
                for mode, result in self.modes.items()
            }
        return values
