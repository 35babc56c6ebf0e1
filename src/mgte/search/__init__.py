"""Finding things with models: exact nearest texts, hard negatives."""

from mgte.search.encoding import TextVectors, comparing_device, encode_texts
from mgte.search.group_files import check_group_file, is_collection, read_groups, write_groups
from mgte.search.inverted_lists import InvertedLists
from mgte.search.mine_negatives import Mined, Teacher, mine_negatives
from mgte.search.mining_report import Candidate, MiningReport
from mgte.search.mining_rules import MiningConfig
from mgte.search.nearest import DocumentVectors, check_vectors, nearest_rows
from mgte.search.parts import FoundInParts, merge_rankings, search_in_parts
from mgte.search.ranking import FloatArray, IntArray, Ranking, rank_positive, rank_rows

__all__ = [
    "Candidate",
    "DocumentVectors",
    "FloatArray",
    "FoundInParts",
    "IntArray",
    "InvertedLists",
    "Mined",
    "MiningConfig",
    "MiningReport",
    "Ranking",
    "Teacher",
    "TextVectors",
    "check_group_file",
    "check_vectors",
    "comparing_device",
    "encode_texts",
    "is_collection",
    "merge_rankings",
    "mine_negatives",
    "nearest_rows",
    "rank_positive",
    "rank_rows",
    "read_groups",
    "search_in_parts",
    "write_groups",
]
