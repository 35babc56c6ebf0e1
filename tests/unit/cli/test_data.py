"""`mgte data`: prepared, looked at, and a tokenizer trained, from the command line."""

import json
from pathlib import Path

import pytest

from mgte.text import Tokenizer

PAIRS = [
    {"q": "what makes the tide", "a": "the moon", "lang": "en"},
    {"q": "how to make bread", "a": "water and a road", "lang": "en"},
    {"q": "WHAT makes the tide", "a": "The moon", "lang": "en"},
    {"q": "was ist das", "a": "sea", "lang": "de"},
]
SOURCE = """
      - path: pairs.jsonl
        source: made
        language_field: lang
        fields: {query: q, document: a}
"""
DATASET = "    kind: pairs\n    sources:" + SOURCE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lines = [json.dumps(pair) for pair in PAIRS]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "one.yaml").write_text("kind: pairs\nsources:" + SOURCE, encoding="utf-8")
    recipe = f"name: r\ndatasets:\n  first:\n{DATASET}  second:\n{DATASET}"
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return tmp_path


@pytest.fixture
def prepare(mgte, root: Path, tokenizer_folder: Path):
    def run(config: str, *words: str):
        return mgte(
            "data", "prepare", root / config, "--out", root / "out", "--tokenizer",
            tokenizer_folder, "--data-root", root, *words,
        )  # fmt: skip

    return run


def test_one_dataset_is_prepared_and_inspected(mgte, prepare, root: Path) -> None:
    result = prepare("one.yaml", "--json")
    assert result.code == 0
    assert "3 rows of 4 kept" in result.err
    summary = json.loads(result.out)
    assert (summary["num_rows"], summary["kind"]) == (3, "pairs")
    result = mgte("data", "inspect", root / "out", "--verify", "--rows", 2, "--json")
    facts = json.loads(result.out)
    assert facts["fingerprint"] == summary["fingerprint"]
    assert facts["sources"]["made"]["removed"] == {"duplicate": 1}
    assert facts["sources"]["made"]["languages"] == {"de": 1, "en": 2}
    assert sum(span["num_rows"] for span in facts["lengths"]["histogram"]) == 3
    assert [row["query"] for row in facts["examples"]] == [PAIRS[0]["q"], PAIRS[1]["q"]]
    assert facts["checksums"] == "verified"


def test_a_person_reads_counts_lengths_and_rows(mgte, prepare, root: Path) -> None:
    prepare("one.yaml")
    result = mgte("data", "inspect", root / "out", "--rows", 1)
    assert result.code == 0
    for words in ("duplicate", "lengths in tokens", "pairs.jsonl:1", "what makes the tide"):
        assert words in result.out


def test_a_recipe_needs_the_name_of_a_dataset(prepare) -> None:
    result = prepare("recipe.yaml")
    assert (result.code, result.out) == (2, "")
    assert "got no --dataset, expected one of first, second" in result.err
    assert "--dataset third" in prepare("recipe.yaml", "--dataset", "third").err
    assert "expected a recipe" in prepare("one.yaml", "--dataset", "first").err
    assert prepare("recipe.yaml", "--dataset", "second").code == 0


def test_texts_are_shown_as_the_tokenizer_reads_them(mgte, prepare, root: Path) -> None:
    (root / "texts.yaml").write_text(
        "kind: texts\nsources: [{path: pairs.jsonl, source: s, language: en, fields: {text: q}}]"
    )
    assert prepare("texts.yaml").code == 0
    result = mgte("data", "inspect", root / "out", "--rows", 3)
    assert "tokens: how to make bread" in result.out


def test_the_vectors_of_a_teacher_are_stored(prepare, root: Path, tiny_embedder: Path) -> None:
    from mgte.data import open_dataset
    from mgte.inference import Embedder

    (root / "v.yaml").write_text(
        f"kind: vectors\nteacher: {tiny_embedder}\n"
        "sources: [{path: pairs.jsonl, source: s, language: en, fields: {text: a}}]"
    )
    assert prepare("v.yaml").code == 0
    dataset = open_dataset(root / "out")
    import numpy as np

    texts, vectors = dataset.vector_rows(np.arange(dataset.num_rows))
    expected = Embedder.load(str(tiny_embedder)).encode(texts).dense
    # float16 has eleven bits; entries of unit vectors are below one.
    np.testing.assert_allclose(vectors, expected, atol=2**-11)


