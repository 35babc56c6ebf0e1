"""RetrievalEvaluator: what is measured while a model learns, its folder on BEIR folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mgte.errors import ConfigError
from mgte.evaluate.bm25 import bm25_rankings
from mgte.evaluate.collection import Collection, read_collection
from mgte.evaluate.metrics import mean_metrics, measure_rankings
from mgte.evaluate.rankings import rerank
from mgte.evaluate.retrieval import evaluate_retrieval
from mgte.evaluate.retrieval_config import RetrievalConfig

if TYPE_CHECKING:
    from mgte.train import Stage

# The score that decides which checkpoint is the best: the mean over collections.
MAIN_SCORE = "ndcg_at_10"
# A reranker is measured on its own, by the order that it gives to what BM25 found.
RERANK_DEPTH = 20


class RetrievalEvaluator:
    """Measures a stage's model on the collections that the stage names.

    Args:
        root: Folder from which paths of data count.
        device: Where the model runs: "cpu", "cuda", or "auto" for a GPU where there is one.
    """

    def __init__(self, root: str | Path = ".", device: str = "auto") -> None:
        self._root = Path(root)
        self._device = device
        self._collections: dict[tuple[str, str, int, int], Collection] = {}

    def __call__(self, folder: Path, stage: "Stage", step: int) -> Mapping[str, float]:
        """Measure one model.

        Args:
            folder: The model.
            stage: The stage that it comes from.
            step: Steps that are done.

        Returns:
            nDCG@10 by name, the mean over collections first; nothing where the stage evaluates
            nothing.
        """
        if stage.evaluation is None:
            return {}
        is_reranker = stage.objective.kind == "reranking"
        scores: dict[str, float] = {}
        main: list[float] = []
        for collection in self._read(stage):
            measure = self._measure_reranker if is_reranker else self._measure_embedder
            found = measure(folder, collection)
            main.append(list(found.values())[-1])
            scores |= {f"{collection.name}/{mode}": value for mode, value in found.items()}
        return {MAIN_SCORE: float(np.mean(main)), **scores}

    def check(self, stage: "Stage") -> None:
        """Read a stage's collections, so that a wrong path is found before the first step.

        Args:
            stage: The stage.

        Raises:
            ConfigError: A folder is missing.
            DataError: A collection cannot be read.
        """
        if stage.evaluation is not None:
            self._read(stage)

    def _read(self, stage: "Stage") -> list[Collection]:
        config, found = stage.evaluation, []
        assert config is not None
        for name in config.data:
            key = (name, config.split, config.max_queries, config.max_documents)
            if not (self._root / name).is_dir():
                raise ConfigError(
                    f"stages.{stage.name}.evaluation.data: {self._root / name} is no folder, "
                    "expected one with corpus.jsonl, queries.jsonl and qrels/",
                    hint="paths count from --data-root",
                )
            if key not in self._collections:
                self._collections[key] = read_collection(
                    self._root / name,
                    split=config.split,
                    max_queries=config.max_queries,
                    max_documents=config.max_documents,
                )
            found.append(self._collections[key])
        return found

    def _measure_embedder(self, folder: Path, collection: Collection) -> dict[str, float]:
        """nDCG@10 of every way in which the model ranks; the one for use stands last."""
        from mgte.inference import Embedder

        # The plain module: nothing to prepare for a model that lives for one evaluation, and no
        # change of PyTorch's threads under a training run.
        embedder = Embedder.load(str(folder), device=self._device, backend="torch-eager")
        config = RetrievalConfig(show_progress=False)
        return evaluate_retrieval(embedder, collection, config=config).metrics

    def _measure_reranker(self, folder: Path, collection: Collection) -> dict[str, float]:
        from mgte.inference import Reranker

        reranker = Reranker.load(str(folder), device=self._device, backend="torch-eager")
        by_query = {}
        candidates = bm25_rankings(collection, RERANK_DEPTH)
        for query, ranking in zip(collection.queries, candidates, strict=True):
            rows = ranking.rows.tolist()
            pairs = [(query.text, collection.documents[row].full_text) for row in rows]
            if pairs:
                ranking = rerank(ranking, reranker.score_pairs(pairs).logits[:, 0])
            by_query[query.query_id] = [
                collection.documents[r].doc_id for r in ranking.rows.tolist()
            ]
        metrics = mean_metrics(measure_rankings(by_query, collection.qrels))
        return {"bm25-reranked": metrics[MAIN_SCORE]}
