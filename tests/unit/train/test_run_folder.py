"""The folder of a run: a change is refused before a byte of it is written."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.laws.training_runs import recipe_values, run_here

from mgte.config import override, read_yaml
from mgte.errors import ConfigError


@pytest.fixture
def values(tokenizer_folder: Path) -> dict[str, Any]:
    return recipe_values(tokenizer_folder, steps=9, schedule={"kind": "linear"})


def run_until(step: int, values: dict[str, Any], out: Path, root: Path) -> None:
    def stop(record: dict[str, Any]) -> None:
        if record["kind"] == "step" and record["step"] == step:
            os.kill(os.getpid(), signal.SIGTERM)

    assert run_here(values, out, root, sinks=(stop,)).status == "interrupted"


def written(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("seed: got 6", {"seed": 6}),
        (r"stages\.mlm\.precision", {"stages.0.precision": "bfloat16"}),
        (r"stages\.mlm\.output\.pooling: got 'mean'", {"stages.0.output.pooling": "mean"}),
        (r"stages\.mlm\.scratch\.hidden_size", {"encoder.hidden_size": 32}),
        # Known only when the data is there.
        (
            r"stages\.mlm\.data\.dataset: holds other rows",
            {"datasets.other.kind": "texts", "stages.0.data.dataset": "other"},
        ),
    ],
)
def test_a_refused_change_of_a_stage_under_way_leaves_the_folder_as_it_was(
    message: str, changes: dict[str, Any], values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    source = values["datasets"]["texts"]["sources"][0]
    fewer = {"kind": "texts", "sources": [{**source, "max_rows": 30}]}
    values = {**values, "datasets": {**values["datasets"], "other": fewer}}
    out = tmp_path / "out"
    run_until(4, values, out, root)
    before = written(out)
    with pytest.raises(ConfigError, match=message):
        run_here(override(values, changes), out, root)
    after = written(out)
    assert {path: after[path] for path in before} == before
    # Nothing is new but data that was prepared.
    assert all(out / "data" in path.parents for path in after.keys() - before.keys())
    assert run_here(values, out, root).status == "done"


def test_what_may_change_is_written_down(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_until(4, values, out, root)
    run_here(override(values, {"stages.0.checkpoint.every_steps": 4}), out, root)
    stored = read_yaml(out / "recipe.yaml")
    assert stored["stages"][0]["checkpoint"]["every_steps"] == 4
    # What the recipe leaves open stands there as it was settled.
    assert stored["stages"][0]["output"]["pooling"] == "cls"


def test_every_machine_of_a_run_is_noted_once(
    values: dict[str, Any], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    out = tmp_path / "out"
    run_until(2, values, out, root)
    run_until(4, values, out, root)
    assert len(json.loads((out / "environment.json").read_text())) == 1
    monkeypatch.setattr("mgte.train.environment.platform.platform", lambda: "another machine")
    run_here(values, out, root)
    sessions = json.loads((out / "environment.json").read_text())
    assert sessions[1]["platform"] == "another machine"
    assert sessions[0]["platform"] != "another machine"
