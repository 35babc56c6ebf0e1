"""What one line of a file means: Document, Query, and relevance judgements."""

from dataclasses import dataclass

# Query id to document id to grade; 0 is judged and not relevant.
Qrels = dict[str, dict[str, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One document of a collection.

    Attributes:
        doc_id: Its id, unique in the collection.
        text: Its body.
        title: Its title, if it has one.
        language: ISO code of its language, if known.
    """

    doc_id: str
    text: str
    title: str = ""
    language: str = ""

    @property
    def full_text(self) -> str:
        """Title and body as one text. Source: BEIR, title and text joined by a space."""
        return f"{self.title} {self.text}".strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """One query.

    Attributes:
        query_id: Its id, unique among the queries.
        text: What is asked.
        language: ISO code of its language, if known.
    """

    query_id: str
    text: str
    language: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of an input file.

    Attributes:
        row_id: The row's own id, or its number in the file, counted from 1.
        fields: The fields that were asked for, by name.
        place: File and line, for messages: "data/pairs.jsonl:1841".
    """

    row_id: str
    fields: dict[str, str]
    place: str

    @property
    def text(self) -> str:
        """The field `text`."""
        return self.fields["text"]
