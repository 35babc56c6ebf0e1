"""What one line of a file means: Document, Query, relevance judgements, and training rows."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPair:
    """Two texts that belong together.

    Attributes:
        query: What is asked, or one side of a translation.
        document: What answers it.
        source: Name of the collection that it comes from.
        language: ISO code of the document's language; "und" if unknown.
    """

    query: str
    document: str
    source: str = ""
    language: str = "und"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingGroup:
    """A query with documents that answer it and documents that do not.

    Attributes:
        query: What is asked.
        positives: Documents that answer it, at least one.
        negatives: Documents that look alike and do not; may be empty.
        source: Name of the collection that it comes from.
        language: ISO code of the first positive's language; "und" if unknown.
        positive_scores: A teacher's score of each positive; empty if there is no teacher.
        negative_scores: A teacher's score of each negative; empty if there is no teacher.
    """

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    source: str = ""
    language: str = "und"
    positive_scores: tuple[float, ...] = ()
    negative_scores: tuple[float, ...] = ()
