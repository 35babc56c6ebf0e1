"""Texts and pairs from files or standard input, as the options of a command say."""

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgte.cli.output import say

if TYPE_CHECKING:
    from mgte.text import FileFormat, Row

# Those of mgte.text.FORMATS, which --help need not load.
FORMAT_NAMES: tuple["FileFormat", ...] = ("csv", "json", "jsonl", "parquet", "text", "tsv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Texts with their ids and what messages call them."""

    ids: list[str]
    texts: list[str]
    names: list[str]


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what is read, and which of its fields."""
    parser.add_argument(
        "input", nargs="?", default="-", metavar="FILE", help="file with texts; - is standard input"
    )
    group = parser.add_argument_group("how the file is read")
    group.add_argument(
        "--format",
        choices=FORMAT_NAMES,
        help="format of the file (by its suffix; standard input is text, one per line)",
    )
    group.add_argument("--text-field", metavar="NAME", help="field or column with the text (text)")
    group.add_argument("--title-field", metavar="NAME", help="field that is put before the text")
    group.add_argument(
        "--id-field", metavar="NAME", help="field with the id (_id or id; else the row's number)"
    )


def read_texts(arguments: argparse.Namespace) -> Source:
    """The texts that the options name.

    Args:
        arguments: What `add_reading_options` gathered.

    Returns:
        The texts in file order.
    """
    text_field, title_field = arguments.text_field or "text", arguments.title_field
    rows = _read(arguments, [text_field], [title_field] if title_field else [])
    titles = [row.fields[title_field] if title_field else "" for row in rows]
    texts = [row.fields[text_field] for row in rows]
    pairs = zip(titles, texts, strict=True)
    return _source(rows, [f"{title} {text}".strip() if title else text for title, text in pairs])


def read_pairs(arguments: argparse.Namespace) -> tuple[Source, list[str]]:
    """Documents and their queries, from records that hold both.

    Args:
        arguments: What `add_reading_options` gathered.

    Returns:
        The documents, and one query for each.
    """
    text_field, query_field = arguments.text_field or "document", "query"
    rows = _read(arguments, [query_field, text_field], [])
    documents = [row.fields[text_field] for row in rows]
    return _source(rows, documents), [row.fields[query_field] for row in rows]


def _read(arguments: argparse.Namespace, fields: list[str], optional: list[str]) -> "list[Row]":
    from mgte.text import read_rows

    if arguments.input == "-" and sys.stdin.isatty():
        say("reading texts from standard input, one per line; end with Ctrl-D")
    return list(
        read_rows(
            arguments.input,
            fields=fields,
            optional=optional,
            id_field=arguments.id_field,
            format=arguments.format,
            allow_empty=True,
        )
    )


def _source(rows: "list[Row]", texts: list[str]) -> Source:
    # Rows without an id of their own are named by their place.
    names = [row.place if row.row_id.isdigit() else row.row_id for row in rows]
    return Source(ids=[row.row_id for row in rows], texts=texts, names=names)
