"""Rows of every layout become the same examples."""

import json
from pathlib import Path

import pytest

from mgte.config import from_dict
from mgte.errors import ConfigError, DataError
from mgte.evaluate.fine_tuning.config import Setting, Source, Sweep, TestSet, Training
from mgte.evaluate.fine_tuning.example_reading import read_examples
from mgte.evaluate.fine_tuning.examples import (
    ChoiceExample,
    LinkedExample,
    QuestionExample,
    TaggedExample,
    TextExample,
    hash_examples,
)
from mgte.evaluate.fine_tuning.pools import read_pool
from mgte.evaluate.suite import build_task, read_suite, suite_names

CONTEXT = "the moon makes the tide"


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_classes_from_a_table_and_from_lines_are_the_same(tmp_path) -> None:
    write(tmp_path / "a.tsv", "id\ts1\ts2\tlabel", "7\ta b\tc\tyes", "8\td\te\tno", "9\tf\tg\t-")
    write(tmp_path / "b.txt", "yes|7|a b|c", "no|8|d|e", "-|9|f|g")
    table = Source(path="a.tsv", fields={"first": "s1", "second": "s2"})
    columns = ("label", "id", "first", "second")
    lines = Source(format="lines", path="b.txt", columns=columns, delimiter="|")
    expected = [
        TextExample(example_id="7", first="a b", second="c", target=1.0),
        TextExample(example_id="8", first="d", second="e", target=0.0),
    ]
    found = [read_examples(s, "classification", ("no", "yes"), tmp_path) for s in (table, lines)]
    assert found == [expected, expected]
    assert hash_examples(found[0]) == hash_examples(found[1]) != hash_examples(found[0][:1])
    other = Source(path="a.tsv", fields=table.fields, start=1, stop=2)
    assert read_examples(other, "classification", ("no", "yes"), tmp_path) == expected[1:]


def test_a_pattern_reads_its_files_by_name(tmp_path) -> None:
    for name, word in (("b/2.tsv", "two"), ("a/1.tsv", "one")):
        write(tmp_path / name, "first\tlabel", f"{word}\t1")
    found = read_examples(Source(path="*/*.tsv"), "classification", ("0", "1"), tmp_path)
    assert [example.first for example in found] == ["one", "two"]
    with pytest.raises(DataError, match="no file has such a name"):
        read_examples(Source(path="*/*.csv"), "classification", ("0", "1"), tmp_path)


def test_numbers_from_quoted_lines(tmp_path) -> None:
    write(tmp_path / "a.csv", '"one, two",three,4.5')
    source = Source(
        format="lines", path="a.csv", columns=("first", "second", "label"), delimiter=","
    )
    (example,) = read_examples(source, "regression", (), tmp_path)
    assert example == TextExample(example_id="0", first="one, two", second="three", target=4.5)


def test_choices_from_fields_lists_and_templates(tmp_path) -> None:
    row = {"premise": "It rained.", "question": "effect", "c1": "Wet.", "c2": "Dry.", "label": 0}
    write(tmp_path / "a.jsonl", json.dumps(row))
    first = "{premise} What was the {question}?"
    source = Source(path="a.jsonl", fields={"first": first, "choice0": "c1", "choice1": "c2"})
    write(tmp_path / "b.csv", "first,choices,label", "\"q\",\"['x', 'y', 'z']\",3")
    other = Source(path="b.csv", labels=("1", "2", "3"))
    assert read_examples(source, "multiple_choice", (), tmp_path) == [
        ChoiceExample(
            example_id="0",
            first="It rained. What was the effect?",
            choices=("Wet.", "Dry."),
            target=0,
        )
    ]
    (example,) = read_examples(other, "multiple_choice", (), tmp_path)
    assert (example.choices, example.target) == (("x", "y", "z"), 2)


