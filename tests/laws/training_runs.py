"""Tiny training runs for the laws of resuming: one recipe, in this process or in others."""

import json
import multiprocessing
import os
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

WORDS = (
    "a the of and in to is for water bread sea moon tide map road wheel chain train plant light "
    "what how why where does make rise bake turn read grow ride"
).split()
NUM_TEXTS = 40
# 40 rows of 5: an epoch is 8 batches, or 4 steps of 2 batches.
STEPS_PER_EPOCH = 4


def write_texts(folder: Path) -> None:
    """Texts of 4 to 30 seeded words."""
    generator = np.random.default_rng(7)
    rows = []
    for number in range(NUM_TEXTS):
        words = generator.choice(WORDS, size=generator.integers(4, 30))
        rows.append({"text": f"{number} " + " ".join(words)})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "texts.jsonl").write_text(lines, encoding="utf-8")


def recipe_values(tokenizer: Path, **stage: Any) -> dict[str, Any]:
    """A recipe of one masked-LM stage with dropout and accumulation; `stage` changes it."""
    return {
        "name": "law",
        "seed": 5,
        "tokenizer": str(tokenizer),
        "encoder": {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 24,
            "max_position_embeddings": 64,
            "hidden_dropout_prob": 0.1,
        },
        "datasets": {
            "texts": {
                "kind": "texts",
                "sources": [{"path": "texts.jsonl", "source": "s", "language": "en"}],
            }
        },
        "stages": [
            {
                "name": "mlm",
                "init_from": "scratch",
                "objective": {"kind": "masked_lm"},
                "data": {
                    "dataset": "texts",
                    "max_length": 32,
                    "rows_per_batch": 5,
                    "batches_per_step": 2,
                    "tokens_per_chunk": 64,
                },
                "optimizer": {"lr": 0.01, "clip_norm": 1.0},
                "schedule": {"kind": "wsd", "warmup": 3, "decay": 4},
                "steps": 12,
                "log_every": 1,
                "checkpoint": {"every_steps": 3},
                **stage,
            }
        ],
    }


def run_here(values: dict[str, Any], out: Path, root: Path, **options: Any) -> Any:
    """Run a recipe in this process, on one thread as `child`: sums depend on their number."""
    import torch

    from mgte.config import from_dict
    from mgte.train import Recipe, RunOptions, World, run_recipe

    record = from_dict(Recipe, values)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_recipe(record, out, world=World(), options=RunOptions(data_root=root, **options))
    finally:
        torch.set_num_threads(num_threads)


def weights_of(out: Path, stage: str = "01-mlm") -> bytes:
    """The bytes of a finished stage's weights."""
    return (out / stage / "model" / "model.safetensors").read_bytes()


def last_checkpoint(out: Path, stage: str = "01-mlm") -> dict[str, bytes]:
    """The tensor files of the newest checkpoint."""
    newest = sorted((out / stage / "checkpoints").glob("step-*"))[-1]
    return {path.name: path.read_bytes() for path in sorted(newest.glob("*.safetensors"))}


def losses_of(out: Path, stage: str = "01-mlm") -> dict[int, tuple[float, float]]:
    """Loss and gradient norm per step, as logged."""
    from mgte.train.metrics import read_log

    records = read_log(out / stage / "metrics.jsonl")
    steps = [record for record in records if record["kind"] == "step"]
    found = {record["step"]: (record["loss"], record["grad_norm"]) for record in steps}
    assert len(found) == len(steps), "a step was logged twice"
    return found


@cache
def context() -> Any:
    """Where processes come from: a server that has imported everything already."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["mgte.train.run", "tests.laws.training_runs"])
    return made


def start(*arguments: Any) -> Any:
    """Start `child` in a process of its own."""
    process = context().Process(target=child, args=arguments)
    process.start()
    return process


def run_together(
    size: int, values: dict[str, Any], out: Path, root: Path, evaluators: tuple[Any, ...] = ()
) -> None:
    """Run a recipe in several processes that talk through gloo."""
    store = out.parent / f"store-{out.name}-{time.monotonic_ns()}"
    processes = [start(values, out, root, (rank, size, store), evaluators) for rank in range(size)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * size


def best_at_step_6(folder: Path, stage: Any, step: int) -> dict[str, float]:
    """An evaluator that keeps the weights that it is shown; fails if two processes ask it."""
    with (folder.parent / f"evaluated-{step}.safetensors").open("xb") as file:
        file.write((folder / "model.safetensors").read_bytes())
    return {"score": -abs(step - 6.0)}


def child(
    values: dict[str, Any],
    out: Path,
    root: Path,
    place: tuple[int, int, Path] | None = None,
    evaluators: tuple[Any, ...] = (),
) -> None:
    """What a process does: run a recipe, and note the rows that it reads."""
    import torch
    import torch.distributed as dist

    from mgte.config import from_dict
    from mgte.data import Loader
    from mgte.train import Recipe, RunOptions, World, run_recipe

    torch.set_num_threads(1)
    rank, size, store = place or (0, 1, Path())
    if size > 1:
        address = f"file://{store}"
        dist.init_process_group("gloo", init_method=address, rank=rank, world_size=size)
    reader = Loader.next_step

    def noted(self: Loader) -> Any:
        share = reader(self)
        rows = [batch.rows.tolist() for batch in share.batches]
        with (out / f"rows-{share.step:03d}-{rank}-of-{size}").open("w") as file:
            json.dump(rows, file)
        return share

    Loader.next_step = noted  # type: ignore[method-assign]
    reduce, counted = dist.all_reduce, []
    dist.all_reduce = lambda *given, **options: (counted.append(1), reduce(*given, **options))[1]
    record = from_dict(Recipe, values)
    out.mkdir(parents=True, exist_ok=True)
    result = run_recipe(
        record,
        out,
        world=replace(World(), rank=rank, size=size),
        options=RunOptions(data_root=root, evaluators=evaluators),
    )
    (out / f"all-reduces-{rank}-of-{size}").write_text(str(len(counted)))
    if size > 1:
        dist.destroy_process_group()
    # A code of its own for "interrupted", as the command has one.
    os._exit(0 if result.status == "done" else 75)
