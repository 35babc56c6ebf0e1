"""What is left out of a dataset, and why; everything is counted."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from mgte.data.config import DatasetConfig
from mgte.data.hashing import combined_hash, text_hash
from mgte.data.near_duplicates import NearDuplicates
from mgte.data.raw_rows import RawRow


class RowFilter:
    """Decides on raw rows one after another and counts by source.

    Reasons for leaving out a row, in the order in which they are looked for:

    * "too_short": the query is empty, or no document is long enough;
    * "excluded": one of its texts is a text of the `exclude` collections;
    * "duplicate": a row with the same text, or the same query and positives, was kept;
    * "near_duplicate": its text, or query and first document taken together, are nearly those of
      a kept row.

    And for leaving out single documents of a group: "document_too_short", "document_repeated" (it
    stands in the row twice, or a negative is also a positive).

    Args:
        config: The dataset.
        excluded: Hashes of texts that must not occur.

    Attributes:
        num_read: Rows seen, by source.
        removed: Source to reason to count.
    """

    def __init__(self, config: DatasetConfig, excluded: set[int]) -> None:
        self._min_characters = max(1, config.min_characters)
        self._excluded = excluded
        self._seen: set[int] = set()
        self._near = NearDuplicates(config.near_duplicates) if config.near_duplicates else None
        self._has_query = config.kind in ("pairs", "groups")
        self.num_read: dict[str, int] = defaultdict(int)
        self.removed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def clean(self, row: RawRow) -> RawRow | None:
        """The row without what does not belong in it, or None if it is left out.

        Args:
            row: A raw row.

        Returns:
            What is kept of it.
        """
        self.num_read[row.source] += 1
        kept, reason = self._decide(row)
        if reason:
            self.removed[row.source][reason] += 1
        return kept

    def _decide(self, row: RawRow) -> tuple[RawRow | None, str]:
        texts = {text: text_hash(text) for text in _texts_of(row)}
        row = self._clean_documents(row, texts)
        if not row.documents or (self._has_query and not row.query.strip()):
            return None, "too_short"
        if not self._excluded.isdisjoint(texts.values()):
            return None, "excluded"
        key = combined_hash(texts[text] for text in (row.query, row.teacher_text, *row.documents))
        if key in self._seen:
            return None, "duplicate"
        if self._near is not None and not self._near.add(_whole_text(row)):
            return None, "near_duplicate"
        self._seen.add(key)
        return row, ""

    def _clean_documents(self, row: RawRow, hashes: dict[str, int]) -> RawRow:
        seen: set[int] = set()
        positives = self._pick(row, row.documents, hashes, seen)
        negatives = self._pick(row, row.negatives, hashes, seen)
        if len(positives) == len(row.documents) and len(negatives) == len(row.negatives):
            return row
        return replace(
            row,
            documents=tuple(row.documents[i] for i in positives),
            negatives=tuple(row.negatives[i] for i in negatives),
            positive_scores=_picked(row.positive_scores, positives),
            negative_scores=_picked(row.negative_scores, negatives),
        )

    def _pick(
        self, row: RawRow, documents: Sequence[str], hashes: dict[str, int], seen: set[int]
    ) -> list[int]:
        """Which documents are long enough and not in `seen`, to which they are added."""
        picked = []
        for index, document in enumerate(documents):
            if len(document.strip()) < self._min_characters:
                reason = "document_too_short"
            elif hashes[document] in seen:
                reason = "document_repeated"
            else:
                seen.add(hashes[document])
                picked.append(index)
                continue
            # A text or pair has one document: the row itself is counted.
            if len(row.documents) + len(row.negatives) > 1:
                self.removed[row.source][reason] += 1
        return picked


def _texts_of(row: RawRow) -> list[str]:
    return [row.query, row.teacher_text, *row.documents, *row.negatives]


def _whole_text(row: RawRow) -> str:
    """What near duplicates are looked for in: other questions on the same document are not."""
    return f"{row.query}\n{row.documents[0]}" if row.query else row.documents[0]


def _picked(scores: Sequence[float], indices: Sequence[int]) -> tuple[float, ...]:
    return tuple(scores[index] for index in indices) if scores else ()
