"""Words, files and the tokenizer; loads no torch."""

from mgte.text.embedding_files import (
    EMBEDDING_SUFFIXES,
    check_output,
    embedding_lines,
    read_embeddings,
    write_embeddings,
)
from mgte.text.files import COMPRESSIONS, FORMATS, FileFormat, file_format
from mgte.text.records import Document, Qrels, Query, Row
from mgte.text.retrieval_files import read_corpus, read_qrels, read_queries
from mgte.text.rows import ID_FIELDS, read_rows
from mgte.text.tokenized import TokenizedTexts
from mgte.text.tokenizer import Overflow, Tokenizer

__all__ = [
    "COMPRESSIONS",
    "EMBEDDING_SUFFIXES",
    "FORMATS",
    "ID_FIELDS",
    "Document",
    "FileFormat",
    "Overflow",
    "Qrels",
    "Query",
    "Row",
    "TokenizedTexts",
    "Tokenizer",
    "check_output",
    "embedding_lines",
    "file_format",
    "read_corpus",
    "read_embeddings",
    "read_qrels",
    "read_queries",
    "read_rows",
    "write_embeddings",
]
