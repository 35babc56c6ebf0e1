"""Runs: stages in a chain, folders, what is refused, evaluation and the best checkpoint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.laws.training_runs import recipe_values, run_here, weights_of

import mgte
from mgte.config import override, read_yaml
from mgte.errors import ConfigError, DataError
from mgte.store import load_model, open_model, read_training_facts
from mgte.train import RunOptions

SECOND = {
    "name": "long",
    "init_from": "mlm",
    "steps": 2,
    "encoder": {"rope_theta": 160_000.0},
    "output": {"rope_ntk_factor": 2.0},
}


@pytest.fixture
def values(tokenizer_folder: Path) -> dict[str, Any]:
    values = recipe_values(tokenizer_folder, steps=3, schedule={"kind": "linear"})
    return {**values, "stages": [*values["stages"], {**values["stages"][0], **SECOND}]}


def test_one_changed_byte_of_prepared_data_is_noticed(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_here(values, out, root)
    (out / "02-long" / "DONE").unlink()
    shard = max((out / "data" / "texts").rglob("*tokens*"), key=lambda path: path.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(DataError, match=shard.name):
        run_here(values, out, root)


def test_stages_follow_each_other_and_are_not_done_twice(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run_here(values, out, root)
    assert result.status == "done"
    assert list(result.models) == ["mlm", "long"]
    assert result.model == out / "02-long" / "model"
    assert read_yaml(out / "recipe.yaml")["stages"][1]["name"] == "long"
    sessions = json.loads((out / "environment.json").read_text())
    assert [session["versions"]["torch"] for session in sessions] == [torch.__version__]
    assert json.loads((out / "02-long" / "DONE").read_text())["steps"] == 2
    first, second = load_model(result.models["mlm"]), load_model(result.models["long"])
    assert first.config.rope.theta == 10_000
    # transformers spells NTK scaling by 2 as a larger base and slower positions.
    assert second.config.rope.theta == 320_000
    facts = read_training_facts(result.model)
    assert [stage.name for stage in facts.stages] == ["mlm", "long"]
    assert facts.stages[0].tokens > 0
    log = (out / "01-mlm" / "metrics.jsonl").read_bytes()
    before = weights_of(out), weights_of(out, "02-long")
    assert run_here(values, out, root).status == "done"
    assert (weights_of(out), weights_of(out, "02-long")) == before
    assert (out / "01-mlm" / "metrics.jsonl").read_bytes() == log


def test_a_folder_with_finished_stages_takes_no_other_recipe(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = {**values, "stages": values["stages"][:1]}
    run_here(first, out, root)
    kept = {out / name: (out / name).read_bytes() for name in ("recipe.yaml", "environment.json")}
    for message, changes in {
        r"is done in .* with other settings: stages\.mlm\.optimizer\.lr was 0\.01, is 0\.5": {
            "stages.0.optimizer.lr": 0.5
        },
        "with other settings: seed was 5, is 9": {"seed": 9},
        r"with other settings: encoder\.hidden_size was 16, is 32": {"encoder.hidden_size": 32},
        r"stages\.mlm\.output\.dtype was 'float32', is 'float16'": {
            "stages.0.output.dtype": "float16"
        },
        r"stages\.mlm\.output\.pooling was 'cls', is 'mean'": {"stages.0.output.pooling": "mean"},
        r"datasets\.texts\.min_characters was 1, is 9": {"datasets.texts.min_characters": 9},
        r"datasets\.texts\.sources\.0\.path was 'texts\.jsonl', is 'other\.jsonl'": {
            "datasets.texts.sources.0.path": "other.jsonl"
        },
        r"stages\.mlm\.data\.dataset was 'texts', is 'same'": {
            "stages.0.data.dataset": "same",
            "datasets.same": values["datasets"]["texts"],
        },
        "stage 1 of the run there is 'mlm'": {
            "stages.0.name": "other",
            "stages.1.init_from": "other",
        },
    }.items():
        with pytest.raises(ConfigError, match=message):
            run_here(override(values, changes), out, root)
        assert kept == {path: path.read_bytes() for path in kept}
    # Another stage behind the finished one is the same run.
    assert run_here(values, out, root).status == "done"


def test_mgte_train_takes_a_file_and_overrides(
    values: dict[str, Any], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mgte.config import write_yaml

    write_yaml(values, tmp_path / "r.yaml")
    given = {"stages.long.steps": 1, "datasets.texts.sources.0.path": str(root / "texts.jsonl")}
    result = mgte.train(tmp_path / "r.yaml", tmp_path / "out", given, device="cpu")
    assert result.status == "done"
    assert json.loads((tmp_path / "out" / "02-long" / "DONE").read_text())["steps"] == 1
    assert "mlm step 3/3  loss" in capsys.readouterr().err
    assert mgte.Recipe is mgte.train.Recipe


def test_the_best_checkpoint_stays(values: dict[str, Any], root: Path, tmp_path: Path) -> None:
    scores = {2: 0.3, 4: 0.9, 6: 0.5, 8: 0.7, 9: 0.2}
    seen: list[int] = []

    def evaluator(folder: Path, stage: Any, step: int) -> dict[str, float]:
        assert open_model(folder).tokenizer_file is not None
        seen.append(step)
        return {"score": scores[step], "other": 1.0 - scores[step]}

    stage = {
        **values["stages"][0],
        "steps": 9,
        "evaluation": {"data": ["x"], "every_steps": 2},
        "checkpoint": {"every_steps": 3, "keep_last": 1},
    }
    told: list[dict[str, Any]] = []
    run_here(
        {**values, "stages": [stage]},
        tmp_path / "out",
        root,
        evaluators=(evaluator,),
        sinks=(told.append,),
    )
    assert seen == [2, 4, 6, 8, 9]
    folders = sorted(path.name for path in (tmp_path / "out/01-mlm/checkpoints").iterdir())
    assert folders == ["step-0000004", "step-0000009"]
    evaluations = [record for record in told if record["kind"] == "evaluation"]
    assert [record["score"] for record in evaluations] == list(scores.values())
    assert not (tmp_path / "out/01-mlm/evaluated-model").exists()


def test_evaluation_changes_nothing(values: dict[str, Any], root: Path, tmp_path: Path) -> None:
    one = {**values, "stages": values["stages"][:1]}
    run_here(one, tmp_path / "without", root)
    measured = override(one, {"stages.0.evaluation": {"data": ["x"], "every_steps": 1}})

    def evaluator(folder: Path, stage: Any, step: int) -> dict[str, float]:
        torch.rand(3)
        return {"score": 1.0}

    run_here(measured, tmp_path / "with", root, evaluators=(evaluator,))
    assert weights_of(tmp_path / "with") == weights_of(tmp_path / "without")


def test_a_trained_tokenizer_and_missing_data(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    generator = np.random.default_rng(1)
    made = ["".join(generator.choice(list("abcdefgh"), size=5)) for _ in range(400)]
    rows = [{"text": " ".join(generator.choice(made, size=20))} for _ in range(60)]
    (root / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    trained = {**values, "tokenizer": {"vocab_size": 512, "datasets": ["texts"]}}
    result = run_here({**trained, "stages": values["stages"][:1]}, tmp_path / "out", root)
    assert (tmp_path / "out" / "tokenizer" / "tokenizer.json").is_file()
    assert open_model(result.model).config.vocab_size == 512
    with pytest.raises(DataError):
        run_here(values, tmp_path / "empty", tmp_path)


def test_adapters_change_only_what_they_should_and_are_merged(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    adapted = override(values, {"stages.1.lora": {"rank": 4, "targets": ["qkv"]}})
    adapted["stages"][1]["steps"] = 4
    out = tmp_path / "out"
    result = run_here(adapted, out, root)
    before = load_model(result.models["mlm"]).state_dict()
    after = load_model(result.models["long"]).state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"encoder.layers.{layer}.attention.qkv.weight" for layer in (0, 1)}
    for name in changed:
        rank = torch.linalg.matrix_rank((after[name] - before[name]).double(), rtol=1e-4)
        assert int(rank) == 4
    # A run with adapters goes on bit for bit too.
    again = tmp_path / "again"
    run_here(adapted, again, root)
    (again / "02-long" / "DONE").unlink()
    run_here(adapted, again, root)
    assert weights_of(again, "02-long") == weights_of(out, "02-long")


def test_a_start_that_is_not_there_is_named(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^stages\.long\.init_from: "):
        run_here(override(values, {"stages.1.init_from": "nobody/nothing"}), tmp_path / "o", root)
    assert not (tmp_path / "o").exists()


def test_a_stage_starts_from_a_model_folder(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    first = {**values, "stages": values["stages"][:1]}
    run_here(first, root / "earlier", root)
    second = {**values["stages"][1], "init_from": "earlier/01-mlm/model", "encoder": {}}
    # The tokenizer is that of the start, and no shape is needed.
    tuned = {**values, "stages": [second], "tokenizer": "", "encoder": None}
    result = run_here(tuned, tmp_path / "out", root)
    facts = read_training_facts(result.model)
    assert facts.start_models == ("earlier/01-mlm/model",)
    assert open_model(result.model).tokenizer_file is not None


def test_options_have_defaults() -> None:
    assert RunOptions().data_root == Path()
