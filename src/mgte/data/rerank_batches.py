"""RerankBatches: queries joined with a positive, hard negatives and other rows' documents."""

from dataclasses import dataclass

import numpy as np

from mgte.data.batches import IntArray, RerankBatch
from mgte.data.candidates import Candidates, choose_candidates, choose_positive
from mgte.data.hashing import text_hash
from mgte.data.known_answers import KnownAnswers
from mgte.data.making import DropCounter, MadeBatch, learn_lengths, row_keys
from mgte.data.permutation import permute
from mgte.data.plan import PlannedBatch
from mgte.data.text_frame import pair_overhead
from mgte.data.training_rows import TrainingRows
from mgte.text import Tokenizer, TrainingGroup

# Other rows that are looked at beyond those that are needed: some may hold a positive's text.
_SPARE_ROWS = 4
# Characters that the end of a cut text moves back at most.
_LONGEST_TOKEN = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateCounts:
    """How many candidates a query of a reranking batch has.

    Attributes:
        negatives: Hard negatives, if it has so many.
        random_negatives: Documents of other rows of the batch, if there are so many that fit.
    """

    negatives: int
    random_negatives: int


class RerankBatches:
    """Makes batches of joined pairs; see `BatchMaker`.

    Args:
        dataset: Rows of kind "pairs" or "groups".
        tokenizer: The tokenizer.
        max_length: Longest pair in tokens, special tokens included.
        max_query_length: Longest query in tokens, without special tokens.
        counts: Candidates of a query.
        seed: Seed of run and stage.
    """

    def __init__(
        self,
        dataset: TrainingRows,
        tokenizer: Tokenizer,
        *,
        max_length: int,
        max_query_length: int,
        counts: CandidateCounts,
        seed: int,
    ) -> None:
        self._dataset = dataset
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._max_query_length = max_query_length
        self._num = counts
        self._seed = seed
        self._overhead = pair_overhead(tokenizer)
        self._counter = DropCounter(tokenizer)
        self._answers = KnownAnswers(dataset)

    def make(self, planned: PlannedBatch, share: slice) -> MadeBatch:
        """Make one process's share of a batch; see `BatchMaker`.

        A pair that is too long loses tokens of its longer text first, so a query of up to half the
        length stays whole.
        """
        positions = np.arange(len(planned))[share]
        keys = row_keys(self._seed, "candidates", planned, positions).tolist()
        groups = _Groups(self._dataset, self._counter, planned, positions)
        chosen = [
            self._with_others(
                choose_candidates(groups.at(position), key, self._num.negatives),
                groups,
                planned,
                position,
            )
            for position, key in zip(positions.tolist(), keys, strict=True)
        ]
        counts = np.array([len(candidates.documents) for candidates in chosen], dtype=np.int64)
        queries, cut_off = self._cut_queries(chosen, planned.rows[share])
        firsts = [text for text, count in zip(queries, counts, strict=True) for _ in range(count)]
        documents = [text for candidates in chosen for text in candidates.documents]
        encoded = self._tokenizer.encode_pairs(firsts, documents, max_length=self._max_length)
        types = encoded.token_type_ids or [np.zeros_like(ids) for ids in encoded.ids]
        cu_candidates = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        labels = np.zeros(len(documents), dtype=np.float32)
        labels[cu_candidates[:-1]] = 1.0
        batch = RerankBatch(
            pairs=tuple(encoded.ids),
            token_types=tuple(types),
            cu_candidates=cu_candidates,
            labels=labels,
            teacher_scores=np.array([s for c in chosen for s in c.scores], dtype=np.float32),
            rows=planned.rows[share],
            source=planned.source,
        )
        cut = np.flatnonzero(encoded.is_truncated).tolist()
        whole = self._counter.counts([firsts[index] for index in cut])
        whole += self._counter.counts([documents[index] for index in cut])
        kept = encoded.num_tokens[cut] - self._overhead
        return MadeBatch(
            batch=batch,
            num_tokens=int(encoded.num_tokens.sum()),
            num_tokens_dropped=int((whole - kept).sum() + (cut_off * counts).sum()),
        )

    def _with_others(
        self, own: Candidates, groups: "_Groups", planned: PlannedBatch, position: int
    ) -> Candidates:
        """A query's candidates and its random negatives: other rows' positives.

        Left out are texts that equal a candidate that it has, or a positive of the query in any row
        of the dataset: a question may stand there several times, each time with another answer.
        """
        wanted = self._num.random_negatives
        if not wanted:
            return own
        taken = {text_hash(text) for text in own.documents}
        taken |= self._answers.hashes_of(groups.at(position))
        others: list[str] = []
        num_others = len(planned) - 1
        key = row_keys(self._seed, "others", planned, np.array([position]))
        first = 0
        while len(others) < wanted and first < num_others:
            places = np.arange(first, min(first + wanted + _SPARE_ROWS, num_others))
            found = permute(places, num_others, key)
            found += found >= position  # every row but this one
            keys = row_keys(self._seed, "candidates", planned, found).tolist()
            for group, own_key in zip(groups.several(found), keys, strict=True):
                text = group.positives[choose_positive(group, own_key)]
                hashed = text_hash(text)
                if hashed not in taken and len(others) < wanted:
                    taken.add(hashed)
                    others.append(text)
            first += len(places)
        return Candidates(
            query=own.query,
            documents=(*own.documents, *others),
            scores=(*own.scores, *(float("nan") for _ in others)),
        )

    def _cut_queries(self, chosen: list[Candidates], rows: IntArray) -> tuple[list[str], IntArray]:
        """Queries of at most `max_query_length` tokens, and what each lost."""
        queries = [candidates.query for candidates in chosen]
        lengths = np.asarray(self._dataset.query_lengths[rows])
        cut_off = np.zeros(len(rows), dtype=np.int64)
        for index in np.flatnonzero(lengths > self._max_query_length).tolist():
            queries[index] = cut_text(self._tokenizer, queries[index], self._max_query_length)
            kept = len(self._tokenizer.encode_bare(queries[index])[0])
            cut_off[index] = lengths[index] - kept
        return queries, cut_off


