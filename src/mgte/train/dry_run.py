"""What a recipe would take, told before anything is started: sizes, tokens, memory, time, texts.

Where a part is not on this machine (the data of a large recipe, a model of the hub), the report
says so and gives what can be known without it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mgte.data import DataConfig, PlanSummary, Points, Scheduled
from mgte.model import EncoderConfig
from mgte.train.estimate import (
    ASSUMED_EFFICIENCY,
    MemoryEstimate,
    ModelSize,
    Work,
    estimate_memory,
    step_flops,
)
from mgte.train.metrics import spoken_count, spoken_time
from mgte.train.objectives.config import (
    ContrastiveConfig,
    EmbeddingConfig,
    MaskedLMConfig,
    RerankingConfig,
)
from mgte.train.recipe import Stage

# Sources (or languages) that are listed.
_MOST_SOURCES = 12
_GIBIBYTE = 2.0**30


@dataclass(frozen=True, kw_only=True, slots=True)
class StageInputs:
    """What is known of a stage before it starts; None where it is not on this machine.

    Attributes:
        config: The encoder that the stage trains.
        size: Parameters of its model.
        summary: What its plan will draw.
        first: Its first rows as the model will see them, as text.
        missing: What is not here, in words.
    """

    config: EncoderConfig | None = None
    size: ModelSize | None = None
    summary: PlanSummary | None = None
    first: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where the recipe would run.

    Attributes:
        device: "cpu" or "cuda".
        processes: How many.
        speed: Of one process in large matrix products, by precision, in operations per second.
    """

    device: str
    processes: int = 1
    speed: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReport:
    """What one stage would take.

    Attributes:
        stage: The stage.
        inputs: What is known of it.
        work: What one step computes.
        is_bound: Whether tokens are an upper bound, for want of data.
        memory: Of one process; None without a model.
        flops: Operations of one step; None without a model.
        seconds: Of the whole stage; None without a model.
        is_measured: Whether steps were timed, instead of reckoned.
    """

    stage: Stage
    inputs: StageInputs
    work: Work
    is_bound: bool
    memory: MemoryEstimate | None = None
    flops: float | None = None
    seconds: float | None = None
    is_measured: bool = False

    @property
    def tokens(self) -> float:
        """Tokens that pass through the model in the whole stage."""
        return self.work.step_tokens * self.stage.steps


def report_stage(
    stage: Stage,
    inputs: StageInputs,
    machine: Machine,
    time_step: Callable[[Stage], float] | None = None,
) -> StageReport:
    """Work out what one stage would take.

    Args:
        stage: The stage.
        inputs: What is known of it.
        machine: Where it would run.
        time_step: Runs a few steps of the stage and gives the seconds of one; None reckons from
            the machine's speed.

    Returns:
        The report.
    """
    work = _work_of(stage, inputs.summary, machine.processes)
    report = StageReport(stage=stage, inputs=inputs, work=work, is_bound=inputs.summary is None)
    if inputs.config is None or inputs.size is None:
        return report
    memory = estimate_memory(
        inputs.config,
        inputs.size,
        stage.objective,
        work,
        precision=stage.precision,
        shards=machine.processes if stage.parallel == "fsdp" else 1,
        is_checkpointed=stage.activation_checkpointing,
    )
    flops = step_flops(inputs.config, inputs.size, stage.objective, work)
    speed = machine.speed[stage.precision] * ASSUMED_EFFICIENCY * machine.processes
    is_measured = time_step is not None and not report.is_bound
    seconds = time_step(stage) if time_step is not None and is_measured else flops / speed
    return replace(
        report,
        memory=memory,
        flops=flops,
        seconds=seconds * stage.steps,
        is_measured=is_measured,
    )


def describe_report(report: StageReport) -> list[str]:
    """The report in words, a line each."""
    stage, inputs, work = report.stage, report.inputs, report.work
    lines = [f"{stage.name}: {stage.objective.kind} from {stage.init_from}, {stage.steps:,} steps"]
    if inputs.size is not None:
        size = inputs.size
        parts = f"embedding {size.embedding:,}, encoder {size.encoder:,}, head {size.head:,}" + (
            f"; trained {size.trained:,}" if size.trained != size.total else ""
        )
        lines.append(f"  parameters  {size.total:,} ({parts})")
    bound = "at most " if report.is_bound else ""
    lines.append(
        f"  tokens      {bound}{spoken_count(work.step_tokens)} per step, "
        f"{bound}{spoken_count(report.tokens)} in all"
    )
    if inputs.summary is not None:
        lines += _describe_sources(inputs.summary)
    if report.memory is not None:
        lines.append(f"  memory      {_describe_memory(report.memory)}")
    if report.seconds is not None and report.flops is not None:
        how = "timed" if report.is_measured else "reckoned"
        lines.append(
            f"  time        {bound}{spoken_time(report.seconds)} ({how}; "
            f"{spoken_count(report.flops)}FLOP per step)"
        )
    lines += [f"  not here    {text}" for text in inputs.missing]
    lines += [f"  sees        {text}" for text in inputs.first]
    return lines


