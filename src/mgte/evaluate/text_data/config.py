"""TextDataConfig: where the texts of a task lie, and which of them are meant. Loads no torch."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field

from mgte.errors import ConfigError
from mgte.text import FileFormat


@dataclass(frozen=True, kw_only=True, slots=True)
class TextDataConfig:
    """Files of rows with named fields, and the rows that are wanted.

    `{split}`, `{subset}` and `{language}` stand for their values in every path, in `records_at`,
    in the values of `where` and in names of fields.

    Attributes:
        path: File below the data root; a pattern ("2016/*.tsv.gz") reads all files that match,
            by name.
        lines: Instead of `path`: field to a plain-text file; line i of each makes row i.
        format: Format; None takes it from the suffix.
        columns: Names of the columns, for files that do not name them.
        separator: What stands between columns: a tab in CSV with quotes, a space in plain text.
            Plain text is split into as many columns as are named.
        records_at: Key of the list of rows in a JSON file that holds an object.
        where: Field to the value, or values, that a row must have. A list has them if it is not
            empty and each of its items is among them.
        drop_empty: Rows without a value in one of these fields are left out.
        encoding: Encoding of text files.
        split: Part of the data that is measured.
        subsets: Parts that are measured one by one, to their language; none means one part.
        language: Language where there are no subsets.
        max_items: Items at most, drawn at random; 0 means all.
    """

    path: str = ""
    lines: Mapping[str, str] = field(default_factory=dict)
    format: FileFormat | None = None
    columns: tuple[str, ...] = ()
    separator: str = ""
    records_at: str = ""
    where: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    drop_empty: tuple[str, ...] = ()
    encoding: str = "utf-8"
    split: str = "test"
    subsets: Mapping[str, str] = field(default_factory=dict)
    language: str = ""
    max_items: int = 0

    def __post_init__(self) -> None:
        if bool(self.path) == bool(self.lines):
            got = "both" if self.path else "neither"
            raise ConfigError(f"path: got {got} of path and lines, expected one of them")
        if self.lines and (self.columns or self.separator or self.records_at):
            raise ConfigError("lines: got columns, separator or records_at too, expected none")
        if self.max_items < 0:
            raise ConfigError(f"max_items: got {self.max_items}, expected 0 or more")
        if len(set(self.columns)) != len(self.columns):
            raise ConfigError(f"columns: got a name twice in {', '.join(self.columns)}")
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise ConfigError(f"encoding: got {self.encoding!r}, which is unknown") from error

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """Subset and language of each part that is measured."""
        return tuple(self.subsets.items()) or (("", self.language),)


def filled(text: str, *, split: str, subset: str = "", language: str = "") -> str:
    """A text of the settings with its placeholders replaced.

    Args:
        text: Text with `{split}`, `{subset}` or `{language}`.
        split: Part of the data.
        subset: Part that is measured by itself.
        language: Its language.

    Returns:
        The text; other braces stay.
    """
    values = {"split": split, "subset": subset, "language": language}
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
