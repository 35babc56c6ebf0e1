"""Training for a task: exact, repeatable, and in the end right on what it was trained for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mgte.config import from_dict
from mgte.errors import ConfigError
from mgte.evaluate.fine_tuning.config import METRICS, Setting, Training
from mgte.evaluate.fine_tuning.example_reading import read_examples
from mgte.evaluate.fine_tuning.loop import fit, pack_items, predict
from mgte.evaluate.fine_tuning.stages import Start, open_start, train_stage
from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.suite import build_task
from mgte.evaluate.tasks.fine_tuning import FineTuningConfig, FineTuningTask
from mgte.evaluate.tasks.task import TaskContext

WORDS = "moon sea tide map road wheel train plant light bread water chain".split()
FAST = {"lr": 3e-3, "epochs": 12, "batch_size": 8, "dropout": 0.0, "max_length": 48, "stride": 8}


class Named:
    """An encoder of which only the name matters here."""

    name = "tiny"


def rows_of(kind: str) -> list[dict[str, Any]]:
    """Rows whose answer follows from a word."""
    rows: list[dict[str, Any]] = []
    for number in range(96):
        word, other = WORDS[number % 12], WORDS[(number * 7 + 5) % 12]
        is_yes = number % 12 < 6
        text = f"the {word} is to turn"
        filler = other if other != word else WORDS[(number + 1) % 12]
        rows.append(
            {
                "classification": {"first": text, "label": "yes" if is_yes else "no"},
                "regression": {"first": text, "second": "and", "label": (number % 12) / 4},
                "multiple_choice": {
                    "first": "a light" if is_yes else "a road",
                    "choice0": "moon" if is_yes else "sea",
                    "choice1": "sea" if is_yes else "moon",
                    "label": number % 2,
                },
                "tagging": {
                    "words": ["the", word, "is", filler],
                    "tags": ["O", _tag(word), "O", _tag(filler)],
                },
                "spans": {
                    "id": str(number),
                    "question": "what is in the sea ?",
                    "context": f"the {filler} is a road to the {word} and water",
                    "answers": {"text": [filler], "answer_start": [4]},
                },
                "retrieval": {"first": f"what is {word}", "second": f"the {word} in the light"},
            }[kind]
        )
        if kind == "multiple_choice" and number % 2:
            rows[-1]["choice0"], rows[-1]["choice1"] = rows[-1]["choice1"], rows[-1]["choice0"]
    return rows


def _tag(word: str) -> str:
    return "B-X" if word in WORDS[:6] else "B-Y"


LABELS = {"classification": ["no", "yes"], "tagging": ["O", "B-X", "B-Y"]}


def values_of(root: Path, kind: str, **changes: Any) -> dict[str, Any]:
    text = "".join(json.dumps(row) + "\n" for row in rows_of(kind))
    (root / f"{kind}.jsonl").write_text(text)
    source = {"path": f"{kind}.jsonl"}
    training = {
        "name": kind,
        "method": kind,
        "labels": LABELS.get(kind, []),
        "train": source,
        "dev": source,
        "setting": FAST,
    }
    values = {"name": kind, "kind": "fine_tuning", "training": training}
    return {**values, "tests": [{"source": source, "split": "train"}], **changes}


def run(values: dict[str, Any], root: Path, folder: Path, **context: Any):
    subject = Subject(encoder=Named(), folder=folder)
    context = TaskContext(show_progress=False, **context)
    return build_task(values, root).run(subject, context)


def start_of(root: Path, folder: Path, **options: Any) -> Start:
    return open_start(folder, root, device=torch.device("cpu"), **options)


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("classification", "accuracy"),
        ("regression", "spearman"),
        ("multiple_choice", "accuracy"),
        ("tagging", "f1"),
        ("spans", "f1"),
        ("retrieval", "accuracy"),
    ],
)
def test_every_method_learns_what_can_be_learned(tmp_path, dense_folder, kind, metric) -> None:
    values = values_of(tmp_path, kind)
    values["training"]["setting"] = {**FAST, "epochs": 24 if kind == "regression" else 12}
    (result,) = run(values, tmp_path, dense_folder)
    assert result.main_metric == metric == METRICS[kind][0]
    assert set(result.metrics) == set(METRICS[kind])
    assert result.main > 0.9
    assert result.facts["train_examples"] == 96
    losses = result.facts["losses"][0]
    assert losses[-1] < 0.3 * losses[0]


def test_a_loop_in_plain_pytorch_gives_the_same_weights(tmp_path, dense_folder) -> None:
    training = from_dict(Training, values_of(tmp_path, "classification")["training"])
    setting = replace(training.setting, lr=1e-3, epochs=1, batch_size=96, weight_decay=0.1)
    untrained = replace(training, setting=replace(setting, lr=1e-30))
    stage = train_stage(untrained, start_of(tmp_path, dense_folder))
    model, method = stage.model, stage.method
    # Dropout inside the encoder is the checkpoint's.
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = {name: value.clone() for name, value in model.state_dict().items()}
    examples = read_examples(training.train, "classification", training.labels, tmp_path)
    items = method.prepare(examples, is_training=True)
    fit(model, method, items, setting, seed=5)
    found = {name: value.clone() for name, value in model.state_dict().items()}

    model.load_state_dict(before)
    is_decayed = [p.ndim > 1 for p in model.parameters()]
    groups = [
        {
            "params": [p for p, d in zip(model.parameters(), is_decayed, strict=True) if d == kind],
            "weight_decay": 0.1 if kind else 0.0,
        }
        for kind in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    # One step of one: warm-up of 6 % of it rounds to none.
    loss = method.loss(model(pack_items(items, torch.device("cpu"))), items)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found[name], value, atol=2e-5, rtol=1e-4)


def test_predictions_do_not_depend_on_the_batch(tmp_path, dense_folder) -> None:
    start = start_of(tmp_path, dense_folder)
    for kind in ("multiple_choice", "tagging", "retrieval"):
        values = values_of(tmp_path, kind)["training"]
        training = from_dict(Training, {**values, "setting": {**FAST, "epochs": 1}})
        stage = train_stage(training, start)
        examples = read_examples(training.train, training.method, training.labels, tmp_path)
        items = stage.method.prepare(examples[:7], is_training=False)
        together = predict(stage.model, items, training.setting)
        for item, outputs in zip(items, together, strict=True):
            (alone,) = predict(stage.model, [item], training.setting)
            assert len(alone) == len(outputs) == len(item.sequences)
            for a, b in zip(alone, outputs, strict=True):
                torch.testing.assert_close(torch.tensor(a), torch.tensor(b), atol=1e-5, rtol=1e-4)


def test_the_seed_decides(tmp_path, hybrid_folder) -> None:
    values = values_of(tmp_path, "classification")
    values["training"]["setting"] = {**FAST, "epochs": 2, "dropout": 0.3, "has_pooler": True}
    first, again, other = (
        run(values, tmp_path, hybrid_folder, seed=seed)[0].facts["losses"] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_heads_that_fit_are_taken_over(tmp_path, dense_folder) -> None:
    values = values_of(tmp_path, "classification")["training"]
    setting = {**FAST, "epochs": 2}
    first = from_dict(Training, {**values, "setting": setting})
    frozen = {**setting, "lr": 1e-30, "epochs": 1}
    second = from_dict(
        Training, {**values, "setting": frozen, "start_from": {**values, "setting": setting}}
    )
    start = start_of(tmp_path, dense_folder)
    alone, after = train_stage(first, start), train_stage(second, start)
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(after.model.state_dict()[name], value)
    wider = from_dict(
        Training,
        {
            **values,
            "labels": ["no", "yes", "maybe"],
            "setting": frozen,
            "start_from": {**values, "setting": setting},
        },
    )
    after = train_stage(wider, start)
    assert after.model.head.output.weight.shape[0] == 3
    torch.testing.assert_close(
        after.model.encoder.state_dict()["embeddings.word.weight"],
        alone.model.encoder.state_dict()["embeddings.word.weight"],
    )


def test_shared_trainings_are_kept_on_disk(tmp_path, dense_folder) -> None:
    values = values_of(tmp_path, "classification", is_shared=True)
    values["training"]["setting"] = {**FAST, "epochs": 3}
    cache = tmp_path / "cache"
    (first,) = run(values, tmp_path, dense_folder, cache_folder=cache)
    (again,) = run(values, tmp_path, dense_folder, cache_folder=cache)
    assert first.seconds["train"] > 0.0 == again.seconds["train"]
    assert first.metrics == again.metrics
    assert first.facts["losses"] == again.facts["losses"]
    assert len(list(cache.rglob("*.safetensors"))) == 1
    (other,) = run(values, tmp_path, dense_folder, cache_folder=cache, seed=1)
    assert other.seconds["train"] > 0.0


def test_a_sweep_takes_what_the_dev_part_likes_best(tmp_path, dense_folder) -> None:
    values = values_of(tmp_path, "classification", profile="sweep")
    values["sweep"] = {"lrs": [1e-9, 3e-3], "epochs": [6], "num_seeds": 2}
    (result,) = run(values, tmp_path, dense_folder)
    assert result.settings["setting"]["lr"] == 3e-3
    tried = result.facts["tried"]
    assert [entry["lr"] for entry in tried] == [1e-9, 3e-3]
    assert tried[1]["dev"] > tried[0]["dev"]
    assert all(len(entry["runs"]) == 2 for entry in tried)
    assert result.facts["profile"] == "sweep"
    spread = result.facts["main_metric_by_seed"]
    assert result.main == pytest.approx(sum(spread["runs"]) / 2)


def test_lower_precision_learns_too(tmp_path, dense_folder) -> None:
    values = values_of(tmp_path, "classification")
    values["training"]["setting"] = {**FAST, "precision": "bfloat16"}
    (result,) = run(values, tmp_path, dense_folder)
    assert result.main > 0.9


def test_tests_per_language_and_what_a_result_tells(tmp_path, dense_folder) -> None:
    values = values_of(tmp_path, "classification")
    for language in ("en", "de"):
        (tmp_path / f"{language}.jsonl").write_text((tmp_path / "classification.jsonl").read_text())
    values["tests"] = [{"source": {"path": "{language}.jsonl"}, "languages": ["en", "de"]}]
    values["training"]["setting"] = {**FAST, "epochs": 1}
    results = run(values, tmp_path, dense_folder)
    assert [(result.subset, result.language) for result in results] == [("en", "en"), ("de", "de")]
    assert results[0].metrics == results[1].metrics
    assert results[0].dataset_hash == results[1].dataset_hash
    low, high = results[0].interval
    assert low <= results[0].main <= high
    assert results[0].facts["majority_accuracy"] == 0.5
    assert len(results[0].per_item) == 96
    assert len(results[0].worst) == 10


def test_what_cannot_be_trained_is_refused(tmp_path, dense_folder) -> None:
    values = values_of(tmp_path, "classification")
    task = build_task(values, tmp_path)
    with pytest.raises(ConfigError, match="tiny has no model folder, expected an encoder"):
        task.run(Subject(encoder=Named()), TaskContext())
    with pytest.raises(ConfigError, match=r"main_metric: got 'bleu', expected one of accuracy"):
        build_task({**values, "main_metric": "bleu"}, tmp_path)
    with pytest.raises(ConfigError, match=r"training\.dev: missing"):
        training = {key: value for key, value in values["training"].items() if key != "dev"}
        build_task({**values, "training": training, "profile": "sweep"}, tmp_path)
    assert isinstance(task, FineTuningTask)
    assert isinstance(task.config, FineTuningConfig)
    assert task.config.training.setting == Setting(**FAST)
