"""Raw rows: what the rows of a source's files say, under our names, before any is removed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mgte.data.config import DatasetConfig, DatasetKind, SourceConfig
from mgte.data.record_fields import COLUMN_JOIN, RecordFields
from mgte.data.source_files import SourceFile, find_files
from mgte.errors import ConfigError, DataError
from mgte.text import read_records

# Fields of each kind: those that every row has, and those that it may have.
_REQUIRED: dict[DatasetKind, tuple[str, ...]] = {
    "texts": ("text",),
    "pairs": ("query", "document"),
    "groups": ("query", "positives"),
    "vectors": ("text",),
}
_OPTIONAL: dict[DatasetKind, tuple[str, ...]] = {
    "texts": (),
    "pairs": (),
    "groups": ("negatives", "positive_scores", "negative_scores"),
    "vectors": ("teacher_text",),
}

# Where a row's language comes from, as the manifest counts it.
BY_SETTING, BY_COLUMN, DETECTED = "setting", "column", "detected"
_LANGUAGE_COLUMN = "language"
# A code, as BCP 47 builds them. A column of this name may also hold "Python" or "formal".
_LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")

# Rows that are tokenised together; fewer where they are long.
_ROWS_PER_BATCH = 1024
_CHARACTERS_PER_BATCH = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """One row of any kind.

    Attributes:
        source: Name of its source.
        file: Its file, named from the root.
        place: File and line.
        query: Query of pairs and groups; "" otherwise.
        documents: The text, the document, or the positives.
        negatives: Negatives of groups.
        positive_scores: Teacher's score per positive, or empty.
        negative_scores: Teacher's score per negative, or empty.
        teacher_text: Text that the teacher reads (kind "vectors"), else "".
        language: Language code; "" where the source tells none.
        language_from: What told it; "" where the source tells none.
    """

    source: str
    file: str
    place: str
    query: str = ""
    documents: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    positive_scores: tuple[float, ...] = ()
    negative_scores: tuple[float, ...] = ()
    teacher_text: str = ""
    language: str = ""
    language_from: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawSource:
    """A source with its files found; made by `find_sources`, which also checks its settings.

    Attributes:
        config: Its settings.
        kind: Kind of the dataset.
        files: Its files.
    """

    config: SourceConfig
    kind: DatasetKind
    files: tuple[SourceFile, ...]

    def rows(self) -> Iterator[RawRow]:
        """Rows of the wanted split, file by file; thinned out evenly to `max_rows`.

        Yields:
            Rows. With `max_rows` the files are read twice, as the rows must be counted first.

        Raises:
            DataError: A file cannot be read or has no rows of the split, or a row lacks a field
                or holds something else there.
        """
        limit = self.config.max_rows
        total = sum(1 for _ in self._records()) if limit else 0
        for index, (file, record) in enumerate(self._records()):
            # Row `index` is taken where the line from (0, 0) to (total, limit) passes a whole one.
            if total <= limit or (index + 1) * limit // total > index * limit // total:
                yield self._read(file, record)

    def column(self, name: str) -> str:
        """The file's column for one of our names."""
        return self.config.fields.get(name, name)

    def _records(self) -> Iterator[tuple[SourceFile, RecordFields]]:
        config, num_rows = self.config, 0
        for file in self.files:
            for place, content in read_records(file.path, columns=self._wanted_columns()):
                record = RecordFields(path=file.path, place=place, content=content)
                self._check_is_row(record)
                if config.split_field and record.value(config.split_field) != config.split:
                    continue
                num_rows += 1
                yield file, record
        if num_rows == 0:
            part = f" with {config.split_field} = {config.split!r}" if config.split_field else ""
            raise DataError(f"{config.path}: holds no rows{part}, expected at least one")

    def _check_is_row(self, record: RecordFields) -> None:
        """A line of plain text serves where one text is all that is asked for."""
        config = self.config
        is_enough = len(_REQUIRED[self.kind]) == 1 and not (
            config.split_field or config.language_field or "teacher_text" in config.fields
        )
        if isinstance(record.content, str) and not is_enough:
            raise DataError(f"{record.place}: got plain text, expected a row with named fields")

    def _wanted_columns(self) -> list[str]:
        """Columns that are read of a Parquet file."""
        names = (*_REQUIRED[self.kind], *_OPTIONAL[self.kind])
        columns = [self.column(name) for name in names]
        columns += [self.config.language_field or _LANGUAGE_COLUMN, self.config.split_field]
        return columns + [part for column in columns for part in column.split(COLUMN_JOIN)]

    def _has(self, record: RecordFields, name: str) -> bool:
        """Whether an optional field is there; one that the settings name must be."""
        return name in self.config.fields or record.has(name)

    def _read(self, file: SourceFile, record: RecordFields) -> RawRow:
        language, language_from = self._language(record)
        row = RawRow(
            source=self.config.source,
            file=file.name,
            place=file.name + record.place.removeprefix(str(file.path)),
            documents=(),
            language=language,
            language_from=language_from,
        )
        if self.kind in ("texts", "vectors"):
            has_teacher_text = self.kind == "vectors" and self._has(record, "teacher_text")
            return replace(
                row,
                documents=(record.string(self.column("text")),),
                teacher_text=record.string(self.column("teacher_text")) if has_teacher_text else "",
            )
        query = record.string(self.column("query"))
        if self.kind == "pairs":
            document = record.string(self.column("document"))
            return replace(row, query=query, documents=(document,))
        positives = record.strings(self.column("positives"))
        has_negatives = self._has(record, "negatives")
        negatives = record.strings(self.column("negatives")) if has_negatives else ()
        return replace(
            row,
            query=query,
            documents=positives,
            negatives=negatives,
            positive_scores=self._scores(record, "positive_scores", len(positives)),
            negative_scores=self._scores(record, "negative_scores", len(negatives)),
        )

    def _language(self, record: RecordFields) -> tuple[str, str]:
        """Language of a row, and what told it."""
        if self.config.language:
            return self.config.language, BY_SETTING
        if self.config.language_field:
            told = record.string(self.config.language_field)
        else:
            value = record.value(_LANGUAGE_COLUMN) if record.has(_LANGUAGE_COLUMN) else None
            is_code = isinstance(value, str) and _LANGUAGE_CODE.fullmatch(value)
            told = str(value) if is_code else ""
        return told, BY_COLUMN if told else ""

    def _scores(self, record: RecordFields, name: str, num_texts: int) -> tuple[float, ...]:
        return record.scores(self.column(name), num_texts) if self._has(record, name) else ()


