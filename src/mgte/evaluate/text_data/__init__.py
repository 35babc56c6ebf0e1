"""Data of tasks on texts: files of many layouts as the same few records."""

from mgte.evaluate.text_data.candidates import CandidateLayout, candidate_lists
from mgte.evaluate.text_data.config import TextDataConfig, filled
from mgte.evaluate.text_data.items import (
    CandidateList,
    LabelledPair,
    LabelledText,
    ScoredPair,
    TextItem,
    TranslationPair,
    drawn,
    items_hash,
)
from mgte.evaluate.text_data.pairs import labelled_pairs, scored_pairs, translation_pairs
from mgte.evaluate.text_data.rows import TextRow, read_text_rows
from mgte.evaluate.text_data.texts import label_order, labelled_texts

__all__ = [
    "CandidateLayout",
    "CandidateList",
    "LabelledPair",
    "LabelledText",
    "ScoredPair",
    "TextDataConfig",
    "TextItem",
    "TextRow",
    "TranslationPair",
    "candidate_lists",
    "drawn",
    "filled",
    "items_hash",
    "label_order",
    "labelled_pairs",
    "labelled_texts",
    "read_text_rows",
    "scored_pairs",
    "translation_pairs",
]
