"""What `mgte train` tells: what a run made, and what a recipe would take."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgte.cli.output import say, write_line

if TYPE_CHECKING:
    from mgte.train import LookAhead, Recipe, RunResult, Stage

# What a user does next with a stage's model, by objective.
_NEXT = {
    "contrastive": "mgte embed FILE --model {model} --out vectors.npz",
    "embedding": "mgte embed FILE --model {model}{sparse} --out vectors.npz",
    "embedding_distillation": "mgte embed FILE --model {model} --out vectors.npz",
    "reranking": 'mgte rerank FILE --model {model} --query "..."',
}


def say_what_was_made(recipe: "Recipe", out: str) -> None:
    """Every stage with its folder, and what to do next."""
    from mgte.train import EmbeddingConfig, spoken_count, spoken_time

    for values in _stages(recipe, Path(out)):
        measured = "".join(
            f", {name} {value:.4g}"
            for name, value in (("loss", values["loss"]), *values["scores"].items())
            if value is not None and "/" not in name
        )
        say(
            f"{values['name']}: {values['steps']:,} steps, {spoken_count(values['tokens'])} tokens,"
            f" {spoken_time(values['seconds'])}{measured} -> {values['model']}"
        )
    say("next:")
    last = {stage.objective.kind: stage for stage in recipe.stages}
    for kind, stage in last.items():
        if kind in _NEXT:
            model = shlex.quote(str(_folder(recipe, stage, Path(out)) / "model"))
            has_sparse = isinstance(stage.objective, EmbeddingConfig) and (
                stage.objective.sparse_weight > 0
            )
            sparse = " --sparse" if has_sparse else ""
            say(f"  {_NEXT[kind].format(model=model, sparse=sparse)}")
    say(f"  mgte train --plot {shlex.quote(out)} --out curves.png")


def run_values(recipe: "Recipe", out: str, result: "RunResult") -> dict[str, Any]:
    """What a run made, for programs."""
    done = [values for values in _stages(recipe, Path(out)) if values["name"] in result.models]
    return {"name": recipe.name, "out": out, "status": result.status, "stages": done}


def say_look_ahead(recipe: "Recipe", found: "LookAhead") -> None:
    """What a recipe would take, as text."""
    from mgte.train import ASSUMED_EFFICIENCY, describe_report, spoken_count, spoken_time

    machine = found.machine
    speeds = ", ".join(f"{spoken_count(s)}FLOP/s in {name}" for name, s in machine.speed.items())
    write_line(
        f"{recipe.name}, seed {recipe.seed}: {len(found.stages)} stages on {machine.processes} x "
        f"{machine.device}, matrix products {speeds} (measured just now; "
        f"{ASSUMED_EFFICIENCY:.0%} of it assumed where time is reckoned)"
    )
    for report in found.stages:
        write_line("")
        for line in describe_report(report):
            write_line(line)
    bound = "at most " if any(report.is_bound for report in found.stages) else ""
    tokens = sum(report.tokens for report in found.stages)
    known = [report.seconds for report in found.stages if report.seconds is not None]
    time = spoken_time(sum(known)) if len(known) == len(found.stages) else "not known"
    write_line("")
    write_line(f"in all: {bound}{spoken_count(tokens)} tokens, time {time}")


def look_ahead_values(recipe: "Recipe", found: "LookAhead") -> dict[str, Any]:
    """What a recipe would take, for programs."""
    from mgte.config import to_dict

    stages = []
    for report in found.stages:
        sizes = {"parameters": report.inputs.size, "memory_bytes": report.memory}
        totals = {
            name: None if size is None else {**to_dict(size), "total": size.total}
            for name, size in sizes.items()
        }
        stages.append(
            {
                "name": report.stage.name,
                "objective": report.stage.objective.kind,
                "init_from": report.stage.init_from,
                "steps": report.stage.steps,
                **totals,
                "tokens_per_step": report.work.step_tokens,
                "tokens": report.tokens,
                "is_bound": report.is_bound,
                "flops_per_step": report.flops,
                "seconds": report.seconds,
                "is_measured": report.is_measured,
                "data": to_dict(report.inputs.summary),
                "first": list(report.inputs.first),
                "missing": list(report.inputs.missing),
            }
        )
    return {"name": recipe.name, "machine": to_dict(found.machine), "stages": stages}


def _stages(recipe: "Recipe", out: Path) -> list[dict[str, Any]]:
    """Facts of every finished stage, from its folder."""
    from mgte.train import RunFolder, measurements, read_log

    folder, found = RunFolder(out, recipe), []
    for stage in recipe.stages:
        if not folder.is_done(stage.name):
            continue
        log = read_log(folder.stage(stage.name) / "metrics.jsonl")
        losses = [record.get("loss") for record in log if record.get("kind") == "step"]
        facts = folder.done_facts(stage.name)
        # Those of the weights in the folder, which need not be the last ones.
        step = facts.get("weights_of_step", facts["steps"])
        scores = [
            measurements(record)
            for record in log
            if record.get("kind") == "evaluation" and record.get("step") == step
        ]
        found.append(
            {
                "name": stage.name,
                "model": str(folder.model(stage.name)),
                **facts,
                "loss": losses[-1] if losses else None,
                "scores": scores[-1] if scores else {},
            }
        )
    return found


def _folder(recipe: "Recipe", stage: "Stage", out: Path) -> Path:
    from mgte.train import RunFolder

    return RunFolder(out, recipe).stage(stage.name)
