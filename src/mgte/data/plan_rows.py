"""PlanRows: the rows that a plan draws from, and the cells in which they are drawn.

A row of the plan is a text, a part of a text that is longer than the model reads, a pair, or a
group. A cell is a set of rows that may share a batch: of one group (source or language), of one
source where batches must not mix, and of one length bucket.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mgte.data.batches import IntArray
from mgte.data.config import DataConfig
from mgte.data.row_costs import RowShape, check_kind, row_costs
from mgte.data.sampling import check_sampling, is_resting
from mgte.data.seeds import mix_seed, uniforms
from mgte.data.training_rows import TrainingRows
from mgte.errors import ConfigError, DataError

MIXED = "mixed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """Rows that may share a batch.

    Attributes:
        name: Name, unique in the plan.
        group: Number of the group that competes for batches.
        source: Source of its rows, or "mixed".
        bucket: Number of the length bucket; 0 where there are none.
        num_rows: Rows.
        num_tokens: Sum of the rows' costs.
    """

    name: str
    group: int
    source: str
    bucket: int
    num_rows: int
    num_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlanRows:
    """Rows and cells of a plan.

    Attributes:
        rows: Row of the dataset, int64 [rows of the plan].
        starts: First token of the part; 0 except in long texts.
        stops: One past its last token.
        costs: Most tokens that it puts through the model.
        order: Rows of the plan sorted by cell.
        cell_starts: Where each cell starts in `order`.
        cells: The cells, none empty.
        group_names: Sources or languages, whichever compete.
        group_counts: Rows of each group.
        num_empty: Rows of the dataset left out because a text has no tokens.
        num_thinned: Rows left out because they are short.
        num_cut: Rows longer than the model reads.
    """

    rows: IntArray
    starts: IntArray
    stops: IntArray
    costs: IntArray
    order: IntArray
    cell_starts: IntArray
    cells: tuple[Cell, ...]
    group_names: tuple[str, ...]
    group_counts: IntArray
    num_empty: int
    num_thinned: int
    num_cut: int


def plan_rows(dataset: TrainingRows, config: DataConfig, shape: RowShape, *, seed: int) -> PlanRows:
    """Choose, cut and sort the rows of a stage.

    Rows with a text without tokens are left out. Texts longer than `max_length` become several rows
    that cover every token once; the last one may be short. Short rows are thinned out by a hash of
    seed and row.

    Args:
        dataset: The dataset.
        config: Limits, buckets and sampling.
        shape: What surrounds the texts.
        seed: Seed of the thinning.

    Returns:
        The rows.

    Raises:
        ConfigError: The settings do not fit the dataset.
        DataError: A source that would be drawn has no rows left.
    """
    check_kind(dataset, shape.kind)
    room = config.max_length - shape.pad_tokens
    if room < 1:
        raise ConfigError(
            f"max_length: got {config.max_length}, expected more than the {shape.pad_tokens} "
            "tokens that are added to a text"
        )
    lengths = dataset.lengths
    has_text = lengths > 0
    if dataset.kind in ("pairs", "groups"):
        has_text &= dataset.query_lengths > 0
    is_thinned = has_text & _is_thinned(lengths, config, seed)
    kept = np.flatnonzero(has_text & ~is_thinned)
    _refuse_empty(dataset, kept, config)
    if shape.kind == "masked_lm":
        rows, starts, stops = cut_texts(kept, lengths[kept], room)
        costs = stops - starts + shape.pad_tokens
        longest = costs
    else:
        rows, starts, stops = kept, np.zeros_like(kept), lengths[kept]
        costs, longest = row_costs(dataset, kept, config, shape)
    by_source = config.sampling.by == "source"
    names = dataset.sources if by_source else dataset.languages
    ids = dataset.source_ids if by_source else dataset.language_ids
    groups = np.asarray(ids)[rows].astype(np.int64)
    group_counts = np.bincount(groups, minlength=len(names)).astype(np.int64)
    check_sampling(config.sampling, names, group_counts)
    buckets = _bucket_of(longest, config)
    sources = np.asarray(dataset.source_ids)[rows].astype(np.int64)
    codes = groups * len(dataset.sources) + (sources if config.sampling.single_source else 0)
    codes = codes * max(1, len(config.buckets)) + buckets
    counts = np.bincount(codes)
    present = np.flatnonzero(counts)
    tokens = np.bincount(codes, weights=costs)
    return PlanRows(
        rows=rows,
        starts=starts,
        stops=stops,
        costs=costs,
        order=np.argsort(codes, kind="stable"),
        cell_starts=np.concatenate([[0], np.cumsum(counts[present])[:-1]]),
        cells=tuple(
            _cell(int(code), int(counts[code]), int(tokens[code]), dataset, config)
            for code in present
        ),
        group_names=tuple(names),
        group_counts=group_counts,
        num_empty=int(np.count_nonzero(~has_text)),
        num_thinned=int(np.count_nonzero(is_thinned)),
        num_cut=int(np.count_nonzero(lengths[kept] > room)),
    )


def cut_texts(rows: IntArray, lengths: IntArray, room: int) -> tuple[IntArray, IntArray, IntArray]:
    """Cut long texts into parts that cover every token once.

    Args:
        rows: Numbers of the texts.
        lengths: Tokens of each, at least 1.
        room: Most tokens of a part.

    Returns:
        For every part the text's number, its first token and one past its last; the parts of a
        text follow each other.
    """
    counts = -(-lengths // room)
    firsts = np.cumsum(counts) - counts
    starts = (np.arange(int(counts.sum())) - np.repeat(firsts, counts)) * room
    stops = np.minimum(starts + room, np.repeat(lengths, counts))
    return np.repeat(rows, counts), starts, stops


def _is_thinned(lengths: IntArray, config: DataConfig, seed: int) -> IntArray:
    sampling = config.sampling
    if sampling.short_below <= 0:
        return np.zeros(len(lengths), dtype=np.bool_)
    draws = uniforms(mix_seed(seed, "thinning"), np.arange(len(lengths)))
    return np.asarray((lengths < sampling.short_below) & (draws >= sampling.short_keep))


def _refuse_empty(dataset: TrainingRows, kept: IntArray, config: DataConfig) -> None:
    counts = np.bincount(np.asarray(dataset.source_ids)[kept], minlength=len(dataset.sources))
    for name, count in zip(dataset.sources, counts.tolist(), strict=True):
        if count or (config.sampling.by == "source" and is_resting(config.sampling, name)):
            continue
        raise DataError(
            f"source {name!r}: has no rows left, expected at least one",
            hint="see what was removed: empty texts, and `short_below` with `short_keep`",
        )


def _bucket_of(longest: IntArray, config: DataConfig) -> IntArray:
    if not config.buckets:
        return np.zeros(len(longest), dtype=np.int64)
    limits = [bucket.up_to for bucket in config.buckets]
    if limits != sorted(set(limits)):
        raise ConfigError(f"buckets: got up_to {limits}, expected ascending numbers")
    found = np.searchsorted(limits, longest)
    if len(longest) and int(found.max()) == len(limits):
        raise ConfigError(
            f"buckets: the last one takes rows up to {limits[-1]:,} tokens, "
            f"expected at least {int(longest.max()):,}"
        )
    return found


def _cell(
    code: int, num_rows: int, num_tokens: int, dataset: TrainingRows, config: DataConfig
) -> Cell:
    code, bucket = divmod(code, max(1, len(config.buckets)))
    group, source = divmod(code, len(dataset.sources))
    names: Sequence[str] = dataset.sources
    source_name = names[source]
    parts = [names[group] if config.sampling.by == "source" else dataset.languages[group]]
    if not config.sampling.single_source:
        source_name = names[0] if len(names) == 1 else MIXED
    elif config.sampling.by == "language":
        parts.append(source_name)
    if config.buckets:
        parts.append(f"up to {config.buckets[bucket].up_to}")
    return Cell(
        name=", ".join(parts),
        group=group,
        source=source_name,
        bucket=bucket,
        num_rows=num_rows,
        num_tokens=num_tokens,
    )
