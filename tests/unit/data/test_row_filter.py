"""What is left out is counted under its reason, exactly."""

from mgte.data import DatasetConfig, SourceConfig, text_hash
from mgte.data.raw_rows import RawRow
from mgte.data.row_filter import RowFilter


def made_filter(kind: str, *excluded: str, **settings) -> RowFilter:
    sources = (SourceConfig(path="x", source="s"),)
    config = DatasetConfig(kind=kind, sources=sources, **settings)
    return RowFilter(config, {text_hash(text) for text in excluded})


def row(*documents: str, query: str = "", negatives: tuple[str, ...] = (), **more) -> RawRow:
    return RawRow(
        source="s",
        file="f",
        place="f:1",
        query=query,
        documents=documents,
        negatives=negatives,
        **more,
    )


def test_texts_are_counted_by_reason() -> None:
    chosen = made_filter("texts", "Secret  Text", min_characters=3)
    texts = ["sea", "SEA ", " ab ", "", "secret text", "the sea"]
    kept = [text for text in texts if chosen.clean(row(text))]
    assert kept == ["sea", "the sea"]
    assert chosen.num_read["s"] == 6
    assert chosen.removed["s"] == {"duplicate": 1, "too_short": 2, "excluded": 1}


def test_pairs_are_duplicates_where_both_sides_are() -> None:
    chosen = made_filter("pairs")
    pairs = [("q", "d"), ("q", "e"), ("r", "d"), ("Q ", "D"), ("d", "q"), ("", "d"), ("q", " ")]
    kept = [pair for pair in pairs if chosen.clean(row(pair[1], query=pair[0]))]
    assert kept == [("q", "d"), ("q", "e"), ("r", "d"), ("d", "q")]
    assert chosen.removed["s"] == {"duplicate": 1, "too_short": 2}


def test_near_duplicates_of_pairs_are_looked_for_in_both_sides() -> None:
    long = "the tide rises and falls because the moon pulls on the water of the sea"
    pairs = [
        ("why does the tide rise", long),
        ("why does the tide rise?", long + "."),  # nearly the first
        ("which body moves all oceans of the earth, and by what force", long),  # another question
        ("why does the tide rise", "other"),
    ]
    for threshold, num_kept in ((0.0, 4), (0.8, 3)):
        chosen = made_filter("pairs", near_duplicates=threshold)
        assert sum(chosen.clean(row(d, query=q)) is not None for q, d in pairs) == num_kept
        assert chosen.removed["s"].get("near_duplicate", 0) == 4 - num_kept


def test_any_text_of_a_row_can_exclude_it() -> None:
    for excluded in ("q", "p", "n"):
        chosen = made_filter("groups", excluded)
        assert chosen.clean(row("p", query="q", negatives=("n",))) is None
        assert chosen.removed["s"] == {"excluded": 1}
    chosen = made_filter("vectors", "english")
    assert chosen.clean(row("deutsch", teacher_text="english")) is None


def test_documents_of_a_group_are_cleaned_with_their_scores() -> None:
    chosen = made_filter("groups")
    cleaned = chosen.clean(
        row(
            "p",
            "P ",
            "",
            query="q",
            negatives=("n", "p", "m", "n"),
            positive_scores=(1.0, 2.0, 3.0),
            negative_scores=(4.0, 5.0, 6.0, 7.0),
        )
    )
    assert cleaned is not None
    assert (cleaned.documents, cleaned.negatives) == (("p",), ("n", "m"))
    assert (cleaned.positive_scores, cleaned.negative_scores) == ((1.0,), (4.0, 6.0))
    assert chosen.removed["s"] == {"document_repeated": 3, "document_too_short": 1}
