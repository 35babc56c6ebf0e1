"""One of several processes that compute gradients of every objective with sharded weights.

Run as `python -m tests.laws.sharded_cases RANK SIZE FILE_STORE RESULTS` from the repository.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from tests.laws.process_cases import CONFIGS, HEAD_OF
from tests.unit.train.made_batches import MAKERS, WIDTH, context_of, distance, made_model
from tests.unit.train.shares import share_of

from mgte.data import Batch, MaskedBatch
from mgte.train.objectives import ObjectiveConfig, build_objective
from mgte.train.parallel import Replicated, spread_model
from mgte.train.step_sums import StepSums
from mgte.train.world import World

# Rows of each batch of a step; a share may have none, and the step ends with such a batch.
STEPS = [[7], [7, 3, 1]]
PASS_TOKENS = 12
MAX_NORM = 0.5


def batches_of(config: ObjectiveConfig, rows: list[int]) -> list[Batch]:
    widths = (WIDTH,) if config.kind == "embedding_distillation" else ()
    made = [MAKERS[config.kind](10 + i, number, *widths) for i, number in enumerate(rows)]
    if len(made) > 1 and isinstance(made[-1], MaskedBatch):
        nothing = tuple(places[:0] for places in made[-1].positions)
        made[-1] = replace(made[-1], positions=nothing, labels=nothing)
    return made


def step(
    config: ObjectiveConfig, rows: list[int], world: World
) -> tuple[dict[str, torch.Tensor], float, dict[str, float]]:
    """Gradients after clipping, their norm before, and the means of a step."""
    model = made_model(HEAD_OF[config.kind])
    spread = spread_model(model, world, "fsdp")
    assert isinstance(spread, Replicated) == (world.size == 1)
    spread.zero_gradients()
    objective, sums, batches = build_objective(config), StepSums(), batches_of(config, rows)
    for number, batch in enumerate(batches):
        context = context_of(
            PASS_TOKENS, world=world, parallel=spread, is_last=number == len(batches) - 1
        )
        share = share_of(batch, world.rank, world.size)
        sums.add(objective.accumulate(model, share, context))
    reduced = spread.reduce(sums, wants_stop=False)
    norm = spread.clip(MAX_NORM)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return spread.gathered(gradients), norm, reduced.means


def main(rank: int, size: int, store: str, results: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    found = {}
    for name, config in CONFIGS.items():
        for rows in STEPS:
            together, norm, means = step(config, rows, World(rank=rank, size=size))
            alone, wanted_norm, wanted_means = step(config, rows, World())
            found[f"{name}, batches of {rows}"] = {
                "gradient": distance(together, alone),
                "norm": abs(norm / wanted_norm - 1),
                "means": max(abs(means[key] - wanted_means[key]) for key in wanted_means),
                "size": wanted_norm,
            }
    if rank == 0:
        Path(results).write_text(json.dumps(found), "utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