def test_the_teacher_is_the_one_of_training(prepare, root: Path, tiny_embedder: Path) -> None:
    """Found below the data root, and with the prompt of documents, as `mgte train` has it."""
    import numpy as np

    from mgte.data import open_dataset
    from mgte.store import EmbeddingSettings, load_model, save_model
    from mgte.train import load_teacher

    settings = EmbeddingSettings(prompts={"document": "the water of the "})
    teacher = root / "models" / "teacher"
    teacher.parent.mkdir()
    save_model(load_model(tiny_embedder), teacher, "sentence-transformers", settings=settings)
    (root / "v.yaml").write_text(
        "kind: vectors\nteacher: models/teacher\n"
        "sources: [{path: pairs.jsonl, source: s, language: en, fields: {text: a}}]"
    )
    result = prepare("v.yaml")
    assert result.code == 0, result.err
    dataset = open_dataset(root / "out")
    texts, vectors = dataset.vector_rows(np.arange(dataset.num_rows))
    expected = load_teacher(str(teacher))(texts)
    np.testing.assert_array_equal(vectors, expected.astype(np.float16).astype(np.float32))
    plain = load_teacher(str(tiny_embedder))(texts)
    assert not np.allclose(vectors, plain, atol=2**-11)


def test_what_told_the_languages_is_told(mgte, prepare, root: Path) -> None:
    rows = [{"text": "the tide", "language": "xx"}, {"text": "a road", "language": ""}]
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (root / "t.yaml").write_text("kind: texts\nsources: [{path: t.jsonl, source: s}]")
    result = prepare("t.yaml")
    assert "languages of source 's': 1 rows by a column, 1 rows detected" in result.err
    result = mgte("data", "inspect", root / "out", "--json")
    (source,) = json.loads(result.out)["sources"].values()
    assert source["languages"] == {"und": 1, "xx": 1}
    assert source["languages_from"] == {"column": 1, "detected": 1}
    assert "languages of s: 1 rows by a column" in mgte("data", "inspect", root / "out").out
    # Folders of before this was noted open as they are.
    manifest = root / "out" / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["sources"][0]["languages_from"]
    manifest.write_text(json.dumps(content))
    assert prepare("t.yaml").code == 0
    assert "languages of s" not in mgte("data", "inspect", root / "out").out


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("kind: pairs\nsources: [{path: absent.jsonl, source: s}]", "absent.jsonl: no such file"),
        ("kind: pairs\nsources: []", "sources: got none"),
        ("kind: pears\nsources: []", "kind: got 'pears'"),
        ("kind: vectors\nsources: [{path: pairs.jsonl, source: s}]", "teacher: missing"),
        ("kind: pairs\nsources: [{path: pairs.jsonl, source: s}]", "fields: q, a, lang"),
    ],
)
def test_bad_settings_are_named_and_nothing_is_made(prepare, root: Path, config, message) -> None:
    (root / "bad.yaml").write_text(config, encoding="utf-8")
    result = prepare("bad.yaml")
    assert result.code == 2
    assert message in result.err
    assert not (root / "out").exists()


def test_a_tokenizer_is_trained(mgte, root: Path, monkeypatch) -> None:
    monkeypatch.chdir(root)
    words = [f"{a}{b}{c}{d}" for a in "bdfgkl" for b in "aeiou" for c in "mnprst" for d in "aeiou"]
    lines = [" ".join(words[i::17]) for i in range(17)] + ["水" * 20 + "石" * 20] * 5
    (root / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    command = ("data", "tokenizer", "t.txt", "--vocab-size", 520, "--out", "tok", "--kind", "bpe")
    result = mgte(*command, "--language", "en", "--json")
    assert result.code == 0
    assert json.loads(result.out)["vocab_size"] == Tokenizer.load(root / "tok").vocab_size == 520
    assert "exists already" in mgte(*command).err


def test_the_action_is_asked_for_and_explained(mgte) -> None:
    assert mgte("data").code == 2
    assert "ACTION" in mgte("data", "--help").out
    result = mgte("data", "inspect", "absent")
    assert (result.code, result.out) == (2, "")
    assert "absent: no such folder" in result.err
