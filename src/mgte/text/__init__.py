"""Words, files and the tokenizer; loads no torch."""

from mgte.text.embedding_files import (
    EMBEDDING_SUFFIXES,
    check_output,
    embedding_lines,
    read_embeddings,
    write_embeddings,
)
from mgte.text.files import COMPRESSIONS, FORMATS, FileFormat, file_format
from mgte.text.pieces import Piece, vocabulary_pieces
from mgte.text.records import Document, Qrels, Query, Row, TrainingGroup, TrainingPair
from mgte.text.retrieval_files import read_corpus, read_qrels, read_queries
from mgte.text.rows import ID_FIELDS, RawRecord, import_parquet, read_records, read_rows
from mgte.text.tokenized import TokenizedTexts
from mgte.text.tokenizer import Overflow, Tokenizer
from mgte.text.whole_files import flush, replace_file, replace_text

__all__ = [
    "COMPRESSIONS",
    "EMBEDDING_SUFFIXES",
    "FORMATS",
    "ID_FIELDS",
    "Document",
    "FileFormat",
    "Overflow",
    "Piece",
    "Qrels",
    "Query",
    "RawRecord",
    "Row",
    "TokenizedTexts",
    "Tokenizer",
    "TrainingGroup",
    "TrainingPair",
    "check_output",
    "embedding_lines",
    "file_format",
    "flush",
    "import_parquet",
    "read_corpus",
    "read_embeddings",
    "read_qrels",
    "read_queries",
    "read_records",
    "read_rows",
    "replace_file",
    "replace_text",
    "vocabulary_pieces",
    "write_embeddings",
]
