"""mgte: text retrieval with the GTE family: embed, rerank, search.

Public names are resolved on first use, so that `import mgte` loads neither torch nor anything else
that takes time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mgte._version import __version__

if TYPE_CHECKING:
    from mgte.errors import (
        BackendUnavailableError,
        CheckpointError,
        ConfigError,
        DataError,
        IndexMismatchError,
        MgteError,
        OverloadedError,
    )
    from mgte.evaluate import evaluate
    from mgte.inference import Embedder, RankedDocument, Reranker
    from mgte.model import EncoderConfig
    from mgte.store import load_model, save_model
    from mgte.vectors import Embeddings, SparseVectors

_ROOM_OF_NAME = {
    "BackendUnavailableError": "errors",
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "Embedder": "inference",
    "Embeddings": "vectors",
    "EncoderConfig": "model",
    "IndexMismatchError": "errors",
    "MgteError": "errors",
    "OverloadedError": "errors",
    "RankedDocument": "inference",
    "Reranker": "inference",
    "SparseVectors": "vectors",
    "evaluate": "evaluate",
    "load_model": "store",
    "save_model": "store",
}

__all__ = [
    "BackendUnavailableError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Embedder",
    "Embeddings",
    "EncoderConfig",
    "IndexMismatchError",
    "MgteError",
    "OverloadedError",
    "RankedDocument",
    "Reranker",
    "SparseVectors",
    "__version__",
    "evaluate",
    "load_model",
    "save_model",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF_NAME:
        raise AttributeError(f"module 'mgte' has no attribute {name!r}")
    room = import_module(f"mgte.{_ROOM_OF_NAME[name]}")
    # `mgte.evaluate` is a room that may be called: importing it makes it the attribute anyway.
    value = room if callable(room) else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
