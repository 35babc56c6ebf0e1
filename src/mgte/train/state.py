"""TrainState: everything that a stage must remember between two steps besides tensors."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The best evaluation so far.

    Attributes:
        step: Steps that were done.
        metric: Name of what was compared.
        value: Its value.
        setting: What was measured on, see `measured_on`; "" in checkpoints of before it was noted.
    """

    step: int
    metric: str
    value: float
    setting: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainState:
    """Where a stage stands behind a step.

    There is no state of random numbers: every step seeds them by its own number.

    Attributes:
        step: Steps that are done.
        tokens_seen: Tokens that went through the model, over all processes.
        tokens_dropped: Tokens that were cut off, over all processes.
        seconds: Time that steps have taken, over all runs of the stage.
        loader: Where the loader stands.
        best: The best evaluation so far.
        evaluated: Step of the last evaluation; None in checkpoints of before it was noted.
    """

    step: int = 0
    tokens_seen: int = 0
    tokens_dropped: int = 0
    seconds: float = 0.0
    loader: dict[str, int] = field(default_factory=dict)
    best: Best | None = None
    evaluated: int | None = None
