"""Readers of pairs: scored, labelled, translated."""

from collections.abc import Collection, Sequence

from mgte.errors import DataError
from mgte.evaluate.text_data.items import LabelledPair, ScoredPair, TranslationPair
from mgte.evaluate.text_data.rows import TextRow


def scored_pairs(
    rows: Sequence[TextRow],
    *,
    first: str = "sentence1",
    second: str = "sentence2",
    score: str = "score",
    score_range: tuple[float, float] = (0.0, 5.0),
) -> tuple[ScoredPair, ...]:
    """Pairs with a score of how alike they are.

    Args:
        rows: Rows of the data.
        first: Field of one text.
        second: Field of the other.
        score: Field of the score.
        score_range: Lowest and highest score that there may be.

    Returns:
        One pair per row.

    Raises:
        DataError: A field is missing or wrong, a score lies outside, or all scores are equal.
    """
    low, high = score_range
    pairs = []
    for number, row in enumerate(rows, start=1):
        value = row.number(score)
        if not low <= value <= high:
            raise DataError(
                f"{row.place}: field `{score}` is {value:g}, expected {low:g} to {high:g}",
                hint="the scale of the data is set by `score_range`",
            )
        pairs.append(
            ScoredPair(
                item_id=str(number), first=row.text(first), second=row.text(second), score=value
            )
        )
    if len({pair.score for pair in pairs}) < 2:
        raise DataError(
            f"{rows[0].place}: got {len(pairs):,} pairs with one score, expected several scores"
        )
    return tuple(pairs)


def labelled_pairs(
    rows: Sequence[TextRow],
    *,
    first: str = "sentence1",
    second: str = "sentence2",
    label: str = "label",
    positive: Collection[str] = ("1",),
    negative: Collection[str] = ("0",),
    ignored: Collection[str] = (),
) -> tuple[LabelledPair, ...]:
    """Pairs that belong together, or do not.

    Args:
        rows: Rows of the data.
        first: Field of one text.
        second: Field of the other.
        label: Field of the label.
        positive: Labels of pairs that belong together.
        negative: Labels of pairs that do not.
        ignored: Labels of rows that are left out, such as "neutral".

    Returns:
        One pair per row that is not ignored.

    Raises:
        DataError: A field is missing or wrong, a label is unknown, or all pairs are of one kind.
    """
    pairs = []
    for number, row in enumerate(rows, start=1):
        value = row.label(label)
        if value in ignored:
            continue
        if value not in positive and value not in negative:
            known = ", ".join([*positive, *negative, *ignored])
            raise DataError(f"{row.place}: field `{label}` is {value!r}, expected one of {known}")
        pairs.append(
            LabelledPair(
                item_id=str(number),
                first=row.text(first),
                second=row.text(second),
                is_positive=value in positive,
                label=value,
            )
        )
    num_positive = sum(pair.is_positive for pair in pairs)
    if not 0 < num_positive < len(pairs):
        raise DataError(
            f"{rows[0].place}: got {num_positive:,} positive pairs of {len(pairs):,}, expected "
            "positive and negative ones"
        )
    return tuple(pairs)


def translation_pairs(
    rows: Sequence[TextRow], *, source: str = "source", target: str = "target"
) -> tuple[TranslationPair, ...]:
    """Sentences with their translations.

    Args:
        rows: Rows of the data.
        source: Field of the sentence.
        target: Field of its translation.

    Returns:
        One pair per row.

    Raises:
        DataError: A field is missing or wrong.
    """
    return tuple(
        TranslationPair(item_id=str(number), source=row.text(source), target=row.text(target))
        for number, row in enumerate(rows, start=1)
    )
