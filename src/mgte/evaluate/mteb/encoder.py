"""MtebEncoder: a TextEncoder as mteb's encoder, for every kind of text task."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgte.errors import ConfigError, DataError, MgteError
from mgte.evaluate.mteb.model_meta import ModelFacts, make_model_meta
from mgte.evaluate.mteb.mteb_calls import texts_of_batches
from mgte.evaluate.mteb.task_encoder import TaskEncoder
from mgte.evaluate.subjects import ROLES, Role, TextEncoder
from mgte.search import FloatArray, encode_texts
from mgte.store import open_model

_HASH_DIGITS = 8


class MtebEncoder:
    """A `TextEncoder` behind mteb's `EncoderProtocol`.

    Args:
        encoder: The model.
        prompts: Prompts by mteb's keys: task ("SciFact"), type of task ("STS"), side ("query",
            "document"), or the first two with a side ("SciFact-query"). None means those of the
            model's own files; where they say nothing of a task, its prompts by role.
        width: Leading dimensions of the vectors (elastic embedding); None means all.
        folder: Folder of the checkpoint, for facts of the model; None for models that others run.

    Raises:
        ConfigError: The model gives no vectors of this width.
        BackendUnavailableError: mteb is not installed.

    Attributes:
        mteb_model_meta: mteb's record of the model.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        *,
        prompts: Mapping[str, str] | None = None,
        width: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self._encoder = encoder
        self._prompts = dict(prompts or prompts_of_tasks(folder))
        self._width = checked_width(encoder, width)
        self.mteb_model_meta = make_model_meta(
            ModelFacts(
                name=encoder.name,
                revision=encoder.revision,
                max_length=encoder.max_length,
                width=self._width,
                is_cosine=encoder.is_cosine,
                has_prompts=bool(self._prompts),
                folder=folder,
                experiment=differences(encoder, prompts or {}, self._width),
            )
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        **encode_kwargs: Any,
    ) -> FloatArray:
        """Embed the texts of a task; equal texts are embedded once.

        Args:
            inputs: mteb's data loader.
            task_metadata: What mteb knows of the task.
            hf_split: Not used.
            hf_subset: Not used.
            prompt_type: "query" or "document" (mteb's `PromptType`), or None.
            **encode_kwargs: Not used: batches are planned by their tokens.

        Returns:
            float32 `[num_texts, width]`.

        Raises:
            DataError: A batch holds no text, or the model gives NaN or no dense vectors.
        """
        texts = texts_of_batches(inputs, task_metadata.name)
        if not texts:
            return np.zeros((0, self._width), dtype=np.float32)
        encoder = TaskEncoder(
            self._encoder,
            self._prompts,
            task_name=task_metadata.name,
            task_type=task_metadata.type,
            width=self._width,
        )
        dense = encode_texts(partial(encoder.encode, role=role_of(prompt_type)), texts).dense
        if dense is None:
            raise DataError(f"{task_metadata.name}: {encoder.name} gave no dense vectors")
        return dense

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarity of all pairs.

        Args:
            embeddings1: `[num, width]`, or one vector.
            embeddings2: `[num, width]`, or one vector.

        Returns:
            float32 `[num1, num2]`: cosine, or the dot product where the model asks for it.
        """
        return self._prepared(embeddings1) @ self._prepared(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Similarity of row i with row i.

        Args:
            embeddings1: `[num, width]`.
            embeddings2: `[num, width]`.

        Returns:
            float32 `[num]`.
        """
        return (self._prepared(embeddings1) * self._prepared(embeddings2)).sum(dim=1)

    def _prepared(self, embeddings: Any) -> Tensor:
        vectors: Tensor = torch.atleast_2d(torch.as_tensor(embeddings).float())
        # mteb may change vectors between encoding and comparing, as where it quantises them.
        if self._encoder.is_cosine:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors


def role_of(prompt_type: Any) -> Role:
    """The role of texts.

    Args:
        prompt_type: mteb's `PromptType`, its text, or None.

    Returns:
        "query", "document", or "text" for None.
    """
    value = str(getattr(prompt_type, "value", prompt_type))
    if value == "query":
        return "query"
    return "document" if value == "document" else "text"


def prompts_of_tasks(folder: Path | None) -> dict[str, str]:
    """Prompts that a model folder has for tasks or types of tasks of mteb.

    Args:
        folder: Folder of the checkpoint; None for models that others run.

    Returns:
        Prompts by mteb's keys, without those by side alone, which follow from the role.
    """
    if folder is None:
        return {}
    try:
        prompts = open_model(folder, offline=True).settings.prompts
    except MgteError:
        return {}
    return {name: text for name, text in prompts.items() if name not in ROLES}


def checked_width(encoder: TextEncoder, width: int | None) -> int:
    """The width that vectors get.

    Args:
        encoder: The model.
        width: What was asked for; None means the full width.

    Returns:
        The width.

    Raises:
        ConfigError: The model gives no vectors of this width, or no dense vectors at all.
    """
    if not encoder.has_dense:
        raise ConfigError(f"width: {encoder.name} has no dense vectors, expected a model with some")
    full = encoder.widths[-1]
    if width is not None and not 1 <= width <= full:
        raise ConfigError(f"width: got {width}, expected 1 to {full}")
    return width or full


def differences(
    encoder: TextEncoder, prompts: Mapping[str, str], width: int | None
) -> dict[str, Any]:
    """What differs from the plain model: mteb keeps such results apart.

    Args:
        encoder: The model.
        prompts: Prompts by mteb's keys.
        width: Width of its dense vectors; None without.

    Returns:
        Names and values.
    """
    differs: dict[str, Any] = {}
    if width is not None and width != encoder.widths[-1]:
        differs["width"] = width
    if prompts:
        text = json.dumps(dict(prompts), sort_keys=True)
        differs["prompts"] = hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
    return differs
