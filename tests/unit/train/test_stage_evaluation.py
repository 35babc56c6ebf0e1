"""Evaluation in a stage: saved before it is measured, caught up on, and the best weights kept."""

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.laws.training_runs import recipe_values, run_here, weights_of

from mgte.config import override
from mgte.errors import ConfigError, TrainingError
from mgte.train.checkpoint import read_checkpoint
from mgte.train.metrics import read_log

SCORES = {2: 0.3, 4: 0.9, 6: 0.5, 7: 0.7}
BEST = 4


@pytest.fixture
def values(tokenizer_folder: Path) -> dict[str, Any]:
    return recipe_values(
        tokenizer_folder,
        steps=7,
        schedule={"kind": "linear"},
        evaluation={"data": ["x"], "every_steps": 2},
        checkpoint={"every_steps": 100, "keep_last": 1},
    )


class Scores:
    """An evaluator that knows its scores, and may stop or fail at one step."""

    def __init__(self, at: int = 0, does: Any = None) -> None:
        self.seen: list[int] = []
        self._at, self._does = at, does

    def __call__(self, folder: Path, stage: Any, step: int) -> dict[str, float]:
        self.seen.append(step)
        if step == self._at:
            self._does()
        return {"score": SCORES[step]}


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def checkpoint_names(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "01-mlm/checkpoints").iterdir())


def test_what_goes_wrong_while_a_model_is_measured_costs_no_step(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    run_here(values, tmp_path / "straight", root, evaluators=(Scores(),))
    out, fails = tmp_path / "out", Scores(4, full)
    with pytest.raises(TrainingError, match=r"model of step 4 cannot be measured .*No space left"):
        run_here(values, out, root, evaluators=(fails,))
    assert checkpoint_names(out) == ["step-0000002", "step-0000004"]
    assert not (out / "01-mlm/evaluated-model").exists()
    # The run goes on with the evaluation that is missing.
    again = Scores()
    run_here(values, out, root, evaluators=(again,))
    assert again.seen == [4, 6, 7]
    assert weights_of(out) == weights_of(tmp_path / "straight")
    log = read_log(out / "01-mlm/metrics.jsonl")
    told = [record["step"] for record in log if record["kind"] == "evaluation"]
    assert told == [2, 4, 6, 7]


def test_a_full_disk_while_the_model_is_written(
    values: dict[str, Any], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mgte.train.stage_evaluation.save_stage_model", lambda *a, **k: full())
        with pytest.raises(TrainingError, match="evaluated-model: the model of step 2 cannot"):
            run_here(values, tmp_path / "out", root, evaluators=(Scores(),))
    assert checkpoint_names(tmp_path / "out") == ["step-0000002"]
    assert run_here(values, tmp_path / "out", root, evaluators=(Scores(),)).status == "done"


@pytest.mark.parametrize("step", [4, 7])
def test_who_asks_to_stop_does_not_wait_for_an_evaluation(
    step: int, values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out, first = tmp_path / "out", Scores()

    def stop(record: dict[str, Any]) -> None:
        if record["kind"] == "step" and record["step"] == step - 1:
            stops.append(step)

    stops: list[int] = []
    from mgte.train.parallel import Replicated

    reduce = Replicated.reduce

    def reduce_and_stop(self: Any, sums: Any, *, wants_stop: bool) -> Any:
        if stops:
            stops.clear()
            os.kill(os.getpid(), signal.SIGTERM)
            wants_stop = True
        return reduce(self, sums, wants_stop=wants_stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Replicated, "reduce", reduce_and_stop)
        result = run_here(values, out, root, evaluators=(first,), sinks=(stop,))
    assert (result.status, result.step) == ("interrupted", step)
    assert step not in first.seen
    second = Scores()
    assert run_here(values, out, root, evaluators=(second,)).status == "done"
    assert [*first.seen, *second.seen] == list(SCORES)


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_the_best_weights_are_those_of_the_best_evaluation(
    is_interrupted: bool, values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    best = override(values, {"stages.0.output.weights": "best"})
    if is_interrupted:
        with pytest.raises(TrainingError):
            run_here(best, out, root, evaluators=(Scores(6, full),))
    run_here(best, out, root, evaluators=(Scores(),))
    assert checkpoint_names(out) == ["step-0000004", "step-0000007"]
    folder = out / "01-mlm"
    saved = load_file(folder / "model" / "model.safetensors")
    snapshot = read_checkpoint(folder / "checkpoints", BEST)
    assert snapshot.state.step == BEST
    words = next(name for name in saved if name.endswith("word_embeddings.weight"))
    assert saved[words].tolist() == snapshot.weights["encoder.embeddings.word.weight"].tolist()
    done = json.loads((folder / "DONE").read_text())
    assert (done["steps"], done["weights_of_step"]) == (7, BEST)
    # They are what a run that ends there has.
    run_here(values, tmp_path / "last", root, evaluators=(Scores(),))
    assert weights_of(out) != weights_of(tmp_path / "last")


def test_best_weights_need_evaluations(values: dict[str, Any], root: Path, tmp_path: Path) -> None:
    best = override(values, {"stages.0.output.weights": "best"})
    for message, changes in {
        r"output\.weights: got 'best', which needs stages\.mlm\.evaluation": {
            "stages.0.evaluation": None
        },
        r"which needs stages\.mlm\.checkpoint\.keep_best": {"stages.0.checkpoint.keep_best": False},
    }.items():
        with pytest.raises(ConfigError, match=message):
            run_here(override(best, changes), tmp_path / "no", root, evaluators=(Scores(),))
    with pytest.raises(TrainingError, match=r"stages\.mlm\.output\.weights: .* gave a score"):
        run_here(best, tmp_path / "out", root, evaluators=(lambda *given: {},))
    # Nothing of the training is lost.
    assert run_here(values, tmp_path / "out", root, evaluators=(Scores(),)).status == "done"


def test_a_score_on_other_questions_is_not_compared(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(TrainingError):
        run_here(values, out, root, evaluators=(Scores(6, full),))
    other = override(values, {"stages.0.evaluation.max_queries": 5})
    run_here(other, out, root, evaluators=(Scores(),))
    # 0.9 was reached on all questions; of the new ones, 0.7 at step 7 is the best.
    assert checkpoint_names(out) == ["step-0000007"]


def test_evaluation_without_an_evaluator_is_refused_before_anything_is_done(
    values: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    import mgte

    with pytest.raises(ConfigError, match=r"^stages\.mlm\.evaluation: .* no evaluator") as caught:
        mgte.train(values, tmp_path / "out", device="cpu")
    assert "mgte.evaluate.RetrievalEvaluator" in str(caught.value.hint)
    assert not (tmp_path / "out").exists()
    given = {"datasets.texts.sources.0.path": str(root / "texts.jsonl")}
    scores = Scores()
    mgte.train(values, tmp_path / "out", given, device="cpu", evaluators=[scores])
    assert scores.seen == list(SCORES)
