"""Items of tasks on texts, as every reader gives them, and the hash of a set of them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredPair:
    """Two texts and how alike people find them.

    Attributes:
        item_id: Number of the pair in the data, from 1.
        first: One text.
        second: The other.
        score: How alike they are, on the scale of the data.
    """

    item_id: str
    first: str
    second: str
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledPair:
    """Two texts that belong together, or do not.

    Attributes:
        item_id: Number of the pair in the data, from 1.
        first: One text.
        second: The other.
        is_positive: Whether they belong together.
        label: Label in the data.
    """

    item_id: str
    first: str
    second: str
    is_positive: bool
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledText:
    """A text and its class.

    Attributes:
        item_id: Number of the text in the data, from 1.
        text: The text.
        label: Its class.
    """

    item_id: str
    text: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TranslationPair:
    """A sentence and its translation.

    Attributes:
        item_id: Number of the pair in the data, from 1.
        source: The sentence.
        target: Its translation.
    """

    item_id: str
    source: str
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateList:
    """A query and the texts that are ranked for it.

    Attributes:
        item_id: Number of the query in the data, from 1.
        query: The query.
        documents: Its candidates, in an order that says nothing of their grades.
        grades: Grade of each candidate; 0 is not relevant.
    """

    item_id: str
    query: str
    documents: tuple[str, ...]
    grades: tuple[int, ...]


TextItem = ScoredPair | LabelledPair | LabelledText | TranslationPair | CandidateList
Item = TypeVar("Item", ScoredPair, LabelledPair, LabelledText, TranslationPair, CandidateList)


def items_hash(*parts: Sequence[TextItem]) -> str:
    """Hash of items: two runs with the same hash measured the same texts in the same order.

    Args:
        parts: Items of each part of the data.

    Returns:
        "sha256-" and sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}\n".encode())
        for item in part:
            line = json.dumps(asdict(item), ensure_ascii=False, sort_keys=True)
            digest.update(line.encode() + b"\n")
    return f"sha256-{digest.hexdigest()[:16]}"


def drawn(items: Sequence[Item], limit: int, seed: int) -> tuple[Item, ...]:
    """At most so many items, drawn at random, in their order.

    Args:
        items: Items.
        limit: How many at most; 0 means all.
        seed: Decides which.

    Returns:
        The items.
    """
    if not 0 < limit < len(items):
        return tuple(items)
    rows = np.random.default_rng(seed).choice(len(items), size=limit, replace=False)
    return tuple(items[row] for row in sorted(rows.tolist()))