def find_sources(config: DatasetConfig, root: Path) -> list[RawSource]:
    """The sources of a dataset, their settings checked and their files found.

    Args:
        config: The dataset.
        root: Folder from which paths count.

    Returns:
        Sources in the order of the settings.

    Raises:
        ConfigError: Settings of a source contradict each other.
        DataError: A pattern matches no file.
    """
    if not config.sources:
        raise ConfigError("sources: got none, expected at least one")
    symmetric: dict[str, bool] = {}
    for index, source in enumerate(config.sources):
        _check_source(source, config.kind, f"sources.{index}")
        if symmetric.setdefault(source.source, source.symmetric) != source.symmetric:
            raise ConfigError(
                f"sources.{index}.symmetric: got {source.symmetric}, expected the same for all "
                f"entries of source {source.source!r}"
            )
    return [
        RawSource(config=source, kind=config.kind, files=tuple(find_files(source.path, root)))
        for source in config.sources
    ]


def batched_rows(rows: Iterable[RawRow]) -> Iterator[list[RawRow]]:
    """Rows in lists that are worth one call of the tokenizer and fit in memory."""
    batch: list[RawRow] = []
    num_characters = 0
    for row in rows:
        batch.append(row)
        num_characters += sum(map(len, (row.query, *row.documents, *row.negatives)))
        if len(batch) == _ROWS_PER_BATCH or num_characters >= _CHARACTERS_PER_BATCH:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch


def _check_source(source: SourceConfig, kind: DatasetKind, path: str) -> None:
    known = (*_REQUIRED[kind], *_OPTIONAL[kind])
    for name in source.fields:
        if name not in known:
            raise ConfigError(
                f"{path}.fields.{name}: unknown field of kind {kind!r}, expected one of "
                f"{', '.join(known)}"
            )
    if source.language and source.language_field:
        raise ConfigError(f"{path}: got both language and language_field, expected one of them")
    if bool(source.split_field) != bool(source.split):
        raise ConfigError(f"{path}: got one of split_field and split, expected both or neither")
    if source.symmetric and kind != "pairs":
        raise ConfigError(
            f"{path}.symmetric: got true for kind {kind!r}, expected it of pairs only"
        )
    if source.max_rows < 0:
        raise ConfigError(f"{path}.max_rows: got {source.max_rows}, expected at least 0")
