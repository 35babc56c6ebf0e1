"""From rows of any source to examples of a method. Loads no torch."""

import ast
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mgte.errors import ConfigError, DataError
from mgte.evaluate.fine_tuning.config import MethodKind, Source
from mgte.evaluate.fine_tuning.examples import (
    ChoiceExample,
    Example,
    LinkedExample,
    QuestionExample,
    TaggedExample,
    TextExample,
)
from mgte.evaluate.fine_tuning.sources import read_source

_Maker = Callable[["_Row", Sequence[str]], Example | None]


def read_examples(
    source: Source, method: MethodKind, labels: Sequence[str], root: Path
) -> list[Example]:
    """Examples of a source.

    Args:
        source: Where rows come from, with its language put in. Its `fields` name: `first`,
            `second` and `label` (classification, regression), `choices` or `choice0`, `choice1`
            ... and `label` (multiple choice), `words` and `tags`, `question`, `context` and
            `answers`, or `first`, `second` and `positive` (retrieval); `id` is optional.
        method: What examples are for.
        labels: Names of classes or tags.
        root: Folder from which paths count.

    Returns:
        Examples in the order of the rows. Rows without a label are left out, as some datasets hold
        a few.

    Raises:
        DataError: A field is missing or means nothing, or no row has a label.
        ConfigError: The source names more or fewer labels than there are.
    """
    make = _MAKERS[method]
    if source.labels and labels and len(source.labels) != len(labels):
        raise ConfigError(f"{source.path}: got {len(source.labels)} labels, expected {len(labels)}")
    labels = source.labels or labels
    examples = []
    for number, (place, values) in enumerate(read_source(source, root)):
        row_id = str(values.get(source.fields.get("id", "id"), number))
        row = _Row(place, values, source.fields, row_id)
        example = make(row, labels)
        if example is not None:
            examples.append(example)
    if not examples:
        raise DataError(f"{source.path}: no row has a label, expected some")
    return examples


class _Row:
    """A row under our names of its fields.

    Args:
        place: Where it stands.
        values: Its values.
        fields: Our name to the row's name or a template.
        row_id: Its id.
    """

    def __init__(
        self, place: str, values: Mapping[str, Any], fields: Mapping[str, str], row_id: str
    ) -> None:
        self.place = place
        self.row_id = row_id
        self._values = values
        self._fields = fields

    def has(self, name: str) -> bool:
        """Whether the row has a field, or a template makes it."""
        return name in self._fields or name in self._values

    def value(self, name: str) -> Any:
        """Value of a field."""
        source = self._fields.get(name, name)
        if source not in self._values:
            known = ", ".join(map(str, self._values))
            raise DataError(f"{self.place}: no field `{source}`; fields: {known}")
        return self._values[source]

    def text(self, name: str) -> str:
        """Text of a field or of a template."""
        source = self._fields.get(name, name)
        if "{" in source:
            try:
                return source.format_map(self._values)
            except (KeyError, ValueError) as error:
                raise DataError(f"{self.place}: {source!r} cannot be filled ({error})") from error
        value = self.value(name)
        if not isinstance(value, str):
            raise DataError(f"{self.place}: field `{source}` is no text, expected one")
        return value

    def optional_text(self, name: str) -> str:
        """Text of a field, or "" where there is none."""
        return self.text(name) if self.has(name) else ""


def _make_classified(row: _Row, labels: Sequence[str]) -> TextExample | None:
    target = _label(row, labels)
    return None if target is None else _text_example(row, float(target))


def _make_regressed(row: _Row, labels: Sequence[str]) -> TextExample | None:
    value = row.value("label")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{row.place}: the label is {value!r}, expected a number") from None
    return _text_example(row, number)


def _text_example(row: _Row, target: float) -> TextExample:
    second = row.text("second") if row.has("second") else None
    return TextExample(example_id=row.row_id, first=row.text("first"), second=second, target=target)


def _make_choice(row: _Row, labels: Sequence[str]) -> ChoiceExample | None:
    if row.has("choices"):
        choices = _list(row, row.value("choices"))
    else:
        names = [name for number in range(10) if row.has(name := f"choice{number}")]
        choices = [row.text(name) for name in names]
    target = _label(row, labels or [str(number) for number in range(len(choices))])
    if target is None:
        return None
    if not 0 <= target < len(choices):
        raise DataError(f"{row.place}: label {target} of {len(choices)} choices")
    return ChoiceExample(
        example_id=row.row_id, first=row.text("first"), choices=tuple(choices), target=target
    )


def _make_tagged(row: _Row, labels: Sequence[str]) -> TaggedExample:
    words, tags = list(row.value("words")), list(row.value("tags"))
    if len(words) != len(tags):
        raise DataError(f"{row.place}: {len(words)} words and {len(tags)} tags, expected as many")
    unknown = [tag for tag in tags if tag not in labels]
    if unknown:
        raise DataError(
            f"{row.place}: tag {unknown[0]!r} is none of {', '.join(labels)}; expected one of them"
        )
    return TaggedExample(example_id=row.row_id, words=tuple(words), tags=tuple(tags))


def _make_question(row: _Row, labels: Sequence[str]) -> QuestionExample:
    answers = row.value("answers")
    try:
        texts, starts = tuple(answers["text"]), tuple(map(int, answers["answer_start"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{row.place}: answers are not in SQuAD's layout ({error!r})") from error
    if not texts or len(texts) != len(starts):
        raise DataError(f"{row.place}: got {len(texts)} answers and {len(starts)} starts")
    return QuestionExample(
        example_id=row.row_id,
        question=row.text("question"),
        context=row.text("context"),
        answers=texts,
        starts=starts,
    )


def _make_linked(row: _Row, labels: Sequence[str]) -> LinkedExample:
    return LinkedExample(
        example_id=row.row_id,
        first=row.text("first"),
        second=row.optional_text("second"),
        positive_id=str(row.value("positive")) if row.has("positive") else "",
    )


def _label(row: _Row, labels: Sequence[str]) -> int | None:
    value = row.value("label")
    name = str(value)
    if name in ("", "-", "-1", "None"):  # no label: XNLI and SNLI mark disagreement with a hyphen
        return None
    if name not in labels:
        raise DataError(f"{row.place}: label {name!r} is none of {', '.join(labels)}")
    return list(labels).index(name)


def _list(row: _Row, value: Any) -> list[str]:
    """A list, or the text of one as tables hold it."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (SyntaxError, ValueError) as error:
            raise DataError(f"{row.place}: choices are no list ({error})") from error
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{row.place}: choices are no list of texts, expected one")
    return list(value)


_MAKERS: Mapping[MethodKind, _Maker] = {
    "classification": _make_classified,
    "regression": _make_regressed,
    "multiple_choice": _make_choice,
    "tagging": _make_tagged,
    "spans": _make_question,
    "retrieval": _make_linked,
}
