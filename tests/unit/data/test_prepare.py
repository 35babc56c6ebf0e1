"""Preparation of every kind: what is written is what was read, cleaned, counted, repeatable."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.unit.data.made_files import dataset_config, write_rows

from mgte.data import open_dataset, prepare_dataset, read_raw_texts
from mgte.errors import ConfigError, DataError
from mgte.text import Tokenizer

WORDS = "water bread sea moon tide map road wheel chain train plant light".split()


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer.load(tokenizer_folder)


def sentence(number: int) -> str:
    """Different for every number below 12**4."""
    return "the " + " ".join(WORDS[number // 12**place % 12] for place in range(4))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def encode(texts: list[str]) -> np.ndarray:
    """A teacher whose vectors tell the text."""
    return np.array([[len(text), sum(map(ord, text)) % 997, 1] for text in texts], np.float32)


def test_texts_round_trip(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = [sentence(i) * (1 + i % 5) for i in range(250)]
    write_rows(tmp_path / "a.jsonl.gz", [{"text": text, "lang": "en"} for text in texts[:200]])
    (tmp_path / "b.txt").write_text("\n".join(texts[200:]), encoding="utf-8")
    config = dataset_config(
        "texts",
        {"path": "a.jsonl.gz", "source": "x", "language_field": "lang"},
        {"path": "b.txt", "source": "y", "language": "de"},
    )
    seen: list[int] = []
    dataset = prepare_dataset(
        config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path, on_progress=seen.append,
        shard_bytes=2000,
    )  # fmt: skip
    assert sum(seen) == dataset.num_rows == 250
    expected = tokenizer.encode_bare(texts)
    for row in range(250):
        np.testing.assert_array_equal(dataset.tokens(row), expected[row])
    assert dataset.lengths.tolist() == [len(ids) for ids in expected]
    assert dataset.query_lengths.tolist() == [0] * 250
    assert (dataset.sources, dataset.languages) == (("x", "y"), ("en", "de"))
    assert dataset.source_ids.tolist() == dataset.language_ids.tolist() == [0] * 200 + [1] * 50
    assert (dataset.place(7), dataset.place(203)) == ("a.jsonl.gz:8", "b.txt:4")
    assert len(list((tmp_path / "out").glob("tokens-*.npy"))) > 2
    assert dataset.tokenizer().fingerprint == tokenizer.fingerprint


def test_pairs_round_trip(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = [{"query": f"what {sentence(i)}", "answer": sentence(i) * 3} for i in range(200)]
    write_rows(tmp_path / "p.jsonl", rows)
    source = {"path": "p.jsonl", "fields": {"document": "answer"}, "symmetric": True}
    config = dataset_config("pairs", source)
    dataset = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    order = np.array([199, 3, 3, 0])
    for row, group in zip(order, dataset.groups(order), strict=True):
        assert (group.query, group.positives) == (rows[row]["query"], (rows[row]["answer"],))
        assert (group.negatives, group.source, group.language) == ((), "p.jsonl", "en")
    assert dataset.symmetric == (True,)
    lengths = [len(ids) for ids in tokenizer.encode_bare([row["answer"] for row in rows])]
    assert dataset.lengths.tolist() == lengths
    lengths = [len(ids) for ids in tokenizer.encode_bare([row["query"] for row in rows])]
    assert dataset.query_lengths.tolist() == lengths
    assert dataset.place(42) == "p.jsonl:43"


def test_groups_round_trip(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = [
        {"query": "q1", "positives": ["sea", "tide"], "negatives": ["bread"] * 1 + ["a map to a"],
         "positive_scores": [0.5, 0.25], "negative_scores": [-1, 0.125]},
        {"query": "q2", "positives": ["moon"], "negatives": []},
    ]  # fmt: skip
    write_rows(tmp_path / "g.jsonl", rows)
    config = dataset_config("groups", {"path": "g.jsonl"})
    dataset = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    first, second = dataset.groups(np.array([0, 1]))
    assert (first.positives, first.negatives) == (("sea", "tide"), ("bread", "a map to a"))
    assert (first.positive_scores, first.negative_scores) == ((0.5, 0.25), (-1.0, 0.125))
    assert (second.positives, second.negatives, second.positive_scores) == (("moon",), (), ())
    assert dataset.lengths.tolist() == [4, 1]


def test_vectors_round_trip_and_each_teacher_text_is_encoded_once(tmp_path, tokenizer) -> None:
    rows = [{"text": f"{sentence(i)}", "en": f"water {i % 40}"} for i in range(120)]
    write_rows(tmp_path / "v.jsonl", rows)
    asked: list[str] = []

    def teacher(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return encode(texts)

    source = {"path": "v.jsonl", "fields": {"teacher_text": "en"}}
    dataset = prepare_dataset(
        dataset_config("vectors", source, teacher="t"), tmp_path / "out", tokenizer=tokenizer,
        root=tmp_path, encode_vectors=teacher,
    )  # fmt: skip
    assert sorted(asked) == sorted({row["en"] for row in rows})
    texts, vectors = dataset.vector_rows(np.arange(120)[::-1])
    assert texts == [row["text"] for row in rows][::-1]
    np.testing.assert_array_equal(vectors, encode([row["en"] for row in rows])[::-1])
    assert vectors.dtype == np.float32


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((2, 3)), "expected 1 vectors of one width"),
        (np.full((1, 3), 1e6), "not finite in float16"),
        (np.full((1, 3), np.nan), "not finite in float16"),
    ],
)
def test_a_teacher_that_gives_nonsense_is_refused(tmp_path, tokenizer, vectors, message) -> None:
    write_rows(tmp_path / "v.jsonl", [{"text": "sea"}])
    config = dataset_config("vectors", {"path": "v.jsonl"})
    with pytest.raises(DataError, match=message):
        prepare_dataset(
            config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path,
            encode_vectors=lambda texts: vectors,
        )  # fmt: skip
    with pytest.raises(ConfigError, match="no teacher"):
        prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)


@pytest.mark.parametrize("kind", ["texts", "pairs"])
def test_the_same_input_gives_the_same_bytes_anywhere(tmp_path, tokenizer, kind) -> None:
    rows = [{"text": sentence(i), "query": f"q {i}", "document": sentence(i)} for i in range(150)]
    found = []
    for place in ("one", "two"):
        write_rows(tmp_path / place / "data" / "r.jsonl.gz", rows)
        config = dataset_config(kind, {"path": "data/*.gz"}, near_duplicates=0.9)
        out = tmp_path / place / "out"
        dataset = prepare_dataset(config, out, tokenizer=tokenizer, root=tmp_path / place)
        found.append((dataset.fingerprint, contents(out)))
    assert found[0] == found[1]
    write_rows(tmp_path / "two" / "data" / "r.jsonl.gz", rows[::-1])
    other = prepare_dataset(config, tmp_path / "new", tokenizer=tokenizer, root=tmp_path / "two")
    assert other.fingerprint != found[0][0]


def test_what_is_left_out_is_counted_exactly(tmp_path: Path, tokenizer: Tokenizer) -> None:
    long = " ".join(sentence(i) for i in range(12, 30))
    texts = [
        sentence(1),
        sentence(2),
        f" {sentence(1).upper()}",
        "sea",
        long,
        long + " sea",
        "\x07",
    ]
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    write_rows(tmp_path / "b.jsonl", [{"text": sentence(2)}, {"text": sentence(3)}])
    write_rows(tmp_path / "test/corpus.jsonl", [{"_id": "d", "title": "", "text": sentence(3)}])
    write_rows(tmp_path / "test/queries.jsonl.gz", [{"_id": "q", "text": "x"}])
    config = dataset_config(
        "texts", {"path": "a.jsonl"}, {"path": "b.jsonl"},
        near_duplicates=0.8, min_characters=5, exclude=["test"],
    )  # fmt: skip
    dataset = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    assert [source.removed for source in dataset.manifest.sources] == [
        {"duplicate": 1, "near_duplicate": 1, "too_short": 2},
        {"duplicate": 1, "excluded": 1},
    ]
    assert [source.num_read for source in dataset.manifest.sources] == [7, 2]
    assert dataset.num_rows == 3


def test_no_row_left_says_why_and_leaves_no_folder(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "sea"}, {"text": "a"}])
    config = dataset_config("texts", {"path": "a.jsonl"}, min_characters=2, exclude=["a.jsonl"])
    with pytest.raises(DataError, match=r"no row is left of 2 \(1 excluded, 1 too_short\)"):
        prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_text_without_tokens_is_counted(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "\x07\x07\x07"}, {"text": "sea"}])
    config = dataset_config("texts", {"path": "a.jsonl"})
    dataset = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    assert dataset.num_rows == 1
    assert dataset.manifest.sources[0].removed == {"no_tokens": 1}


def test_languages_are_detected_where_none_is_given(tmp_path: Path, tokenizer: Tokenizer) -> None:
    write_rows(tmp_path / "a.jsonl.bz2", [
        {"text": "The library opens at nine and closes when the last reader goes home."},
        {"text": "图书馆九点开门，最后一位读者回家后关门。"},
        {"text": "Die Bibliothek öffnet um neun und schließt, wenn der Letzte gegangen ist."},
        {"text": "ok"},
    ])  # fmt: skip
    config = dataset_config("texts", {"path": "a.jsonl.bz2", "language": ""})
    dataset = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    assert [dataset.languages[i] for i in dataset.language_ids] == ["en", "zh", "de", "und"]
    assert dataset.manifest.sources[0].rows == {"de": 1, "en": 1, "und": 1, "zh": 1}


def test_a_complete_folder_is_kept_and_another_is_never_overwritten(tmp_path, tokenizer) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "sea"}])
    config = dataset_config("texts", {"path": "a.jsonl"})
    out = tmp_path / "out"

    def prepare(config):
        return prepare_dataset(config, out, tokenizer=tokenizer, root=tmp_path)

    prepare(config)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert prepare(config).num_rows == 1
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    with pytest.raises(DataError, match="other settings"):
        prepare(dataset_config("texts", {"path": "a.jsonl"}, min_characters=2))
    write_rows(tmp_path / "a.jsonl", [{"text": "sea"}, {"text": "moon"}])
    with pytest.raises(DataError, match="raw files have changed"):
        prepare(config)
    (tmp_path / "a.jsonl").unlink()  # the machine that trains need not have the raw files
    assert prepare(config).num_rows == 1
    (out / "manifest.json").unlink()
    with pytest.raises(DataError, match="no prepared dataset"):
        prepare(config)


def test_a_folder_is_not_kept_when_other_texts_are_to_be_left_out(tmp_path, tokenizer) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": sentence(i)} for i in range(5)])
    write_rows(tmp_path / "test" / "corpus.jsonl", [{"_id": "1", "text": "never seen"}])
    write_rows(tmp_path / "test" / "queries.jsonl", [{"_id": "1", "text": "never asked"}])
    config = dataset_config("texts", {"path": "a.jsonl"}, exclude=["test"])

    def prepare() -> int:
        made = prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
        return made.num_rows

    assert prepare() == prepare() == 5
    write_rows(tmp_path / "test" / "queries.jsonl", [{"_id": "1", "text": sentence(0)}])
    with pytest.raises(DataError, match="the texts to leave out have changed"):
        prepare()
    (tmp_path / "test").rename(tmp_path / "elsewhere")  # a machine that only trains
    assert prepare() == 5


def test_a_column_that_holds_no_languages_is_refused(tmp_path, tokenizer, monkeypatch) -> None:
    monkeypatch.setattr("mgte.data.prepare._MOST_NAMES", 3)
    write_rows(tmp_path / "a.jsonl", [{"text": sentence(i), "id": f"n{i}"} for i in range(4)])
    config = dataset_config("texts", {"path": "a.jsonl", "language_field": "id"})
    with pytest.raises(DataError, match=r"a\.jsonl:4: got language number 4 \('n3'\)"):
        prepare_dataset(config, tmp_path / "out", tokenizer=tokenizer, root=tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_killed_preparation_leaves_nothing_that_looks_complete(tmp_path, tokenizer_folder):
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", compresslevel=1) as file:
        for i in range(60_000):
            file.write(f'{{"text": "{sentence(i)} {i}"}}\n')
    code = (
        "import sys; from pathlib import Path\n"
        "from mgte.data import DatasetConfig, SourceConfig, prepare_dataset\n"
        "from mgte.text import Tokenizer\n"
        "root, folder = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "sources = (SourceConfig(path='a.jsonl.gz', source='a', language='en'),)\n"
        "prepare_dataset(DatasetConfig(kind='texts', sources=sources), root / 'out',\n"
        "    tokenizer=Tokenizer.load(folder), root=root, shard_bytes=40_000,\n"
        "    on_progress=lambda num: print(num, flush=True))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(tokenizer_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1024\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("manifest.json"))
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=True).returncode == 0
    assert open_dataset(tmp_path / "out", verify=True).num_rows == 60_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl.gz", "out"]


def test_raw_texts_are_those_that_are_kept(tmp_path: Path) -> None:
    write_rows(tmp_path / "g.jsonl", [
        {"query": "q", "positives": ["p"], "negatives": ["n", "p"]},
        {"query": "Q", "positives": ["P"], "negatives": []},
        {"query": "test", "positives": ["x"]},
    ])  # fmt: skip
    (tmp_path / "test.txt").write_text("TEST", encoding="utf-8")
    config = dataset_config("groups", {"path": "g.jsonl"}, exclude=["test.txt"])
    assert list(read_raw_texts(config, tmp_path)) == [("en", "q"), ("en", "p"), ("en", "n")]
