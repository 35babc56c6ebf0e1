"""Entries of a vocabulary as plain text: put together, they give the text that was read."""

from pathlib import Path

import pytest
from tests.unit.text.made_tokenizers import CORPUS

from mgte.errors import ConfigError
from mgte.text import Tokenizer, vocabulary_pieces


@pytest.fixture(scope="module")
def tokenizer(folders: dict[str, Path], kind: str) -> Tokenizer:
    return Tokenizer.load(folders[kind])


def test_pieces_of_a_text_are_the_text(tokenizer: Tokenizer) -> None:
    pieces = vocabulary_pieces(tokenizer)
    assert len(pieces) == tokenizer.vocab_size
    normalizer = tokenizer._backend.normalizer
    for text in CORPUS:
        (ids,) = tokenizer.encode_bare(text)
        found = [pieces[number] for number in ids]
        if any(piece.is_special for piece in found):
            # A byte, or an unknown character: no text stands for it.
            continue
        read = "".join(f" {piece.text}" if piece.starts_word else piece.text for piece in found)
        assert read.replace(" ", "") == normalizer.normalize_str(text).replace(" ", "")


def test_words_start_where_the_text_has_them(kind: str, tokenizer: Tokenizer) -> None:
    pieces = vocabulary_pieces(tokenizer)
    (ids,) = tokenizer.encode_bare("the bridge the teachers")
    starts = [pieces[number].starts_word for number in ids]
    # Bytes carry the space of a word with them, so that the first word has no start.
    assert sum(starts) == (3 if kind.endswith("bpe") else 4)


def test_special_tokens_and_unused_entries_stand_for_no_text(
    kind: str, tokenizer: Tokenizer
) -> None:
    pieces = vocabulary_pieces(tokenizer)
    assert all(pieces[number].is_special for number in tokenizer.special_ids)
    if kind == "bert":
        assert sum(piece.is_special for piece in pieces) == 5


def test_a_word_of_each_kind(folders: dict[str, Path]) -> None:
    from mgte.text import Piece

    for name, token, expected in (
        ("bert", "##ing", Piece("ing", starts_word=False, is_special=False)),
        ("bert", "the", Piece("the", starts_word=True, is_special=False)),
        ("unigram", "▁", Piece("", starts_word=True, is_special=False)),
        ("byte-bpe", "Ġstone", Piece("stone", starts_word=True, is_special=False)),
        ("byte-bpe", "Ã", Piece("", starts_word=False, is_special=True)),
    ):
        tokenizer = Tokenizer.load(folders[name])
        number = tokenizer._backend.token_to_id(token)
        assert vocabulary_pieces(tokenizer)[number] == expected, (name, token)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    import tokenizers
    from tokenizers import models

    backend = tokenizers.Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    backend.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match="is of kind WordLevel"):
        vocabulary_pieces(Tokenizer.load(tmp_path))
