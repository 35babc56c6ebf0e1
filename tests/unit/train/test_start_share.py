"""start_share: what a stage saves lies on the line from its start to what was trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.laws.training_runs import recipe_values, run_here

from mgte.config import override
from mgte.errors import ConfigError
from mgte.train.start_share import with_start


def two_stages(tokenizer_folder: Path, share: float, **output: Any) -> dict[str, Any]:
    """A recipe whose second stage goes on from the first."""
    values = recipe_values(tokenizer_folder, steps=4, schedule={"kind": "linear"})
    (first,) = values["stages"]
    second = override(
        first,
        {"name": "more", "init_from": first["name"], "optimizer.lr": 0.01}
        | {"output": {"start_share": share} | output},
    )
    return values | {"stages": [first, second]}


def saved(out: Path, stage: str) -> dict[str, torch.Tensor]:
    return load_file(next(out.glob(f"*-{stage}/model/model.safetensors")))


def test_saved_weights_lie_between_start_and_end(
    tokenizer_folder: Path, root: Path, tmp_path: Path
) -> None:
    for share in (0.0, 0.25, 1.0):
        run_here(two_stages(tokenizer_folder, share), tmp_path / str(share), root)
    before = saved(tmp_path / "0.0", "mlm")
    after = saved(tmp_path / "0.0", "more")
    mixed = saved(tmp_path / "0.25", "more")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    for name in before:
        torch.testing.assert_close(mixed[name], 0.25 * before[name] + 0.75 * after[name])
    unchanged = saved(tmp_path / "1.0", "more")
    assert all(torch.equal(unchanged[name], before[name]) for name in before)


def test_what_is_evaluated_is_what_would_be_saved(
    tokenizer_folder: Path, root: Path, tmp_path: Path
) -> None:
    values = two_stages(tokenizer_folder, 1.0)
    values["stages"][1]["evaluation"] = {"data": ["x"], "every_steps": 2}
    seen = []

    def look(folder: Path, stage: Any, step: int) -> dict[str, float]:
        seen.append(load_file(folder / "model.safetensors"))
        return {"score": 0.0}

    run_here(values, tmp_path / "out", root, evaluators=(look,))
    before = saved(tmp_path / "out", "mlm")
    assert len(seen) == 2
    assert all(torch.equal(seen[0][name], before[name]) for name in before)


def test_weights_that_started_random_are_saved_as_trained() -> None:
    trained = {"old": torch.ones(2), "fresh": torch.ones(2)}
    mixed = with_start(trained, {"old": torch.zeros(2)}, 0.75)
    assert mixed["old"].tolist() == [0.25, 0.25]
    assert mixed["fresh"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages.1.output.start_share": 1.5}, r"stages\.more\.output\.start_share: got 1\.5"),
        ({"stages.0.output.start_share": 0.5}, r"stages\.mlm\.output\.start_share: .*random"),
    ],
)
def test_a_share_that_cannot_be_is_refused(
    tokenizer_folder: Path, root: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_here(override(two_stages(tokenizer_folder, 0.5), changes), tmp_path / "out", root)
