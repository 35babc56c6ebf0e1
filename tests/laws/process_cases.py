"""One of several processes that compute gradients of every objective together.

Run as `python -m tests.laws.process_cases RANK SIZE FILE_STORE RESULTS` from the repository; the
first process compares with itself alone and writes what it found.
"""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from tests.unit.train.made_batches import (
    MAKERS,
    TEACHER_WIDTH,
    WIDTH,
    context_of,
    distance,
    gradients_of,
    made_model,
)
from tests.unit.train.shares import share_of

from mgte.data import Batch
from mgte.losses import LossSum, principal_projection
from mgte.train.objectives import (
    ContrastiveConfig,
    Distillation,
    EmbeddingConfig,
    EmbeddingDistillationConfig,
    MaskedLMConfig,
    NegativeFilter,
    ObjectiveConfig,
    RerankingConfig,
    build_objective,
)
from mgte.train.world import World

HEAD_OF = {
    "masked_lm": "masked_lm",
    "contrastive": "dense",
    "embedding": "embedding",
    "reranking": "reranking",
    "embedding_distillation": "dense",
}
FILTER = NegativeFilter(duplicates=True, margin=0.1)
HYBRID = EmbeddingConfig(
    dim_step=8,
    sparse_temperature=0.5,
    sparse_weight=0.7,
    form="two_directions",
    filter=FILTER,
    distillation=Distillation(weight=0.5, teacher_temperature=0.7),
    sparse_distillation_weight=0.3,
)
CONFIGS: dict[str, ObjectiveConfig] = {
    "masked_lm": MaskedLMConfig(),
    "masked_lm in chunks": MaskedLMConfig(vocabulary_chunk=7),
    "contrastive": ContrastiveConfig(temperature=0.05, filter=FILTER),
    "two directions": ContrastiveConfig(temperature=0.05, form="two_directions"),
    "joint": ContrastiveConfig(temperature=0.05, form="joint", filter=FILTER),
    "hybrid": HYBRID,
    "hybrid joint, margins": replace(
        HYBRID, form="joint", distillation=Distillation(weight=0.5, kind="margin_mse")
    ),
    "listwise": RerankingConfig(distillation=Distillation(weight=0.4, student_temperature=1.0)),
    "bce": RerankingConfig(loss="bce", distillation=Distillation(weight=0.4, kind="mse")),
    "mse": RerankingConfig(loss="mse", distillation=Distillation(weight=1, kind="margin_mse")),
    "embedding_distillation": EmbeddingDistillationConfig(dims=(8, 32)),
}
# Rows of each batch of a step (for four processes some have fewer, one has none), tokens of a pass,
# and whether all processes must make equally many passes.
STEPS = [([7], 10_000, False), ([7, 3, 5], 12, True)]
MORE_STEPS = {"hybrid": [([7, 3, 5], 12, False)], "listwise": [([3], 12, False)]}


class EquallyMany:
    """As FSDP: all processes make the same number of passes."""

    def backward_scope(self, *, is_last: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def equal_count(self, count: int) -> int:
        most = torch.tensor(count)
        dist.all_reduce(most, op=dist.ReduceOp.MAX)
        return int(most)


@dataclass(frozen=True)
class Case:
    name: str
    config: ObjectiveConfig
    batches: list[Batch]
    tokens_per_chunk: int
    makes_equal: bool

    @property
    def gathers(self) -> bool:
        return getattr(self.config, "gather", True)


def cases() -> list[Case]:
    found = []
    for name, config in CONFIGS.items():
        for rows, tokens_per_chunk, makes_equal in [*STEPS, *MORE_STEPS.get(name, [])]:
            batches = [MAKERS[config.kind](10 + i, number) for i, number in enumerate(rows)]
            title = f"{name}, batches of {rows}, passes of {tokens_per_chunk}, {makes_equal}"
            found.append(Case(title, config, batches, tokens_per_chunk, makes_equal))
            if hasattr(config, "gather"):
                local = replace(config, gather=False)
                title += ", own negatives"
                found.append(Case(title, local, batches, tokens_per_chunk, makes_equal))
    return found


def gradient(case: Case, shares: list[Batch], world: World) -> tuple[dict, dict[str, LossSum]]:
    """Gradient and summed terms of this process's shares."""
    model = made_model(HEAD_OF[case.config.kind])
    projection = None
    if case.config.kind == "embedding_distillation":
        vectors = torch.randn(50, TEACHER_WIDTH, generator=torch.Generator().manual_seed(0))
        projection = principal_projection(vectors, WIDTH)
    objective = build_objective(case.config, projection=projection)
    together = case.makes_equal and world.size > 1
    context = context_of(case.tokens_per_chunk, world=world)
    context = replace(context, parallel=EquallyMany()) if together else context
    sums: dict[str, tuple[float, int]] = {}
    for number, share in enumerate(shares):
        last = replace(context, is_last=number == len(shares) - 1)
        for name, term in objective.accumulate(model, share, last).items():
            total, count = sums.get(name, (0.0, 0))
            sums[name] = (total + float(term.total), count + term.count)
    return gradients_of(model), sums


def together(case: Case, world: World) -> tuple[dict, dict]:
    found, sums = gradient(case, [share_of(b, world.rank, world.size) for b in case.batches], world)
    for value in found.values():
        dist.all_reduce(value)
    names = sorted(sums)
    numbers = torch.tensor([sums[name] for name in names], dtype=torch.float64)
    dist.all_reduce(numbers)
    return found, dict(zip(names, numbers.tolist(), strict=True))


def alone(case: Case, size: int) -> tuple[dict, dict]:
    if case.gathers:
        return gradient(case, case.batches, World())
    shares = [share_of(batch, rank, size) for batch in case.batches for rank in range(size)]
    return gradient(case, shares, World())


def compare(case: Case, world: World) -> dict[str, float]:
    found, sums = together(case, world)
    if world.rank:
        return {}
    wanted, wanted_sums = alone(case, world.size)
    assert sums.keys() == wanted_sums.keys(), case.name
    scale = max(1.0, *(abs(total) for total, _ in wanted_sums.values()))
    return {
        "gradient": distance(found, wanted),
        "terms": max(abs(sums[n][0] - wanted_sums[n][0]) for n in sums) / scale,
        "counts": max(abs(sums[n][1] - wanted_sums[n][1]) for n in sums),
        "norm": float(torch.stack([value.norm() for value in wanted.values()]).norm()),
    }


def ratio(world: World) -> float:
    """Norm of the dense gradient by that of the sparse one."""
    batches = [MAKERS["embedding"](3, 8)]
    norms = []
    for weights, sparse_weight in (((1.0,), 0.0), ((0.0,), 1.0)):
        config = EmbeddingConfig(
            dims=(WIDTH,), dim_weights=weights, sparse_weight=sparse_weight, sparse_temperature=0.5
        )
        found, _ = together(Case("ratio", config, batches, 30, False), world)
        norms.append(torch.stack([value.norm() for value in found.values()]).norm())
    return float(norms[0] / norms[1])


def main(rank: int, size: int, store: str, results: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    world = World(rank=rank, size=size)
    # Alone there is nobody to agree with.
    found = {case.name: compare(case, world) for case in cases() if size > 1}
    found["ratio"] = {"ratio": ratio(world)}
    if rank == 0:
        Path(results).write_text(json.dumps(found), "utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
