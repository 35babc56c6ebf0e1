"""Learning-rate curves as pure functions of the step."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """Learning rate over time, as a factor on the optimizer's `lr`.

    Attributes:
        kind: "linear" and "cosine" fall from the end of warm-up to `final`; "wsd" (warm-up, stable,
            decay) holds 1 and then falls by 1 - sqrt over `decay` steps; "constant" holds 1.
        warmup: Steps of linear warm-up; a number below 1 is a share of all steps.
        decay: Steps of the fall of "wsd"; a number below 1 is a share of all steps.
        final: Factor at the end.
    """

    kind: Literal["linear", "cosine", "wsd", "constant"] = "linear"
    warmup: float = 0.06
    decay: float = 0.1
    final: float = 0.0


def lr_factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """Factor on the learning rate at one step.

    The first step already learns (1 / warm-up), and the last step of a fall still does.

    Args:
        config: The curve.
        step: Step, counted from 0.
        steps: Steps of the stage.

    Returns:
        A factor from 0 to 1.

    Source: 1 - sqrt fall: Haegele et al., arXiv 2405.18392.
    """
    warmup = steps_of(config.warmup, steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.kind == "constant":
        return 1.0
    start = warmup
    if config.kind == "wsd":
        start = max(warmup, steps - steps_of(config.decay, steps))
    share = min(1.0, max(0, step - start) / max(1, steps - start))
    height = {
        "linear": 1.0 - share,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * share)),
        "wsd": 1.0 - math.sqrt(share),
    }[config.kind]
    return config.final + (1.0 - config.final) * height


def steps_of(number: float, steps: int) -> int:
    """Steps that a setting means: a number below 1 is a share of all steps."""
    return round(number * steps) if number < 1 else round(number)