def _describe_sources(summary: PlanSummary) -> list[str]:
    lines = [
        f"  source      {group.name}: {group.num_rows:,} rows, {group.probability:.1%} of what is "
        f"drawn, seen {_spoken_epochs(group.epochs)} times"
        for group in summary.groups[:_MOST_SOURCES]
    ]
    if len(summary.groups) > _MOST_SOURCES:
        lines.append(f"  source      and {len(summary.groups) - _MOST_SOURCES} more")
    left_out = {
        "empty": summary.num_empty,
        "thinned out": summary.num_thinned,
        "longer than is read": summary.num_cut,
    }
    words = [f"{count:,} {what}" for what, count in left_out.items() if count]
    return [*lines, *([f"  rows        {', '.join(words)}"] if words else [])]


def _describe_memory(memory: MemoryEstimate) -> str:
    parts = {
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimizer": memory.optimizer,
        "activations": memory.activations,
        "scores": memory.scores,
    }
    shown = ", ".join(f"{name} {_spoken_bytes(size)}" for name, size in parts.items())
    return f"{_spoken_bytes(memory.total)} per process ({shown})"


def _spoken_epochs(epochs: float) -> str:
    return f"{epochs:,.0f}" if epochs >= 10 else f"{epochs:.2g}"


def _spoken_bytes(size: float) -> str:
    return f"{size / _GIBIBYTE:.1f} GiB" if size >= _GIBIBYTE else f"{size / 2**20:.0f} MiB"


def _work_of(stage: Stage, summary: PlanSummary | None, processes: int) -> Work:
    """Work of a step by the plan; an upper bound by the settings where there is none."""
    objective, data = stage.objective, stage.data
    per_row = _sequences_per_row(stage)
    if summary is not None:
        rows, tokens = summary.rows_per_step, summary.tokens_per_step
        mean_length = tokens / max(rows * per_row, 1)
    else:
        rows, tokens = _largest_step(data, per_row)
        mean_length = float(data.max_length)
    batch_rows = round(rows / data.batches_per_step)
    batch_tokens = tokens / data.batches_per_step / processes
    competes = isinstance(objective, ContrastiveConfig | EmbeddingConfig)
    masked = objective.mask_probability if isinstance(objective, MaskedLMConfig) else 0.0
    return Work(
        chunk_tokens=round(min(data.tokens_per_chunk, batch_tokens)),
        step_tokens=tokens,
        mean_length=mean_length,
        batch_queries=batch_rows if competes else 0,
        batch_documents=batch_rows * (1 + data.negatives) if competes else 0,
        mask_probability=_largest(masked),
    )


def _sequences_per_row(stage: Stage) -> int:
    """Texts that pass through the model per row of the plan."""
    if isinstance(stage.objective, ContrastiveConfig | EmbeddingConfig):
        return 2 + stage.data.negatives
    if isinstance(stage.objective, RerankingConfig):
        return 1 + stage.data.negatives + stage.objective.random_negatives
    return 1


def _largest_step(data: DataConfig, per_row: int) -> tuple[float, float]:
    """Rows and tokens of a step at most, from the settings alone."""
    longest = float(data.max_length * per_row)
    if data.buckets:
        largest = max(data.buckets, key=lambda bucket: bucket.rows * bucket.up_to)
        rows = float(largest.rows)
        tokens = rows * largest.up_to * per_row
    elif data.rows_per_batch != 0:
        rows = _largest(data.rows_per_batch)
        tokens = rows * longest
    else:
        tokens = _largest(data.tokens_per_batch)
        rows = tokens / longest
    return rows * data.batches_per_step, tokens * data.batches_per_step


def _largest(value: Scheduled) -> float:
    """The largest value that a schedule takes."""
    return max(number for _, number in value.points) if isinstance(value, Points) else value
