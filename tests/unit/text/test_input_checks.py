"""Bad and borderline input: an error that names the place, or a defined result."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.text.made_tokenizers import BUILDERS

from mgte.errors import CheckpointError, DataError, MgteError
from mgte.text import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(folders: dict[str, Path]) -> Tokenizer:
    return Tokenizer.load(folders["bert"])


def test_what_is_no_text_is_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"^texts\[2\]: got NoneType, expected str$"):
        tokenizer.encode(["a", "b", None])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"^documents\[0\]: got int, expected str$"):
        tokenizer.encode_pairs(["a"], [7])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"^texts: got bytes, expected a list of str$"):
        tokenizer.encode(b"a")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="got 2 queries and 1 documents"):
        tokenizer.encode_pairs(["a", "b"], ["c"])


@pytest.mark.parametrize("text", ["ab\ud83d", "water " * 50_000 + "\udc00"])
def test_a_lone_surrogate_is_named_with_its_position(tokenizer: Tokenizer, text: str) -> None:
    position = len(text) - 1
    expected = rf"^texts\[1\]: lone surrogate U\+D[8C]3?[0D]0?D? at character {position}, "
    with pytest.raises(DataError, match=expected):
        tokenizer.encode(["fine", text], max_length=16)
    with pytest.raises(DataError, match=rf"^queries\[1\]: lone surrogate .* {position}, "):
        tokenizer.encode_pairs(["fine", text], ["b", "b"], max_length=16)


def test_empty_input_has_a_defined_result(tokenizer: Tokenizer, folders: dict[str, Path]) -> None:
    assert len(tokenizer.encode([])) == 0
    assert len(tokenizer.encode_pairs([], [])) == 0
    assert tokenizer.encode([""]).ids[0].tolist() == [2, 3]
    assert tokenizer.encode_pairs([""], [""]).ids[0].tolist() == [2, 3, 3]
    # Without special tokens around a text, an empty one becomes the end of text.
    frameless = Tokenizer.load(folders["qwen-bpe"])
    assert frameless.encode(["", "a"]).ids[0].tolist() == [frameless.role_ids["eos"]]
    assert not frameless.encode([""]).is_truncated[0]


def test_a_single_string_is_one_text(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("water river")) == 1
    assert len(tokenizer.encode_pairs("water", "river")) == 1
    assert len(tokenizer.encode(text for text in ("a", "b", "c"))) == 3


def test_a_folder_without_a_tokenizer_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer found \(looked for tokenizer.json"):
        Tokenizer.load(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"\n")
    with pytest.raises(CheckpointError, match="convert it once"):
        Tokenizer.load(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        Tokenizer.load(tmp_path / "absent")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"model": {"type": "BPE", "vocab": 1}}', b"\xff\xfe"]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    BUILDERS["bert"]().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: not readable as JSON"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="got list, expected a JSON object"):
        Tokenizer.load(tmp_path)


def test_a_vocab_without_its_special_tokens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nwater\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt: no line \[CLS\]"):
        Tokenizer.load(tmp_path)


anything = st.one_of(st.none(), st.integers(), st.binary(), st.text(), st.text("\ud800a \x00"))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(texts=st.one_of(anything, st.lists(anything, max_size=4)), length=st.integers(-1, 9))
def test_any_input_gives_ids_or_an_error_of_ours(
    tokenizer: Tokenizer, texts: object, length: int
) -> None:
    try:
        result = tokenizer.encode(texts, max_length=length)  # type: ignore[arg-type]
    except MgteError as error:
        assert len(str(error).splitlines()) <= 3
    else:
        assert all(0 < len(row) <= length for row in result.ids)
