"""Finding things with models: exact nearest texts, hard negatives."""

from mgte.search.encoding import TextVectors, encode_texts
from mgte.search.inverted_lists import InvertedLists
from mgte.search.nearest import check_vectors, nearest_rows
from mgte.search.ranking import FloatArray, IntArray, Ranking, rank_positive, rank_rows

__all__ = [
    "FloatArray",
    "IntArray",
    "InvertedLists",
    "Ranking",
    "TextVectors",
    "check_vectors",
    "encode_texts",
    "nearest_rows",
    "rank_positive",
    "rank_rows",
]