def test_sentences_from_conll_and_conllu(tmp_path) -> None:
    write(tmp_path / "a.txt", "moon B-X", "tide O", "", "sea O", "")
    lines = [
        "# text = moon",
        "1-2\tx\t_\tY",
        "1\tmoon\t_\tB-X",
        "2\ttide\t_\tO",
        "",
        "1\tsea\t_\tO",
    ]
    write(tmp_path / "b.txt", *lines)
    plain = Source(format="conll", path="a.txt", columns=("words", "tags"))
    universal = Source(format="conll", path="b.txt", columns=("id", "words", "lemma", "tags"))
    expected = [
        TaggedExample(example_id="0", words=("moon", "tide"), tags=("B-X", "O")),
        TaggedExample(example_id="1", words=("sea",), tags=("O",)),
    ]
    for source in (plain, universal):
        assert read_examples(source, "tagging", ("O", "B-X"), tmp_path) == expected
    with pytest.raises(DataError, match="tag 'B-X' is none of O, I"):
        read_examples(plain, "tagging", ("O", "I"), tmp_path)


def write_questions(root: Path) -> None:
    answers = [{"text": "the moon", "answer_start": 0}]
    question = {"id": "q", "question": "what makes it", "answers": answers}
    paragraphs = [{"context": CONTEXT, "qas": [question]}]
    write(root / "squad.json", json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}))
    for language in ("en", "de"):
        write(
            root / "folder" / "qrels" / f"{language}.tsv",
            "query-id\tcorpus-id\tscore",
            f"{language}-q\t{language}-p\t1",
        )
    rows = [
        {
            "_id": f"{language}-q",
            "qid": "q",
            "text": f"what makes it{suffix}",
            "answer": "the moon",
            "answer_start": 0,
        }
        for language, suffix in (("en", ""), ("de", " genau"))
    ]
    write(root / "folder" / "queries.jsonl", *map(json.dumps, rows))
    documents = [{"_id": "en-p", "text": CONTEXT}, {"_id": "de-p", "text": CONTEXT + " genau"}]
    write(root / "folder" / "corpus.jsonl", *map(json.dumps, documents))


def test_questions_from_squad_and_from_a_folder_are_the_same(tmp_path) -> None:
    write_questions(tmp_path)
    expected = QuestionExample(
        example_id="q",
        question="what makes it",
        context=CONTEXT,
        answers=("the moon",),
        starts=(0,),
    )
    squad = Source(format="squad", path="squad.json")
    folder = Source(format="question_folder", path="folder", split="{language}")
    assert read_examples(squad, "spans", (), tmp_path) == [expected]
    assert read_examples(folder.of_language("en"), "spans", (), tmp_path) == [expected]


def test_pools_of_shared_contexts(tmp_path) -> None:
    write_questions(tmp_path)
    source = Source(format="question_folder", path="folder", split="{language}")
    test = TestSet(source=source, languages=("en", "de"), has_shared_pool=True)
    pool = read_pool(test, "de", tmp_path)
    assert pool.queries == ("what makes it genau",)
    assert pool.documents == (CONTEXT, CONTEXT + " genau")
    assert pool.positives == (frozenset({1}),)
    values = {"source": {"format": "question_folder", "path": "folder", "split": "{language}"}}
    values |= {"languages": ["en", "de"], "has_shared_pool": True, "are_translations_right": True}
    pool = read_pool(from_dict(TestSet, values), "de", tmp_path)
    assert pool.positives == (frozenset({0, 1}),)


def test_pools_of_translations_and_of_entities(tmp_path) -> None:
    write(tmp_path / "x.de", "mond", "see", "tide")
    write(tmp_path / "x.en", "moon", "sea", "moon")
    source = Source(format="parallel_lines", path="x.{language}", second_path="x.en")
    pool = read_pool(TestSet(source=source, languages=("de",)), "de", tmp_path)
    assert pool.documents == ("moon", "sea")
    assert pool.positives == (frozenset({0}), frozenset({1}), frozenset({0}))
    examples = read_examples(source.of_language("de"), "retrieval", (), tmp_path)
    assert examples[1] == LinkedExample(example_id="1", first="see", second="sea")

    write(tmp_path / "m.jsonl", json.dumps({"mention": "luna", "entity": "Q2"}))
    rows = [{"entity": "Q1", "about": "sea"}, {"entity": "Q2", "about": "moon"}]
    write(tmp_path / "e.jsonl", *map(json.dumps, rows))
    mentions = Source(path="m.jsonl", fields={"first": "mention", "positive": "entity"})
    candidates = Source(path="e.jsonl", fields={"first": "about", "id": "entity"})
    pool = read_pool(TestSet(source=mentions, documents=candidates), "", tmp_path)
    assert (pool.documents, pool.positives) == (("sea", "moon"), (frozenset({1}),))
    fewer = Source(path="e.jsonl", fields=candidates.fields, stop=1)
    with pytest.raises(DataError, match="'0' belongs to 'Q2', which is not among the 1 documents"):
        read_pool(TestSet(source=mentions, documents=fewer), "", tmp_path)


