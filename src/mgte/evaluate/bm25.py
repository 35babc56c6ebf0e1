"""BM25 rankings of a collection: what every model is compared with."""

import importlib
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from mgte.errors import BackendUnavailableError
from mgte.evaluate.collection import Collection
from mgte.evaluate.rankings import without_own
from mgte.search import Ranking, rank_positive

# Source: Anserini's and BEIR's settings of BM25.
_K1, _B = 0.9, 0.4
_WORD = re.compile(r"\w+")
# Scripts written without spaces between words: Han, kana, Thai.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def bm25_rankings(collection: Collection, count: int) -> list[Ranking]:
    """Rank the documents of a collection by BM25.

    The index is made once per collection, and lives as long as it.

    Args:
        collection: Documents and queries.
        count: Documents per query at most; those without a word of the query are left out.

    Returns:
        One ranking per query.

    Raises:
        BackendUnavailableError: bm25s is not installed.
    """
    if collection not in _INDEXES:
        _INDEXES[collection] = _Index(collection)
    index = _INDEXES[collection]
    wanted = count + collection.num_left_out
    rankings = [index.search(query.text, wanted) for query in collection.queries]
    return without_own(rankings, collection, count)


class _Index:
    """The words of a collection's documents, counted once."""

    def __init__(self, collection: Collection) -> None:
        texts = [list(words_of(document.full_text)) for document in collection.documents]
        self._index: Any = None
        if any(texts):
            self._index = _bm25s().BM25(k1=_K1, b=_B)
            self._index.index(texts, show_progress=False)

    def search(self, text: str, count: int) -> Ranking:
        known = self._index.vocab_dict if self._index is not None else {}
        words = [word for word in words_of(text) if word in known]
        if not words:
            return Ranking(rows=np.zeros(0, np.int64), scores=np.zeros(0, np.float32))
        scores = self._index.get_scores(words)
        return rank_positive(np.asarray(scores, dtype=np.float32), count)


# Collections are measured again and again while a model learns.
_INDEXES: WeakKeyDictionary[Collection, _Index] = WeakKeyDictionary()


def words_of(text: str) -> Iterator[str]:
    r"""Words as BM25 counts them: `\w+`, lower-case; pairs of letters in unspaced scripts."""
    for word in _WORD.findall(text.lower()):
        end = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > end:
                yield word[end : run.start()]
            letters = run.group()
            yield from (a + b for a, b in pairwise(letters)) if len(letters) > 1 else (letters,)
            end = run.end()
        if end < len(word):
            yield word[end:]


def _bm25s() -> Any:
    try:
        return importlib.import_module("bm25s")
    except ImportError as error:
        raise BackendUnavailableError(
            "BM25 needs the package bm25s", hint="pip install 'mgte[eval]'"
        ) from error
