"""The embedding model whose vectors a dataset of kind "vectors" holds."""

from typing import Any

import numpy as np

from mgte.data import EncodeVectors
from mgte.errors import BackendUnavailableError, ConfigError


def load_teacher(name: str, *, device: str = "auto") -> EncodeVectors:
    """Load what makes a teacher's vectors.

    They are kept in half precision, so the teacher computes in it where that is fast.

    Args:
        name: Model folder, known name or hub id.
        device: Where it runs.

    Returns:
        From texts to vectors, as the model embeds documents.

    Raises:
        ConfigError: The name is empty.
        CheckpointError: There is no such model.
        BackendUnavailableError: The device is not available.
    """
    if not name:
        raise ConfigError("teacher: missing, expected an embedding model for kind vectors")
    from mgte.inference import Embedder

    try:
        embedder = Embedder.load(name, device=device, dtype="bfloat16")
    except BackendUnavailableError:
        embedder = Embedder.load(name, device=device)

    def encode(texts: list[str]) -> "np.ndarray[Any, np.dtype[np.float32]]":
        dense = embedder.encode_document(texts, show_progress=False).dense
        assert dense is not None
        return dense

    return encode