def test_data_that_means_nothing_is_refused(tmp_path) -> None:
    write(tmp_path / "a.tsv", "first\tlabel", "a\tmaybe")
    source = Source(path="a.tsv")
    with pytest.raises(DataError, match="label 'maybe' is none of no, yes"):
        read_examples(source, "classification", ("no", "yes"), tmp_path)
    with pytest.raises(DataError, match="the label is 'maybe', expected a number"):
        read_examples(source, "regression", (), tmp_path)
    with pytest.raises(DataError, match="no field `words`; fields: first, label"):
        read_examples(source, "tagging", ("a", "b"), tmp_path)
    with pytest.raises(DataError, match="is not there"):
        read_examples(Source(path="b.tsv"), "regression", (), tmp_path)
    with pytest.raises(ConfigError, match="got 3 labels, expected 2"):
        wrong = Source(path="a.tsv", labels=("a", "b", "c"))
        read_examples(wrong, "classification", ("no", "yes"), tmp_path)
    write(tmp_path / "s.json", "[]")
    with pytest.raises(DataError, match="not in SQuAD's layout"):
        read_examples(Source(format="squad", path="s.json"), "spans", (), tmp_path)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"lr: got 0\.0, expected above 0"):
        Setting(lr=0.0)
    with pytest.raises(ConfigError, match="labels: got 1, expected at least 2"):
        Training(name="x", method="classification", train=Source(path="a"), labels=("a",))
    with pytest.raises(ConfigError, match="stride: got 128, expected from 0 to half"):
        Training(name="x", method="spans", train=Source(path="a"))
    with pytest.raises(ConfigError, match="columns: missing"):
        Source(format="conll", path="a")
    tried = Sweep(lrs=(1e-5, 2e-5), epochs=()).settings(Setting(epochs=7))
    assert [(setting.lr, setting.epochs) for setting in tried] == [(1e-5, 7), (2e-5, 7)]


@pytest.mark.parametrize("name", ["glue", "xtreme-r", "fine-tuning-small"])
def test_suites_are_complete(name, tmp_path) -> None:
    assert name in suite_names()
    suite = read_suite(name)
    tasks = [build_task(entry, tmp_path) for entry in suite.tasks]
    assert all(task.kind == "fine_tuning" for task in tasks)
    counts = {"glue": 8, "xtreme-r": 10, "fine-tuning-small": 11}
    assert len(tasks) == counts[name]


def test_hub_datasets_are_read_with_the_names_of_their_classes(tmp_path, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    tags = datasets.ClassLabel(names=["O", "B-X"])
    features = datasets.Features(
        {
            "sentence": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "tokens": datasets.List(datasets.Value("string")),
            "tags": datasets.List(tags),
        }
    )
    columns = {
        "sentence": ["a", "b", "c"],
        "label": [1, 0, -1],
        "tokens": [["moon", "sea"], ["tide"], ["map"]],
        "tags": [[1, 0], [0], [1]],
    }
    asked = []

    def load_dataset(path, config, *, split):
        asked.append((path, config, split))
        if split == "absent":
            raise ValueError("Unknown split\nand more")
        return datasets.Dataset.from_dict(columns, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    values = {"format": "hub", "path": "some/data", "config": "{language}", "split": "train"}
    source = from_dict(Source, {**values, "fields": {"first": "sentence", "words": "tokens"}})
    read = read_examples(source.of_language("de"), "classification", ("no", "yes"), tmp_path)
    assert asked == [("some/data", "de", "train")]
    assert [(example.first, example.target) for example in read] == [("a", 1.0), ("b", 0.0)]
    (first, *_) = read_examples(source, "tagging", ("O", "B-X"), tmp_path)
    assert first == TaggedExample(example_id="0", words=("moon", "sea"), tags=("B-X", "O"))
    with pytest.raises(DataError, match=r"'absent' cannot be loaded \(Unknown split\)"):
        read_examples(from_dict(Source, {**values, "split": "absent"}), "tagging", (), tmp_path)
