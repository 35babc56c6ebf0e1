"""Numbers that others published for known checkpoints, beside ours."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgte.cli.parity import token_ids

if TYPE_CHECKING:
    from mgte.inference import Embedder, Reranker

Numbers = NDArray[np.float64]
_FILE = Path(__file__).with_name("published_outputs.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """One published result and how far ours is from it.

    Attributes:
        kind: What was published: "hidden", "cosine", "logit", "single_logit" or "sigmoid".
        max_abs: Largest difference of one number.
        tolerance: What the precision of the publication explains.
        source: Who published it.
    """

    kind: str
    max_abs: float
    tolerance: float
    source: str

    @property
    def is_ok(self) -> bool:
        """Whether the difference is explained by precision."""
        return self.max_abs <= self.tolerance


def known_checkpoints() -> list[str]:
    """Names of the checkpoints that something was published for."""
    return list(json.loads(_FILE.read_text("utf-8"))["checks"])


def checkpoint_of(model: str) -> str | None:
    """Name of the known checkpoint that a hub id or folder stands for."""
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    return next((known for known in known_checkpoints() if known.lower() == name), None)


def compare_published(model: "Embedder | Reranker", checkpoint: str) -> list[PublishedRow]:
    """Run the published texts and compare.

    Args:
        model: The checkpoint, in float32.
        checkpoint: Its name, one of `known_checkpoints`.

    Returns:
        One row per published result.
    """
    data = json.loads(_FILE.read_text("utf-8"))
    rows = []
    for check in data["checks"][checkpoint]:
        ours = _COMPUTE[check["kind"]](model, data["texts"][check["texts"]], check)
        expected = np.array(check["expected"], dtype=np.float64)
        rows.append(
            PublishedRow(
                kind=check["kind"],
                max_abs=float(np.abs(ours - expected).max()),
                tolerance=check["tolerance"],
                source=check["source"],
            )
        )
    return rows


def _hidden(model: "Embedder", texts: list[str], check: dict[str, Any]) -> Numbers:
    """A slice of the last hidden states: tokens `rows`, dimensions `columns`."""
    states = model.hidden_states(token_ids(model, texts))
    rows, columns = slice(*check["rows"]), slice(*check["columns"])
    return np.stack([state[rows, columns] for state in states]).astype(np.float64)


def _cosine(model: "Embedder", texts: list[str], check: dict[str, Any]) -> Numbers:
    """Cosine of the first text, a query, to the others."""
    query, documents = model.encode_query(texts[:1]), model.encode_document(texts[1:])
    scores: Numbers = model.similarity(query, documents)[0].astype(np.float64)
    return scores


def _logit(model: "Reranker", pairs: list[list[str]], check: dict[str, Any]) -> Numbers:
    return model.predict(pairs, activation="none").astype(np.float64)


def _sigmoid(model: "Reranker", pairs: list[list[str]], check: dict[str, Any]) -> Numbers:
    return model.predict(pairs, activation="sigmoid").astype(np.float64)


def _single_logit(model: "Reranker", texts: list[str], check: dict[str, Any]) -> Numbers:
    """Logit of single texts, as if each were a whole pair."""
    return model.predict_ids(token_ids(model, texts))[:, 0].astype(np.float64)


_COMPUTE: dict[str, Callable[[Any, Any, dict[str, Any]], Numbers]] = {
    "hidden": _hidden,
    "cosine": _cosine,
    "logit": _logit,
    "sigmoid": _sigmoid,
    "single_logit": _single_logit,
}
