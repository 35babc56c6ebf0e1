"""MtebCrossEncoder: a PairScorer as mteb's cross-encoder, for its reranking tasks."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgte.errors import DataError
from mgte.evaluate.mteb.model_meta import ModelFacts, make_model_meta
from mgte.evaluate.mteb.mteb_calls import texts_of_batches
from mgte.evaluate.subjects import PairScorer


class MtebCrossEncoder:
    """A `PairScorer` behind mteb's `CrossEncoderProtocol`.

    mteb runs it on reranking tasks, and on retrieval tasks that `convert_to_reranking` gave
    candidates.

    Args:
        reranker: The model.
        max_length: Longest pair in tokens; None where nobody says.
        folder: Folder of the checkpoint, for facts of the model; None for models that others run.

    Raises:
        BackendUnavailableError: mteb is not installed.

    Attributes:
        mteb_model_meta: mteb's record of the model.
    """

    def __init__(
        self,
        reranker: PairScorer,
        *,
        max_length: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self._reranker = reranker
        self.mteb_model_meta = make_model_meta(
            ModelFacts(
                name=reranker.name,
                revision=reranker.revision,
                model_type="cross-encoder",
                max_length=max_length,
                folder=folder,
            )
        )

    def predict(
        self,
        inputs1: Any,
        inputs2: Any,
        *,
        task_metadata: Any,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        **encode_kwargs: Any,
    ) -> NDArray[np.float32]:
        """Score pairs.

        Args:
            inputs1: mteb's data loader of queries, one per pair.
            inputs2: mteb's data loader of documents, one per pair.
            task_metadata: What mteb knows of the task.
            hf_split: Not used.
            hf_subset: Not used.
            prompt_type: Not used.
            **encode_kwargs: Not used: batches are planned by their tokens.

        Returns:
            float32 `[num_pairs]`; higher is more relevant.

        Raises:
            DataError: Queries and documents are not as many, or the model gives NaN.
        """
        queries = texts_of_batches(inputs1, task_metadata.name)
        documents = texts_of_batches(inputs2, task_metadata.name)
        if len(queries) != len(documents):
            raise DataError(
                f"{task_metadata.name}: got {len(queries)} queries and {len(documents)} documents, "
                "expected as many"
            )
        return self._reranker.score(list(zip(queries, documents, strict=True)))
