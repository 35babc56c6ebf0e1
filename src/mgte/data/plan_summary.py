"""PlanSummary: what a stage will see, for people who are about to start it."""

from dataclasses import dataclass

import numpy as np

from mgte.data.config import DataConfig
from mgte.data.drawing import Drawing
from mgte.data.plan_rows import PlanRows

# Steps, evenly spread over the stage, at which expectations are worked out.
_SAMPLED_STEPS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSummary:
    """One source or language (and length bucket, where there are some).

    Attributes:
        name: Its name.
        num_rows: Rows of the plan: texts or parts of them, pairs, groups.
        num_tokens: Upper bound of the tokens that one epoch of it puts through the model.
        probability: Share of all rows drawn in the stage that are its.
        epochs: How often each of its rows is seen.
    """

    name: str
    num_rows: int
    num_tokens: int
    probability: float
    epochs: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSummary:
    """What a stage will see, on average.

    Attributes:
        steps: Steps of the stage.
        groups: What rows are drawn from.
        rows_per_step: Rows in one step.
        tokens_per_step: Upper bound of the tokens in one step.
        num_empty: Rows left out because a text has no tokens.
        num_thinned: Rows left out because they are short.
        num_cut: Rows longer than the model reads.
    """

    steps: int
    groups: tuple[GroupSummary, ...]
    rows_per_step: float
    tokens_per_step: float
    num_empty: int
    num_thinned: int
    num_cut: int


def summarize_plan(rows: PlanRows, drawing: Drawing, config: DataConfig, steps: int) -> PlanSummary:
    """Work out what a stage will see, from probabilities and without reading anything.

    Args:
        rows: The plan's rows.
        drawing: How batches choose them.
        config: Batches per step.
        steps: Steps of the stage, at least 1.

    Returns:
        Expected values.
    """
    sampled = np.unique(np.linspace(0, steps - 1, min(steps, _SAMPLED_STEPS)).astype(np.int64))
    per_batch = np.mean([drawing.expected_rows(step) for step in sampled.tolist()], axis=0)
    per_step = per_batch * config.batches_per_step
    total = float(per_step.sum())
    groups = tuple(
        GroupSummary(
            name=cell.name,
            num_rows=cell.num_rows,
            num_tokens=cell.num_tokens,
            probability=float(expected) / total,
            epochs=float(expected) * steps / cell.num_rows,
        )
        for cell, expected in zip(rows.cells, per_step, strict=True)
    )
    means = np.array([cell.num_tokens / cell.num_rows for cell in rows.cells])
    return PlanSummary(
        steps=steps,
        groups=groups,
        rows_per_step=total,
        tokens_per_step=float(per_step @ means),
        num_empty=rows.num_empty,
        num_thinned=rows.num_thinned,
        num_cut=rows.num_cut,
    )
