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
        TrainingError,
    )
    from mgte.evaluate import evaluate
    from mgte.inference import Embedder, RankedDocument, Reranker
    from mgte.model import EncoderConfig
    from mgte.store import load_model, save_model
    from mgte.train import Recipe, train
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
    "Recipe": "train",
    "Reranker": "inference",
    "SparseVectors": "vectors",
    "TrainingError": "errors",
    "evaluate": "evaluate",
    "load_model": "store",
    "save_model": "store",
    "train": "train",
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
    "Recipe",
    "Reranker",
    "SparseVectors",
    "TrainingError",
    "__version__",
    "evaluate",
    "load_model",
    "save_model",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF_NAME:
        raise AttributeError(f"module 'mgte' has no attribute {name!r}")
    home = _ROOM_OF_NAME[name]
    room = import_module(f"mgte.{home}")
    # `mgte.evaluate` and `mgte.train` are rooms that may be called: importing one makes it the
    # attribute anyway.
    value = room if name == home else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
