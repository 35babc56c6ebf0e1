"""DataConfig: what a stage reads, how its batches are drawn, and how large they are."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from mgte.errors import ConfigError

DatasetKind = Literal["texts", "pairs", "groups", "vectors"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """A value that changes with the step.

    Attributes:
        points: (step, value) pairs, steps ascending, the first at step 0.
        interpolate: "hold" keeps a value until the next point; "linear" walks to it.
    """

    points: tuple[tuple[int, float], ...]
    interpolate: Literal["hold", "linear"] = "hold"

    def __post_init__(self) -> None:
        steps = [step for step, _ in self.points]
        if not steps or steps[0] != 0 or any(a >= b for a, b in pairwise(steps)):
            raise ConfigError(
                f"points: got steps {steps}, expected ascending steps that start with 0"
            )


# A number, or a number that changes with the step.
Scheduled = float | Points


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceConfig:
    """One raw source of a dataset, before preparation.

    Attributes:
        path: File or glob pattern (JSONL, Parquet, CSV, plain text; also compressed).
        source: Name under which its rows are drawn; batches of one source never mix.
        language: Language code of all rows; "" means `language_field`.
        language_field: Column that holds the language of a row; "" means the column `language`
            where it holds a code, such as "de" or "zh-Hant". The language of other rows is
            detected.
        split_field: Column that says which part a row belongs to; "" means all rows are taken.
        split: Value of `split_field` that is taken.
        fields: Our names to the file's columns. Texts: text. Pairs: query, document. Groups: query,
            positives, negatives, and optionally positive_scores, negative_scores. Vectors: text,
            and teacher_text where the teacher reads another text (a translation). A column "title +
            text" is two columns joined by a space.
        symmetric: Pairs whose two sides may swap places (translations): half of them do.
        max_rows: Rows taken at most, spread evenly over the source; 0 means all.
    """

    path: str
    source: str
    language: str = ""
    language_field: str = ""
    split_field: str = ""
    split: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    symmetric: bool = False
    max_rows: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetConfig:
    """How raw files become one prepared folder (`mgte data prepare`).

    Attributes:
        kind: "texts" for masked language modelling, "pairs" (query, document), "groups" (query,
            positives, hard negatives), "vectors" (texts with a teacher's vectors).
        sources: Raw sources.
        near_duplicates: Texts (of pairs and groups: query and first document taken together) whose
            estimated Jaccard similarity is at least this are removed; 0 removes exact duplicates
            only.
        min_characters: Shorter texts and documents are left out and counted; queries must not be
            empty.
        teacher: Embedding model that makes the vectors of kind "vectors".
        exclude: BEIR folders and files whose texts must not occur (test collections): rows that
            hold one of their texts are removed and counted.
    """

    kind: DatasetKind
    sources: tuple[SourceConfig, ...]
    near_duplicates: float = 0.0
    min_characters: int = 1
    teacher: str = ""
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """How rows are drawn.

    Attributes:
        by: Rows compete by "source" or by "language".
        alpha: q_i = p_i^alpha / sum_j p_j^alpha over shares of rows. 1: by size; 0: all alike.
            Source: mGTE, arXiv 2407.19669, equation 1.
        single_source: Whether one batch holds rows of one source only (contrastive stages).
        weights: Factors on q_i by name, before normalising; a source with weight 0 rests.
        short_below: Texts with fewer tokens are thinned out (0: none).
        short_keep: Share of those that is kept.
    """

    by: Literal["source", "language"] = "source"
    alpha: Scheduled = 0.5
    single_source: bool = True
    weights: dict[str, Scheduled] = field(default_factory=dict)
    short_below: int = 0
    short_keep: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthBucket:
    """Batch size for rows of similar length.

    Attributes:
        up_to: Longest row of the bucket, in tokens of its longest text.
        rows: Rows in one batch.
    """

    up_to: int
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """What a stage reads.

    Attributes:
        dataset: Name of an entry of the recipe's `datasets`, or a folder made by `mgte data
            prepare`.
        max_length: Longest text or document in tokens, special tokens included. Longer texts are
            chunked (masked_lm) or cut (others; counted in the log).
        max_query_length: Longest query in tokens.
        rows_per_batch: Rows (chunks, pairs, groups) in one batch.
        tokens_per_batch: Token budget of one batch instead of `rows_per_batch`; 0 means none.
        buckets: Batch sizes by length instead of `rows_per_batch`; rows of one batch share one
            bucket. Source: mGTE, arXiv 2407.19669, Table 12.
        batches_per_step: Batches whose gradients are summed into one step.
        tokens_per_chunk: Most tokens that pass through the model at once (memory, not results).
        negatives: Hard negatives of a row that are used.
        sampling: How rows are drawn.
    """

    dataset: str
    max_length: int
    max_query_length: int = 512
    rows_per_batch: Scheduled = 0
    tokens_per_batch: Scheduled = 0
    buckets: tuple[LengthBucket, ...] = ()
    batches_per_step: int = 1
    tokens_per_chunk: int = 16_384
    negatives: int = 0
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        sizes = (self.rows_per_batch != 0, self.tokens_per_batch != 0, bool(self.buckets))
        if sum(sizes) != 1:
            raise ConfigError(
                "batch size: expected exactly one of rows_per_batch, tokens_per_batch, buckets"
            )
