"""varlen_attention: the one attention call of the package. It picks a backend and runs it."""

import logging
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from mgte.errors import BackendUnavailableError, ConfigError
from mgte.model.attention_backends import BACKENDS, AttentionBackend, AttentionSpec
from mgte.packing import PackedBatch

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """Name of the backend that was taken, and why each one before it was not."""

    backend: AttentionBackend
    refused: tuple[tuple[str, str], ...]


def varlen_attention(
    q: Float[Tensor, "tokens heads head_dim"],
    k: Float[Tensor, "tokens kv_heads head_dim"],
    v: Float[Tensor, "tokens kv_heads head_dim"],
    batch: PackedBatch,
    spec: AttentionSpec,
    *,
    backend: str = "auto",
) -> Float[Tensor, "tokens heads head_dim"]:
    """Softmax attention of every token to the tokens of its own sequence.

    Args:
        q: Queries.
        k: Keys; fewer heads than queries for grouped attention.
        v: Values.
        batch: Where sequences start and end.
        spec: Window, direction and scale.
        backend: Name of a backend, or "auto" for the first that supports the case.

    Returns:
        One vector per token and query head.

    Raises:
        ConfigError: The backend's name is unknown.
        BackendUnavailableError: The named backend does not support this case.
    """
    return choose_backend(backend, q.device.type, q.dtype, spec).backend.run(q, k, v, batch, spec)


@cache
def choose_backend(
    name: str, device: str, dtype: torch.dtype, spec: AttentionSpec
) -> BackendChoice:
    """The named backend, or with "auto" the first in order that supports the case.

    Args:
        name: Backend name or "auto".
        device: Device type, such as "cpu" or "cuda".
        dtype: Dtype of queries, keys and values.
        spec: Window, direction and scale.

    Returns:
        The backend and the reasons against those tried before.

    Raises:
        ConfigError: The name is unknown.
        BackendUnavailableError: The named backend does not support this case.
    """
    if name != "auto":
        if name not in BACKENDS:
            raise ConfigError(
                f"attention backend: got {name!r}, expected one of auto, {', '.join(BACKENDS)}"
            )
        reason = BACKENDS[name].unsupported(device, dtype, spec)
        if reason is not None:
            raise BackendUnavailableError(
                f"attention backend {name!r} {reason}", hint="use attention backend 'auto'"
            )
        return BackendChoice(BACKENDS[name], ())
    refused: list[tuple[str, str]] = []
    for backend in BACKENDS.values():
        reason = backend.unsupported(device, dtype, spec)
        if reason is None:
            _logger.debug("attention on %s in %s: backend %s", device, dtype, backend.name)
            return BackendChoice(backend, tuple(refused))
        refused.append((backend.name, reason))
    raise BackendUnavailableError(
        f"no attention backend supports {dtype} on {device}: "
        + "; ".join(f"{tried} {reason}" for tried, reason in refused)
    )
