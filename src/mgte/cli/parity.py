"""How far a backend, a dtype and a batch shape are from exact results, measured on one model.

Exact means: float32, the plain module, every text alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mgte.cli.options import REFERENCE_BACKEND, LoadSettings
from mgte.errors import BackendUnavailableError, ConfigError, MgteError

if TYPE_CHECKING:
    from mgte.inference import Embedder, Reranker

ModelKind = Literal["embedding", "reranking"]
Sequences = Sequence[Sequence[int]]
Rows = NDArray[np.float32]

SHAPES = ("one by one", "packed", "shuffled, small")
# Lowest cosine to the exact vector that we accept: float32 differs by rounding only, bfloat16
# keeps 8 bits of mantissa, int8 keeps 7 bits and a scale per channel.
LOWEST_COSINE = {"float32": 0.99999, "bfloat16": 0.999, "float16": 0.9999, "int8": 0.99}
# Largest difference of a logit that we accept.
LARGEST_DIFFERENCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02, "int8": 0.5}
_SMALL_BATCH_TOKENS = 64
_TOP_K = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ParityRow:
    """One line of the report.

    Attributes:
        backend: Name of the backend.
        dtype: Dtype it computed in.
        shape: How the texts were put into batches.
        min_cosine: Lowest cosine to the exact vector; None for rerankers.
        max_abs: Largest difference of one number.
        top_k_overlap: Share of the exact nearest neighbours (or best documents) that are kept.
        is_ok: Whether this is what the dtype can give.
        reason: Why it was not measured.
    """

    backend: str
    dtype: str
    shape: str
    min_cosine: float | None = None
    max_abs: float | None = None
    top_k_overlap: float | None = None
    is_ok: bool | None = None
    reason: str | None = None


@dataclass(kw_only=True, slots=True)
class ParityReport:
    """All lines, and what they were measured on."""

    kind: ModelKind
    num_sequences: int
    num_tokens: int
    rows: list[ParityRow] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Whether nothing that was measured is worse than its dtype explains."""
        return all(row.is_ok is not False for row in self.rows)


def measure(
    model: str,
    kind: ModelKind,
    sequences: Sequences,
    *,
    settings: LoadSettings,
    backends: Sequence[str],
    dtypes: Sequence[str],
) -> ParityReport:
    """Measure every combination of backend, dtype and batch shape.

    Args:
        model: Folder, hub id or bundled name.
        kind: What the model gives.
        sequences: Token ids to measure on.
        settings: How the model is loaded; backend and dtype are replaced.
        backends: Backends to measure.
        dtypes: Dtypes to measure.

    Returns:
        The report; what is not available here has a line with the reason.
    """
    report = ParityReport(
        kind=kind, num_sequences=len(sequences), num_tokens=sum(len(ids) for ids in sequences)
    )
    exact = results(
        load(model, kind, settings, backend=REFERENCE_BACKEND, dtype="float32"),
        sequences,
        "one by one",
    )
    for backend in backends:
        for dtype in dtypes:
            try:
                loaded = load(model, kind, settings, backend=backend, dtype=dtype)
            except (BackendUnavailableError, ConfigError) as error:
                report.rows.append(
                    ParityRow(backend=backend, dtype=dtype, shape="-", reason=error.message)
                )
                continue
            for shape in SHAPES:
                try:
                    found = results(loaded, sequences, shape)
                except MgteError as error:
                    row = ParityRow(
                        backend=backend, dtype=dtype, shape=shape, is_ok=False, reason=error.message
                    )
                else:
                    row = compare(kind, exact, found, backend=backend, dtype=dtype, shape=shape)
                report.rows.append(row)
    return report


def load(
    model: str, kind: ModelKind, settings: LoadSettings, *, backend: str, dtype: str
) -> "Embedder | Reranker":
    """The model on one backend in one dtype."""
    from mgte.inference import Embedder, Reranker

    chosen: LoadSettings = {**settings, "backend": backend, "dtype": dtype}
    if kind == "embedding":
        return Embedder.load(model, **chosen)
    return Reranker.load(model, **chosen)


def token_ids(model: "Embedder | Reranker", texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts, special tokens included."""
    tokens = model.tokenizer.encode(texts, max_length=model.max_length)
    return [ids.tolist() for ids in tokens.ids]


def results(model: "Embedder | Reranker", sequences: Sequences, shape: str) -> Rows:
    """Vectors or logits `[num_sequences, width]`, computed in one batch shape."""
    if shape == "one by one":
        return np.concatenate([_run(model, [ids]) for ids in sequences])
    if shape == "packed":
        return _run(model, sequences)
    order = np.random.default_rng(0).permutation(len(sequences))
    found = [
        _run(model, [sequences[index] for index in group])
        for group in np.array_split(order, max(1, len(order) // 3))
    ]
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return np.concatenate(found)[back]


def compare(
    kind: ModelKind, exact: Rows, found: Rows, *, backend: str, dtype: str, shape: str
) -> ParityRow:
    """One line: the distance between exact and found results."""
    max_abs = float(np.abs(exact - found).max())
    if kind == "reranking":
        scores, other = exact[:, 0], found[:, 0]
        overlap = _overlap(-scores[None], -other[None])
        is_ok = max_abs <= LARGEST_DIFFERENCE[dtype]
        min_cosine = None
    else:
        min_cosine = float((_unit(exact) * _unit(found)).sum(axis=1).min().clip(max=1.0))
        overlap = _overlap(_distances(exact), _distances(found))
        is_ok = min_cosine >= LOWEST_COSINE[dtype]
    return ParityRow(
        backend=backend,
        dtype=dtype,
        shape=shape,
        min_cosine=min_cosine,
        max_abs=max_abs,
        top_k_overlap=overlap,
        is_ok=is_ok and bool(np.isfinite(found).all()),
    )


def _run(model: "Embedder | Reranker", sequences: Sequences) -> Rows:
    from mgte.inference import Embedder

    if not isinstance(model, Embedder):
        return model.predict_ids(sequences)
    dense = model.encode_ids(
        sequences, max_tokens_per_batch=None if len(sequences) > 3 else _SMALL_BATCH_TOKENS
    ).dense
    if dense is None:
        raise TypeError("encode_ids gave no dense vectors")
    return dense


def _distances(vectors: Rows) -> NDArray[np.float64]:
    """Negative cosine of each vector to each other one; infinite to itself."""
    unit = _unit(vectors)
    distances: NDArray[np.float64] = -(unit @ unit.T)
    np.fill_diagonal(distances, np.inf)
    return distances


def _overlap(exact: NDArray[Any], found: NDArray[Any]) -> float:
    """Mean share of the `k` smallest entries of each row that both have."""
    k = max(1, min(_TOP_K, exact.shape[1] // 2))
    pairs = zip(np.argsort(exact, axis=1)[:, :k], np.argsort(found, axis=1)[:, :k], strict=True)
    return float(np.mean([len(set(a.tolist()) & set(b.tolist())) / k for a, b in pairs]))


def _unit(vectors: Rows) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return unit
