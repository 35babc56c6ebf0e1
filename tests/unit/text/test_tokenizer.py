"""Ids must equal those of transformers for every length; pairs, frames, saving."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

TEXTS = [
    "",
    "water",
    "The winter market, don't wait: 12.5!",
    "  two  spaces\tand a tab\nand a line\u00a0and\u3000wide ",
    "中国文字研究 mixed with bridges",
    "Größe naïve ΣΑΣ [SEP] </s> <mask> [MASK] <|endoftext|>",
    "👩\u200d👩\u200d👧 e\u0301 \u0301 x",
    "harbour journeys " * 40,
]
LENGTHS = [4, 5, 6, 7, 8, 11, 16, 33, 64, 512]


def reference(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def assert_same_ids(ours: Tokenizer, folder: Path) -> None:
    theirs = reference(folder)
    for length in LENGTHS:
        single = ours.encode(TEXTS, max_length=length)
        expected = theirs(TEXTS, truncation=True, max_length=length)["input_ids"]
        for index, (got, wanted) in enumerate(zip(single.ids, expected, strict=True)):
            assert got.tolist() == (wanted or [ours.role_ids["eos"]]), (length, TEXTS[index])
            whole = len(theirs(TEXTS[index])["input_ids"])
            assert single.is_truncated[index] == (whole > length)
            assert single.count_dropped(index) == max(0, whole - length)


def assert_same_pairs(ours: Tokenizer, folder: Path) -> None:
    theirs = reference(folder)
    firsts = [text for text in TEXTS for _ in TEXTS]
    seconds = TEXTS * len(TEXTS)
    for length in (4, 5, 6, 7, 11):
        got = ours.encode_pairs(firsts, seconds, max_length=length)
        expected = theirs(
            firsts, seconds, truncation=True, max_length=length, return_token_type_ids=True
        )
        for index, (row, wanted) in enumerate(zip(got.ids, expected["input_ids"], strict=True)):
            if wanted:
                assert row.tolist() == wanted, (length, firsts[index], seconds[index])
                types = expected["token_type_ids"][index]
                if got.token_type_ids is None:
                    assert not any(types)
                else:
                    assert got.token_type_ids[index].tolist() == types


def test_ids_equal_those_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    ours = Tokenizer.load(folders[kind])
    assert_same_ids(ours, folders[kind])
    assert_same_pairs(ours, folders[kind])


def test_ids_of_minilm_equal_those_of_transformers(minilm_folder: Path) -> None:
    ours = Tokenizer.load(minilm_folder)
    assert ours.max_length == 512
    assert_same_ids(ours, minilm_folder)
    assert_same_pairs(ours, minilm_folder)
    # Its tokenizer.json stores a truncation to 128 and padding, which are no part of the model.
    assert len(ours.encode(["word " * 300]).ids[0]) == 302


def test_shared_bert_tokenizer_and_its_vocab_txt_give_the_same_ids(
    shared: Path, tmp_path: Path
) -> None:
    folder = shared / "data/tokenizers/bert_base_uncased_gte_small"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    ours = Tokenizer.load(folder)
    assert_same_ids(ours, folder)
    (tmp_path / "vocab.txt").write_bytes((folder / "vocab.txt").read_bytes())
    from_vocab = Tokenizer.load(tmp_path)
    for left, right in zip(ours.encode(TEXTS).ids, from_vocab.encode(TEXTS).ids, strict=True):
        np.testing.assert_array_equal(left, right)
    assert from_vocab.role_ids == {"cls": 101, "sep": 102, "pad": 0, "unk": 100}


def test_too_small_a_limit_is_refused(kind: str, folders: dict[str, Path]) -> None:
    tokenizer = Tokenizer.load(folders[kind])
    with pytest.raises(ConfigError, match="max_length: got 0, expected at least"):
        tokenizer.encode(["water"], max_length=0)
    if kind == "bert":
        with pytest.raises(ConfigError, match=r"got 2, expected at least 3 \(3 special tokens\)"):
            tokenizer.encode_pairs(["a"], ["b"], max_length=2)
        assert tokenizer.encode(["water"], max_length=2).ids[0].tolist() == [2, 3]


def test_a_text_that_stands_in_many_pairs_is_tokenised_once(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = Tokenizer.load(folders["bert"])
    seen: list[str] = []
    encode = tokenizer._bodies._encode_whole

    def spy(pieces, *rest):
        seen.extend(pieces)
        return encode(pieces, *rest)

    monkeypatch.setattr(tokenizer._bodies, "_encode_whole", spy)
    documents = [f"river {number}" for number in range(100)]
    pairs = tokenizer.encode_pairs(["water"] * 100, documents)
    assert len(pairs) == 100
    assert seen.count("water") == 1
    assert len(seen) == 101


def test_overflow_error_names_the_text_and_its_exact_length(folders: dict[str, Path]) -> None:
    tokenizer = Tokenizer.load(folders["bert"])
    texts = ["water"] * 17 + ["water " * 9210]
    with pytest.raises(
        DataError, match=r"^texts\[17\]: has 9,212 tokens, more than max_length=8,192\n"
    ):
        tokenizer.encode(texts, max_length=8192, overflow="error")
    with pytest.raises(DataError, match=r"^pairs\[0\]: has 14 tokens, more than max_length=8\n"):
        tokenizer.encode_pairs(["water " * 10], ["river"], max_length=8, overflow="error")
    with pytest.raises(ConfigError, match="overflow"):
        tokenizer.encode(texts, overflow="ignore")  # type: ignore[arg-type]


def test_eos_is_appended_where_the_settings_ask_for_it(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    bare = Tokenizer.load(folders["qwen-bpe"])
    config = json.loads((folders["qwen-bpe"] / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer.json").write_bytes((folders["qwen-bpe"] / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "add_eos_token": True}))
    tokenizer = Tokenizer.load(tmp_path)
    eos = tokenizer.role_ids["eos"]
    with_eos = tokenizer.encode(TEXTS)
    for text, row in zip(TEXTS, with_eos.ids, strict=True):
        body = bare.encode([text]).ids[0].tolist() if text else []
        assert row.tolist() == [*body, eos]
    assert tokenizer.encode(["water bridge"], max_length=3).ids[0][-1] == eos
    # transformers alone ignores the setting (the checkpoint's own code obeys it); what we save
    # says it in tokenizer.json.
    tokenizer.save(tmp_path / "saved")
    assert_same_ids(Tokenizer.load(tmp_path / "saved"), tmp_path / "saved")


def test_saved_tokenizer_loads_in_transformers_and_here(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer = Tokenizer.load(folders[kind], max_length=64)
    tokenizer.save(tmp_path)
    assert_same_ids(tokenizer, tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.max_length == 64
    assert again.role_ids == tokenizer.role_ids


def test_saving_keeps_the_ids_where_the_class_of_the_checkpoint_would_not(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    # The class of XLM-R in transformers 5 rebuilds the splitter of tokenizer.json.
    (tmp_path / "tokenizer.json").write_bytes((folders["unigram"] / "tokenizer.json").read_bytes())
    config = json.loads((folders["unigram"] / "tokenizer_config.json").read_text())
    config |= {
        "tokenizer_class": "XLMRobertaTokenizer",
        "auto_map": {"AutoTokenizer": ["a.b", None]},
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer.load(tmp_path)
    tokenizer.save(tmp_path / "saved")
    assert_same_ids(tokenizer, tmp_path / "saved")
    assert set(reference(tmp_path / "saved")("water")) == {"input_ids", "attention_mask"}


def test_special_ids_and_names(folders: dict[str, Path]) -> None:
    tokenizer = Tokenizer.load(folders["bert"])
    assert tokenizer.special_ids == {0, 1, 2, 3}
    assert tokenizer.pad_id == 0
    assert tokenizer.token(2) == "[CLS]"
    water = int(tokenizer.encode(["water"]).ids[0][1])
    assert tokenizer.decode([water]).startswith(tokenizer.token(water))
    with pytest.raises(DataError, match="not in the vocabulary"):
        tokenizer.token(tokenizer.vocab_size)
    multilingual = Tokenizer.load(folders["unigram"])
    assert multilingual.special_ids == {0, 1, 2}
    assert multilingual.pad_id == 1


def test_prefix_stands_before_every_text_and_lowercase_comes_first(
    folders: dict[str, Path],
) -> None:
    tokenizer = Tokenizer.load(folders["byte-bpe"])
    got = tokenizer.encode(["Water", "River"], prefix="query: ")
    expected = tokenizer.encode(["query: Water", "query: River"])
    assert [row.tolist() for row in got.ids] == [row.tolist() for row in expected.ids]
    lower = Tokenizer.load(folders["byte-bpe"], lowercase=True)
    assert lower.encode("WATER").ids[0].tolist() == tokenizer.encode("water").ids[0].tolist()


def test_threads_share_one_tokenizer(folders: dict[str, Path]) -> None:
    tokenizer = Tokenizer.load(folders["unigram"])
    texts = [f"river {number} " * 500 for number in range(24)]
    expected = [tokenizer.encode([text], max_length=64).ids[0].tolist() for text in texts]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: tokenizer.encode([text], max_length=64).ids[0], texts))
    assert [row.tolist() for row in rows] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("setting", [None, "true"])
def test_a_fork_is_silent_and_leaves_the_setting_alone(
    folders: dict[str, Path], setting: str | None
) -> None:
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "from pathlib import Path; from mgte.text import Tokenizer\n"
        "assert 'torch' not in sys.modules\n"
        "tokenizer = Tokenizer.load(Path(sys.argv[1]))\n"
        "texts = ['water river'] * 2000\n"
        "tokenizer.encode(texts)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if len(tokenizer.encode(['water'])) == 1 else 3)\n"
        "status = os.waitpid(child, 0)[1]\n"
        "tokenizer.encode(texts)\n"
        "print(status, os.environ.get('TOKENIZERS_PARALLELISM'))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    if setting:
        environment["TOKENIZERS_PARALLELISM"] = setting
        code = code.replace("tokenizer.encode(['water'])", "['water']")
    done = subprocess.run(
        [sys.executable, "-c", code, str(folders["bert"])],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["0", str(setting)]
    assert done.stderr == ""


def test_bare_ids_are_whole_and_without_special_tokens(folders: dict[str, Path], kind: str) -> None:
    tokenizer = Tokenizer.load(folders[kind], max_length=8)
    texts = ["The water, don't water it: 12.5 or 730?" * 3, "", "water"]
    framed = tokenizer.encode(texts, max_length=10_000).ids
    for bare, ids in zip(tokenizer.encode_bare(texts), framed, strict=True):
        found = [i for i in ids.tolist() if i not in tokenizer.special_ids]
        assert [i for i in bare.tolist() if i not in tokenizer.special_ids] == found
        assert len(bare) <= len(ids)
    assert len(tokenizer.encode_bare("")[0]) == 0
