"""How many tokens a row of a dataset puts through the model, at most."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mgte.data.batches import IntArray
from mgte.data.config import DataConfig, DatasetKind
from mgte.data.training_rows import TrainingRows
from mgte.errors import ConfigError

# What batches are made for.
LoadKind = Literal["masked_lm", "contrastive", "reranking", "vectors"]

_DATASETS: dict[LoadKind, tuple[DatasetKind, ...]] = {
    "masked_lm": ("texts",),
    "contrastive": ("pairs", "groups"),
    "reranking": ("pairs", "groups"),
    "vectors": ("vectors",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RowShape:
    """What surrounds the texts of a row on their way through the model.

    Attributes:
        kind: What batches are made for.
        pad_tokens: Tokens that are added to every sequence: special tokens and prompts.
        random_negatives: Candidates of other rows in a reranking batch, per query.
    """

    kind: LoadKind
    pad_tokens: int
    random_negatives: int = 0


def default_kind(dataset: TrainingRows) -> LoadKind:
    """What batches of a dataset are made for unless somebody says otherwise."""
    for kind, datasets in _DATASETS.items():
        if dataset.kind in datasets:
            return kind
    raise ConfigError(f"dataset: got kind {dataset.kind!r}, expected one that can be trained on")


def check_kind(dataset: TrainingRows, kind: LoadKind) -> None:
    """Refuse a dataset of the wrong kind.

    Raises:
        ConfigError: Such batches cannot be made of it.
    """
    if dataset.kind not in _DATASETS[kind]:
        expected = " or ".join(_DATASETS[kind])
        raise ConfigError(f"dataset: holds {dataset.kind}, expected {expected} for {kind} batches")


def row_costs(
    dataset: TrainingRows, rows: IntArray, config: DataConfig, shape: RowShape
) -> tuple[IntArray, IntArray]:
    """Upper bounds of the tokens of rows, exact where a row holds nothing but its longest texts.

    A group counts all its hard negatives at the length of its longest document, and random
    negatives at the length of the longest document of its source.

    Args:
        dataset: The dataset.
        rows: Rows of it (kind "texts": only rows that need no cutting may be asked for).
        config: Limits, and how many negatives are used.
        shape: What surrounds the texts.

    Returns:
        Tokens of all sequences of each row, and of its longest one; int64 [rows].
    """
    pad, limit = shape.pad_tokens, config.max_length
    documents, queries = dataset.lengths[rows], dataset.query_lengths[rows]
    num_documents = 1 + (config.negatives if dataset.kind == "groups" else 0)
    if shape.kind in ("masked_lm", "vectors"):
        costs = np.minimum(documents + pad, limit)
        return costs, costs
    if shape.kind == "reranking":
        queries = np.minimum(queries, config.max_query_length)
        pairs = np.minimum(queries + documents + pad, limit)
        longest = _longest_of_source(dataset, rows, documents)
        others = np.minimum(queries + longest + pad, limit)
        return num_documents * pairs + shape.random_negatives * others, pairs
    as_query = np.minimum(queries + pad, config.max_query_length)
    as_document = np.minimum(documents + pad, limit)
    costs, lengths = as_query + num_documents * as_document, np.maximum(as_query, as_document)
    is_symmetric = np.array(dataset.symmetric, dtype=np.bool_)[dataset.source_ids[rows]]
    if is_symmetric.any():
        turned_query = np.minimum(documents + pad, config.max_query_length)
        turned_document = np.minimum(queries + pad, limit)
        turned = np.maximum(costs, turned_query + num_documents * turned_document)
        costs = np.where(is_symmetric, turned, costs)
        turned_longest = np.maximum(turned_query, turned_document)
        lengths = np.where(is_symmetric, np.maximum(lengths, turned_longest), lengths)
    return costs, lengths


def _longest_of_source(dataset: TrainingRows, rows: IntArray, documents: IntArray) -> IntArray:
    sources = dataset.source_ids[rows]
    longest = np.zeros(len(dataset.sources), dtype=np.int64)
    np.maximum.at(longest, sources, documents)
    return longest[sources]
