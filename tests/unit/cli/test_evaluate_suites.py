"""`mgte evaluate --suite` measures, goes on, compares and lists."""

import json
import shutil
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a collection and some scored pairs."""
    folder = tmp_path / "data" / "small"
    (folder / "qrels").mkdir(parents=True)
    documents = {"1": "the moon and the tide", "2": "bread", "3": "the sea", "4": "a map"}
    rows = [json.dumps({"_id": i, "title": "", "text": text}) for i, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    queries = {"q": "bread", "r": "tide"}
    rows = [json.dumps({"_id": i, "text": text}) for i, text in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t2\t1\nr\t1\t1\n")
    pairs = ["sentence1,sentence2,score", "bread,bread,5", "the moon,a map,1", "the sea,sea,4"]
    (tmp_path / "data" / "pairs.csv").write_text("\n".join(pairs) + "\n")
    return tmp_path / "data"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    tasks = [
        {"kind": "retrieval", "name": "small", "data": "small"},
        {"kind": "sts", "name": "pairs", "data": {"path": "pairs.csv"}},
        {"kind": "retrieval", "name": "gone", "data": "gone"},
    ]
    settings = {"retrieval": {"top_k": 3, "hybrid": {"sparse_weight": 0.5}}}
    values = {"name": "own", "title": "Own tasks", "settings": settings, "tasks": tasks}
    file.write_text(yaml.safe_dump(values))
    return file


def test_a_suite_and_its_report(mgte, tiny_sparse_embedder, suite, root, tmp_path) -> None:
    out = tmp_path / "out"
    words = ("evaluate", tiny_sparse_embedder, "--suite", suite, "--data-root", root, "--out", out)
    result = mgte(*words)
    assert result.code == 2
    assert "[3/3] gone: failed: gone: " in result.err
    assert "is not there" in result.err
    assert "1 of 3 tasks failed" in result.err
    lines = result.out.splitlines()
    assert lines[0].split()[:4] == ["task", "variant", "metric", "value"]
    assert sum(line.startswith("small") for line in lines) == 4
    assert sum(line.startswith("pairs") for line in lines) >= 1
    report = json.loads((out / "report.json").read_text())
    assert report["suite"] == "own"
    assert report["settings"]["retrieval"]["top_k"] == 3
    assert report["settings"]["retrieval"]["hybrid"]["sparse_weight"] == 0.5
    assert [failure["task"] for failure in report["failures"]] == ["gone"]
    assert "gone" in (out / "report.md").read_text()
    assert (out / "report.html").stat().st_size > 1000
    assert list((out / "cache" / "embeddings").rglob("*.safetensors"))

    again = mgte(*words, "--task", "small", "pairs", "--json")
    assert again.code == 0, again.err
    assert again.err.count("measured before") == 2
    values = [json.loads(line) for line in again.out.splitlines()]
    assert {value["task"] for value in values} == {"small", "pairs"}
    assert all("per_item" not in value for value in values)
    fields = ("--set", "data.max_items=2", "main_metric=x")
    changed = mgte(*words, "--task", "pairs", *fields)
    assert "pairs.main_metric: unknown" in changed.err
    assert "tasks, results in" not in changed.err
    changed = mgte(*words, "--task", "pairs", *fields[:2], "--json")
    assert json.loads(changed.out.splitlines()[0])["num_items"] == 2
    fresh = mgte(*words, "--task", "small", "--again", "--top-k", "2", "--no-cache")
    assert "measured before" not in fresh.err
    assert json.loads((out / "report.json").read_text())["settings"]["retrieval"]["top_k"] == 2


def test_reports_are_compared(mgte, tiny_embedder, tiny_sparse_embedder, suite, root, tmp_path):
    for name, model in (("a", tiny_embedder), ("b", tiny_sparse_embedder)):
        words = ("evaluate", model, "--suite", suite, "--data-root", root, "--out", tmp_path / name)
        assert mgte(*words, "--task", "small", "pairs").code == 0
    result = mgte("evaluate", "--compare", tmp_path / "a", tmp_path / "b")
    assert result.code == 0, result.err
    assert result.out.startswith("# ")
    assert "small" in result.out
    page = tmp_path / "both.html"
    assert mgte("evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--out", page).code == 0
    assert "<html" in page.read_text()
    result = mgte("evaluate", "--compare", tmp_path / "a", tmp_path / "none")
    assert result.code == 2
    assert "cannot be read" in result.err


def test_data_of_any_kind_makes_a_report(mgte, tiny_embedder, root, tmp_path, monkeypatch) -> None:
    shutil.copytree(root / "small", root / "other")
    monkeypatch.chdir(root)
    out = tmp_path / "one"
    words = ("evaluate", tiny_embedder, "--data", "small", root / "other", "--out", out)
    result = mgte(*words, "--modes", "dense", "--max-queries", "1")
    assert result.code == 0, result.err
    found = json.loads((out / "report.json").read_text())["results"]
    assert [(one["task"], one["variant"], one["num_items"]) for one in found] == [
        ("small", "dense", 1),
        ("other", "dense", 1),
    ]
    words = ("evaluate", tiny_embedder, "--data", "pairs.csv", "--kind", "sts", "--out", out)
    result = mgte(*words, "--set", "data.language=en", "--json")
    assert result.code == 0, result.err
    assert all(json.loads(line)["language"] == "en" for line in result.out.splitlines())


def metrics_of(result) -> dict[str, dict[str, float]]:
    values = [json.loads(line) for line in result.out.splitlines()]
    return {value["variant"]: value["metrics"] for value in values}


def test_runs_go_out_and_in(mgte, tiny_sparse_embedder, root, tmp_path) -> None:
    out = tmp_path / "out"
    words = ("evaluate", tiny_sparse_embedder, "--data", root / "small", "--out", out)
    assert mgte(*words).code == 0
    result = mgte(*words, "--save-runs", "--json")
    assert result.code == 0, result.err
    wanted = {
        value["variant"]: value["metrics"] for value in map(json.loads, result.out.splitlines())
    }
    runs = sorted((out / "runs").iterdir())
    assert {run.name for run in runs} == {f"small.{mode}.run" for mode in wanted}
    result = mgte("evaluate", "--run", *runs, "--data", root / "small", "--json")
    assert result.code == 0, result.err
    found = {
        value["variant"]: value["metrics"] for value in map(json.loads, result.out.splitlines())
    }
    assert found == {f"small.{mode}": pytest.approx(wanted[mode]) for mode in wanted}
    result = mgte("evaluate", "--run", runs[0], "--data", root / "small", "--out", tmp_path / "r")
    assert result.out.splitlines()[0].split()[0] == "task"
    assert json.loads((tmp_path / "r" / "report.json").read_text())["model"] == "small.bm25"
    short, strange = tmp_path / "a" / "x.run", tmp_path / "b" / "x.run"
    for file, line in ((short, "q Q0 2 1 1.0 t\n"), (strange, "q Q0 77 1 1.0 t\n")):
        file.parent.mkdir()
        file.write_text(line)
    gaps = mgte("evaluate", "--run", short, short, "--data", root / "small")
    assert "x: lacks 1 of 2 judged queries, which count 0" in gaps.err
    told = mgte("evaluate", "--run", strange, "--data", root / "small")
    assert "names 1 documents, and the collection holds none of them" in told.err
    for wrong in (("MODEL", "--run", runs[0], "--data", "x"), ("--run", runs[0])):
        assert mgte("evaluate", *wrong).code == 2


def test_listing(mgte, suite) -> None:
    result = mgte("evaluate", "--list")
    assert result.code == 0
    assert result.out.splitlines()[0].split() == ["suite", "tasks", "title"]
    assert any(line.startswith("local ") for line in result.out.splitlines())
    result = mgte("evaluate", "--list", suite)
    assert [line.split() for line in result.out.splitlines()] == [
        ["task", "kind"],
        ["small", "retrieval"],
        ["pairs", "sts"],
        ["gone", "retrieval"],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "MODEL: missing"),
        (("MODEL",), "nothing to measure"),
        (("MODEL", "--suite", "nope"), "nope: no such suite, expected a YAML file or one of"),
        (("MODEL", "--suite", "local", "--task", "nope"), "local: has no task 'nope'"),
        (("MODEL", "--suite", "local", "--data", "x"), "expected one of them"),
        (("MODEL", "--task", "scifact"), "expected --suite NAME"),
        (("MODEL", "--suite", "local", "--out", "x.json"), "expected a folder for the report"),
        (("MODEL", "--suite", "local", "--data-root", "no"), "expected the root of the data"),
        (("MODEL", "--suite", "local", "--rerank-blend", "2"), "rerank_blend: got 2.0"),
        (("MODEL", "--data", "x", "--prompt", "query"), "expected ROLE=TEXT"),
        (("MODEL", "--data", "x", "--prompt", "title=a"), "got the role 'title'"),
        (("MODEL", "--suite", "local", "--max-queries", "2"), "--max-queries: belongs to --data"),
        (("MODEL", "--suite", "local", "--split", "dev"), "--split: belongs to --data"),
        (("MODEL", "--suite", "nope.yaml"), "nope.yaml: no such file"),
        (("--compare", "a", "b", "--json"), "--json: a comparison has none"),
        (("--run", "a.run", "--data", "x", "--out", "x.json"), "expected a folder for the report"),
        (("MODEL", "--suite", "local", "--dim", "0"), "mgte evaluate --help"),
    ],
)
def test_what_cannot_be_is_told_before_a_model_is_loaded(mgte, tmp_path, words, message) -> None:
    result = mgte("evaluate", *words)
    assert result.code == 2
    assert message in result.err
