"""`mgte train` on a model of two layers: runs, interruptions, dry runs, curves, and errors."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

TEXTS = ["the tide and the moon", "bread is to bake", "a road map to read", "sea water is light"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Texts, pairs and a collection to evaluate on."""
    folder = tmp_path / "data"
    (folder / "dev" / "qrels").mkdir(parents=True)
    texts = [{"text": f"{text} {other}", "language": "en"} for text in TEXTS for other in TEXTS]
    pairs = [{"query": text.split()[-1], "document": text} for text in TEXTS]
    write(folder / "texts.jsonl", texts)
    write(folder / "pairs.jsonl", pairs)
    write(
        folder / "dev" / "corpus.jsonl", [{"_id": str(i), "text": t} for i, t in enumerate(TEXTS)]
    )
    write(folder / "dev" / "queries.jsonl", [{"_id": "q", "text": "moon"}])
    (folder / "dev" / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq\t0\t1\n")
    return folder


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def recipe(tmp_path: Path, tokenizer_folder: Path) -> Path:
    optimizer = {"kind": "adamw", "lr": 1e-3}
    values = {
        "name": "little",
        "seed": 1,
        "tokenizer": str(tokenizer_folder),
        "encoder": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 64,
        },
        "datasets": {
            "texts": {
                "kind": "texts",
                "sources": [
                    {"path": "texts.jsonl", "source": "t", "language_field": "language"},
                ],
            },
            "pairs": {
                "kind": "pairs",
                "sources": [{"path": "pairs.jsonl", "source": "p", "language": "en"}],
            },
        },
        "stages": [
            {
                "name": "words",
                "init_from": "scratch",
                "objective": {"kind": "masked_lm"},
                "data": {"dataset": "texts", "max_length": 32, "rows_per_batch": 4},
                "optimizer": optimizer,
                "schedule": {"kind": "linear"},
                "steps": 6,
                "log_every": 1,
            },
            {
                "name": "meaning",
                "init_from": "words",
                "objective": {"kind": "contrastive"},
                "data": {
                    "dataset": "pairs",
                    "max_length": 32,
                    "max_query_length": 32,
                    "rows_per_batch": 4,
                },
                "optimizer": optimizer,
                "schedule": {"kind": "linear"},
                "steps": 4,
                "evaluation": {"data": ["dev"], "every_steps": 2},
                "log_every": 1,
            },
        ],
    }
    path = tmp_path / "little.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_makes_models_and_says_what_to_do_next(mgte, recipe, data, tmp_path) -> None:
    pytest.importorskip("pytrec_eval")
    out = tmp_path / "run"
    words = ("train", recipe, "--out", out, "--data-root", data, "--json", "--device", "cpu")
    result = mgte(*words)
    assert result.code == 0, result.err
    made = json.loads(result.out)
    assert made["status"] == "done"
    first, second = made["stages"]
    assert (first["name"], first["steps"], first["scores"]) == ("words", 6, {})
    assert set(second["scores"]) == {"ndcg_at_10", "dev/dense"}
    model = out / "02-meaning" / "model"
    assert f"mgte embed FILE --model {model}" in result.err
    steps = [record["step"] for record in log_of(out / "02-meaning") if record["kind"] == "step"]
    assert steps == [1, 2, 3, 4]
    # A run that is done says so again, and computes nothing.
    weights = (model / "model.safetensors").stat().st_mtime_ns
    assert json.loads(mgte(*words).out) == made
    assert (model / "model.safetensors").stat().st_mtime_ns == weights


def test_an_interrupted_run_says_how_to_go_on_and_does(
    mgte, recipe, data, tmp_path, monkeypatch
) -> None:
    from mgte.train.metrics import ConsoleSink

    show = ConsoleSink.__call__

    def show_and_stop(sink, record):
        show(sink, record)
        if record["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "run"
    words = ("train", recipe, "--out", out, "--data-root", data, "--set", "stages.words.steps=5")
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleSink, "__call__", show_and_stop)
        stopped = mgte(*words)
    assert stopped.code == 128 + signal.SIGTERM
    assert f"the state is saved in {out}" in stopped.err
    command = next(line for line in stopped.err.splitlines() if line.startswith("to go on: mgte "))
    done = mgte(*command.removeprefix("to go on: mgte ").split())
    assert done.code == 0, done.err
    steps = [record["step"] for record in log_of(out / "01-words") if record["kind"] == "step"]
    assert steps == [1, 2, 3, 4, 5]