def cut_text(tokenizer: Tokenizer, text: str, limit: int) -> str:
    """A beginning of a text whose tokens are the text's first ones.

    The longest beginning that fits is found by bisection; as it may end inside a token, its end
    then moves back to where one ends.

    Args:
        tokenizer: The tokenizer.
        text: A text with more tokens.
        limit: Tokens that stay, at least 1.

    Returns:
        The beginning, at least one character, of at most `limit` tokens where one character has no
        more.
    """
    whole = tokenizer.encode_bare(text)[0]
    fits, fails = 1, len(text)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if len(tokenizer.encode_bare(text[:middle])[0]) <= limit:
            fits = middle
        else:
            fails = middle
    for end in range(fits, max(0, fits - _LONGEST_TOKEN), -1):
        ids = tokenizer.encode_bare(text[:end])[0]
        if 0 < len(ids) and np.array_equal(ids, whole[: len(ids)]):
            return text[:end]
    return text[:fits]


class _Groups:
    """Groups of a batch by position; those of other shares are read when they are asked for."""

    def __init__(
        self,
        dataset: TrainingRows,
        counter: DropCounter,
        planned: PlannedBatch,
        positions: IntArray,
    ) -> None:
        self._dataset = dataset
        self._counter = counter
        self._rows = planned.rows
        self._known: dict[int, TrainingGroup] = {}
        self.several(positions)

    def at(self, position: int) -> TrainingGroup:
        return self._known[position]

    def several(self, positions: IntArray) -> list[TrainingGroup]:
        missing = [place for place in positions.tolist() if place not in self._known]
        if missing:
            groups = self._dataset.groups(self._rows[missing])
            learn_lengths(self._counter, self._dataset, self._rows[missing], groups)
            self._known.update(zip(missing, groups, strict=True))
        return [self._known[place] for place in positions.tolist()]
