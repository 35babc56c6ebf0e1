"""A stage that learns from a teacher's scores needs data that has some."""

from typing import Any

import pytest

from mgte.config import from_dict
from mgte.errors import ConfigError
from mgte.text import TrainingGroup
from mgte.train.recipe import Stage
from mgte.train.stage_building import stage_objective


class Groups:
    """A dataset of groups, as far as an objective looks at it."""

    def __init__(self, *scores: tuple[float, ...]) -> None:
        self.rows = [
            TrainingGroup(query="q", positives=("p",), negatives=("n",), negative_scores=given)
            for given in scores
        ]
        self.num_rows = len(self.rows)

    def groups(self, rows: Any) -> list[TrainingGroup]:
        return [self.rows[row] for row in rows]


def stage(**objective: Any) -> Stage:
    return from_dict(
        Stage,
        {
            "name": "learn",
            "init_from": "scratch",
            "objective": objective,
            "data": {"dataset": "groups", "max_length": 8, "rows_per_batch": 2},
            "optimizer": {"lr": 1e-3},
            "schedule": {"kind": "linear"},
            "steps": 1,
        },
    )


@pytest.mark.parametrize(
    ("objective", "key"),
    [
        ({"kind": "reranking", "distillation": {"weight": 1.0}}, "distillation.weight: got 1"),
        (
            {"kind": "embedding", "sparse_distillation_weight": 0.5},
            "sparse_distillation_weight: got 0.5",
        ),
    ],
)
def test_a_teacher_that_is_not_in_the_data_is_missed(objective: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"stages\.learn\.objective\.{key}.*2 rows looked at"):
        stage_objective(stage(**objective), Groups((), ()), 8)  # type: ignore[arg-type]
    assert stage_objective(stage(**objective), Groups((), (0.5,)), 8)  # type: ignore[arg-type]


def test_no_scores_are_needed_without_a_teacher() -> None:
    assert stage_objective(stage(kind="reranking"), Groups((), ()), 8)  # type: ignore[arg-type]
