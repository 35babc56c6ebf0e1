"""Learning-rate curves as pure functions of the step."""

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
