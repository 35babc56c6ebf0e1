"""Reports: what is known is told, what is not known is said, and sums agree with the settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from mgte.config import from_dict, read_yaml
from mgte.data import GroupSummary, PlanSummary
from mgte.model import EncoderConfig, RopeConfig
from mgte.train.dry_run import Machine, StageInputs, describe_report, report_stage
from mgte.train.estimate import ASSUMED_EFFICIENCY, ModelSize
from mgte.train.recipe import Recipe, Stage

RECIPES = Path(__file__).parents[3] / "recipes"
MACHINE = Machine(device="cpu", speed={"float32": 1e11, "bfloat16": 1e11})
SIZE = ModelSize(embedding=1000, encoder=5000, head=300, trained=6300)


def stage_of(recipe: str, name: str) -> Stage:
    loaded = from_dict(Recipe, read_yaml(RECIPES / f"{recipe}.yaml"))
    return next(stage for stage in loaded.stages if stage.name == name)


@pytest.fixture
def inputs() -> StageInputs:
    group = GroupSummary(
        name="facts", num_rows=200, num_tokens=10_000, probability=1.0, epochs=16.0
    )
    summary = PlanSummary(
        steps=100,
        groups=(group,),
        rows_per_step=32.0,
        tokens_per_step=1600.0,
        num_empty=0,
        num_thinned=7,
        num_cut=0,
    )
    config = EncoderConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=64,
        max_position_embeddings=128,
        rope=RopeConfig(),
    )
    return StageInputs(config=config, size=SIZE, summary=summary, first=("query: who",))


def test_with_everything_here_tokens_are_the_plan_s(inputs: StageInputs) -> None:
    stage = stage_of("tiny", "masked-lm")
    report = report_stage(stage, inputs, MACHINE)
    assert not report.is_bound
    assert report.tokens == 1600 * stage.steps
    assert report.work.mean_length == 50
    assert report.work.mask_probability == 0.3
    assert report.flops is not None
    assert report.seconds == pytest.approx(stage.steps * report.flops / (1e11 * ASSUMED_EFFICIENCY))
    text = "\n".join(describe_report(report))
    for part in ("masked_lm from scratch", "6,300", "facts: 200 rows", "seen 16 times"):
        assert part in text
    assert "7 thinned out" in text
    assert "at most" not in text
    assert "query: who" in text


def test_measured_steps_replace_the_reckoning(inputs: StageInputs) -> None:
    stage = stage_of("tiny", "masked-lm")
    report = report_stage(stage, inputs, MACHINE, lambda stage: 0.25)
    assert report.seconds == 0.25 * stage.steps
    assert "timed" in "\n".join(describe_report(report))


def test_processes_share_time_and_with_fsdp_memory(inputs: StageInputs) -> None:
    stage = stage_of("tiny", "masked-lm")
    four = replace(MACHINE, processes=4)
    one, spread = report_stage(stage, inputs, MACHINE), report_stage(stage, inputs, four)
    assert one.seconds is not None
    assert spread.seconds == pytest.approx(one.seconds / 4)
    sharded = report_stage(replace(stage, parallel="fsdp"), inputs, four)
    assert sharded.memory is not None
    assert spread.memory is not None
    assert sharded.memory.optimizer == spread.memory.optimizer / 4


def test_without_data_the_settings_give_a_bound() -> None:
    stage = stage_of("gte-multilingual-base", "mlm-2048")
    report = report_stage(stage, StageInputs(missing=("texts",)), MACHINE)
    assert report.is_bound
    assert report.memory is None
    # mGTE: 250k steps of 8192 texts of up to 2048 tokens.
    assert report.tokens == 250_000 * 8192 * 2048
    text = "\n".join(describe_report(report))
    assert "at most 4.19T in all" in text
    assert "not here    texts" in text


def test_buckets_give_the_bound_of_the_largest_batch() -> None:
    stage = stage_of("gte-multilingual-base", "embedding")
    report = report_stage(stage, StageInputs(), MACHINE)
    # 80 queries with 1 + 8 documents of up to 8192 tokens, all counted as long as a document.
    assert report.work.step_tokens == 80 * 10 * 8192
    assert (report.work.batch_queries, report.work.batch_documents) == (80, 720)