def test_a_run_that_was_stopped_before_its_first_step_claims_no_saved_state(
    mgte, recipe, data, tmp_path, monkeypatch
) -> None:
    import mgte.train.run as run

    build = run.stage_model

    def build_and_stop(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        return build(*given)

    monkeypatch.setattr(run, "stage_model", build_and_stop)
    stopped = mgte("train", recipe, "--out", tmp_path / "run", "--data-root", data)
    assert stopped.code == 128 + signal.SIGTERM
    assert "saved" not in stopped.err
    assert "interrupted before a step of stage words was done" in stopped.err


def test_a_dry_run_tells_what_a_run_would_take_and_leaves_nothing(
    mgte, recipe, data, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = mgte("train", recipe, "--dry-run", "--data-root", data)
    assert result.code == 0, result.err
    for part in ("words: masked_lm from scratch, 6 steps", "parameters", "source", "reckoned"):
        assert part in result.out
    assert any(line.startswith("  sees        query: [CLS] ") for line in result.out.splitlines())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_as_json_with_measured_steps(mgte, recipe, data) -> None:
    words = ("train", recipe, "--dry-run", "--measure", "--json", "--data-root", data)
    result = mgte(*words)
    assert result.code == 0, result.err
    first, second = json.loads(result.out)["stages"]
    assert first["is_measured"]
    assert first["seconds"] > 0
    # The embedding of the vocabulary, shared with the head, counts once.
    assert first["parameters"]["total"] == first["parameters"]["trained"]
    assert second["data"]["rows_per_step"] == 4
    assert second["memory_bytes"]["total"] > second["memory_bytes"]["weights"] > 0


def test_a_dry_run_of_a_recipe_whose_parts_are_elsewhere(mgte) -> None:
    path = Path(__file__).parents[3] / "recipes" / "gte-multilingual-base.yaml"
    result = mgte("train", path, "--dry-run")
    assert result.code == 0
    assert "at most 4.19T in all" in result.out
    assert "not here    tokenizer" in result.out


def test_the_curves_of_a_run(mgte, recipe, data, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "run"
    short = ("--set", "stages.0.steps=2", "--set", "stages.1.steps=2", "--tensorboard")
    assert mgte("train", recipe, "--out", out, "--data-root", data, *short).code == 0
    assert list((out / "tensorboard").iterdir())
    png = tmp_path / "curves.png"
    assert mgte("train", "--plot", out, "--out", png).code == 0
    assert png.read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--out: missing"),
        (("--measure", "--out", "x"), "--measure: got it without --dry-run"),
        (("--out", "x", "--set", "stages.0.stepz=3"), "did you mean `steps`?"),
        (("--out", "x", "--set", "stages.0.steps=many"), "stages.0.steps: got 'many', expected"),
        (("--out", "x", "--set", "stages.0.init_from=meaning"), "comes later"),
        (("--out", "x", "--set", "stages.1.data.dataset=texts"), "expected pairs or groups"),
        (("--out", "x", "--set", "stages.1.evaluation.data=[gone]"), "gone is no folder"),
        (("--out", "x", "--set", "datasets.texts.sources.0.path=gone.jsonl"), "gone.jsonl"),
        (("--plot", "x"), "got a recipe"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    mgte, recipe, data, tmp_path, monkeypatch, words, message
) -> None:
    monkeypatch.chdir(tmp_path)
    result = mgte("train", recipe, "--data-root", data, *words)
    assert result.code == 2
    assert result.out == ""
    error = result.err[result.err.index("error: ") :]
    assert message in error
    assert error.count("\n") <= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "stages.1.data.max_query_length=512"), "expected at most max_position_embed"),
        (("--set", "stages.1.objective.temperature=0"), "temperature"),
        (("--set", "stages.0.data.dataset=[]"), "stages.0.data.dataset"),
        (("--set", "tokenizer.vocab_size=500"), "tokenizer"),
        (("--set", "stages.1.evaluation.split=gone"), "gone"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(mgte, recipe, data, tmp_path, words, message) -> None:
    for way in (("--dry-run",), ("--out", tmp_path / "run")):
        result = mgte("train", recipe, "--data-root", data, *words, *way)
        assert result.code == 2
        assert message in result.err


def test_a_missing_recipe_is_named(mgte, tmp_path) -> None:
    result = mgte("train", tmp_path / "no.yaml", "--out", tmp_path / "run")
    assert result.code == 2
    assert "no.yaml: cannot be read" in result.err
    assert "RECIPE: missing" in mgte("train").err
