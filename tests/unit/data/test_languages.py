"""Languages are told where nobody tells them, and only where there is enough text."""

from mgte.data.languages import detect_languages, tag_languages
from mgte.data.raw_rows import RawRow

SENTENCES = {
    "en": "The library opens at nine and closes when the last reader has gone home.",
    "de": "Die Bibliothek öffnet um neun und schließt, wenn der letzte Leser gegangen ist.",
    "ja": "図書館は九時に開き、最後の読者が帰ると閉まります。",
    "th": "ห้องสมุดเปิดเวลาเก้าโมงและปิดเมื่อผู้อ่านคนสุดท้ายกลับบ้าน",
}


def test_sentences_are_recognised() -> None:
    assert detect_languages(list(SENTENCES.values())) == list(SENTENCES)


def test_what_is_too_short_is_undetermined() -> None:
    assert detect_languages(["", "ok", "12 345 678 901 234 567 890 123", "http"]) == ["und"] * 4


def test_only_rows_without_a_language_are_looked_at() -> None:
    rows = [
        RawRow(source="s", file="f", place="f:1", documents=(SENTENCES["de"],), language="xx"),
        RawRow(source="s", file="f", place="f:2", documents=(SENTENCES["de"],)),
    ]
    assert [row.language for row in tag_languages(rows)] == ["xx", "de"]
