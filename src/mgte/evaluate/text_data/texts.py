"""Reader of texts with a class."""

from collections import Counter
from collections.abc import Sequence

from mgte.errors import DataError
from mgte.evaluate.text_data.items import LabelledText
from mgte.evaluate.text_data.rows import TextRow


def labelled_texts(
    rows: Sequence[TextRow],
    *,
    text: str = "text",
    label: str = "label",
    labels: Sequence[str] = (),
) -> tuple[LabelledText, ...]:
    """Texts with their classes. A row whose label is a list of none or several is left out.

    Args:
        rows: Rows of the data.
        text: Field of the text.
        label: Field of the class.
        labels: Classes that there are; empty takes what stands there.

    Returns:
        One text per row that is not left out.

    Raises:
        DataError: A field is missing or wrong, a class is not among `labels`, or no row is left.
    """
    texts = []
    for number, row in enumerate(rows, start=1):
        value = row.value(label)
        if isinstance(value, list) and len(value) != 1:
            continue
        name = row.label(label)
        if labels and name not in labels:
            raise DataError(
                f"{row.place}: field `{label}` is {name!r}, expected one of {', '.join(labels)}"
            )
        texts.append(LabelledText(item_id=str(number), text=row.text(text), label=name))
    if not texts:
        raise DataError(
            f"{rows[0].place}: none of {len(rows):,} rows has exactly one label, expected some"
        )
    return tuple(texts)


def label_order(*parts: Sequence[LabelledText], labels: Sequence[str] = ()) -> tuple[str, ...]:
    """The classes in the order in which they are numbered.

    Args:
        labels: Their order, where the data's settings say it.
        parts: Texts.

    Returns:
        `labels`, else all classes of the texts: by value if all are numbers, else by name.

    Raises:
        DataError: There is one class only.
    """
    found = Counter(item.label for part in parts for item in part)
    names = list(labels) or sorted(found)
    if not labels and all(name.lstrip("-").isdecimal() for name in names):
        names.sort(key=int)
    if len(found) < 2:
        raise DataError(f"labels: got {', '.join(found)} alone, expected at least two classes")
    return tuple(names)
