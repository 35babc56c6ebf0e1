"""Datasets in memory, with the attributes that the plan and the makers of batches read."""

from dataclasses import dataclass, field

import numpy as np

from mgte.data import text_hashes
from mgte.text import Tokenizer, TrainingGroup

WORDS = "the of and in to is for water bread sea moon tide map road wheel chain train plant".split()


@dataclass
class MadeRows:
    """Rows of one kind; texts and ids are made up by their number."""

    kind: str
    sources: tuple[str, ...]
    source_ids: np.ndarray
    languages: tuple[str, ...]
    language_ids: np.ndarray
    lengths: np.ndarray
    query_lengths: np.ndarray
    symmetric: tuple[bool, ...] = ()
    made_groups: list[TrainingGroup] = field(default_factory=list)
    fingerprint: str = "made"
    first_token: int = 10

    def __post_init__(self):
        self.symmetric = self.symmetric or (False,) * len(self.sources)

    @property
    def num_rows(self) -> int:
        return len(self.lengths)

    @property
    def query_hashes(self) -> np.ndarray:
        return text_hashes(group.query for group in self.made_groups)

    def tokens(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        # Ids of regular tokens of the tiny tokenizer, different from row to row.
        ids = self.first_token + (np.arange(self.lengths[row]) * 7 + row) % 40
        return ids.astype(np.uint32)[start:stop]

    def groups(self, rows: np.ndarray) -> list[TrainingGroup]:
        return [self.made_groups[row] for row in rows]

    def vector_rows(self, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
        vectors = np.stack([np.full(4, row, np.float32) for row in rows] or [np.zeros(4)])
        return [text_of(int(row)) for row in rows], vectors[: len(rows)].astype(np.float32)

    def place(self, row: int) -> str:
        return f"made.jsonl:{row + 1}"


def text_of(number: int, num_words: int = 4) -> str:
    """A text of regular words that no other number has."""
    digits = [number // len(WORDS) ** place % len(WORDS) for place in range(3)]
    words = [WORDS[digit] for digit in digits] + [WORDS[(number + i) % 7] for i in range(100)]
    return " ".join(words[:num_words])


def made_texts(counts: dict[str, int], *, lengths=None, seed: int = 1) -> MadeRows:
    """Texts: so many rows per source; languages take turns."""
    num_rows = sum(counts.values())
    generator = np.random.default_rng(seed)
    drawn = generator.integers(1, 60, num_rows) if lengths is None else np.asarray(lengths)
    return MadeRows(
        kind="texts",
        sources=tuple(counts),
        source_ids=np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.uint16),
        languages=("de", "en", "sw"),
        language_ids=(np.arange(num_rows) % 7 % 3).astype(np.uint16),
        lengths=drawn.astype(np.int64),
        query_lengths=np.zeros(num_rows, np.int64),
    )


def made_groups(
    counts: dict[str, int],
    tokenizer: Tokenizer,
    *,
    num_negatives: int = 0,
    num_positives: int = 1,
    symmetric: tuple[bool, ...] = (),
    seed: int = 1,
) -> MadeRows:
    """Pairs (without negatives) or groups with teacher's scores."""
    generator = np.random.default_rng(seed)
    num_rows = sum(counts.values())
    source_ids = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.uint16)
    groups = []
    for row in range(num_rows):
        widths = generator.integers(3, 40, 1 + num_positives + num_negatives).tolist()
        numbers = [row + 1000 * k for k in range(len(widths))]
        texts = [text_of(n, w) for n, w in zip(numbers, widths, strict=True)]
        positives = tuple(texts[1 : 1 + num_positives])
        negatives = tuple(texts[1 + num_positives :])
        groups.append(
            TrainingGroup(
                query=texts[0],
                positives=positives,
                negatives=negatives,
                source=list(counts)[source_ids[row]],
                language="en",
                positive_scores=tuple(float(10 * row + k) for k in range(num_positives))
                if num_negatives
                else (),
                negative_scores=tuple(float(-10 * row - k) for k in range(num_negatives)),
            )
        )
    longest = [
        max(map(len, tokenizer.encode_bare([*group.positives, *group.negatives])))
        for group in groups
    ]
    return MadeRows(
        kind="groups" if num_negatives else "pairs",
        sources=tuple(counts),
        source_ids=source_ids,
        languages=("en",),
        language_ids=np.zeros(num_rows, np.uint16),
        lengths=np.array(longest, np.int64),
        query_lengths=np.array([len(tokenizer.encode_bare(g.query)[0]) for g in groups]),
        symmetric=symmetric,
        made_groups=groups,
    )


def made_vectors(num_rows: int) -> MadeRows:
    """Texts with a vector that holds their row number."""
    rows = made_texts({"all": num_rows}, lengths=np.full(num_rows, 4))
    rows.kind = "vectors"
    return rows
