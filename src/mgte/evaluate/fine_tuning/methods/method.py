"""Method: the one seam of fine-tuning, and what passes through it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from mgte.evaluate.fine_tuning.examples import Example
from mgte.evaluate.fine_tuning.network import Reading
from mgte.evaluate.records import WorstItem

# What the model gives for the sequences of one item: `[outputs]` each, or `[tokens, outputs]`.
Outputs = Sequence[NDArray[np.float32]]
NUM_WORST = 10


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Item:
    """What one step learns from or one prediction is made for.

    Attributes:
        sequences: Token ids of one or more sequences.
        types: Segment ids of each; None where all are 0.
        target: What is right, as the method needs it.
        example: Which example it belongs to.
        places: What the method must know to read a prediction, such as characters of tokens.
    """

    sequences: tuple[NDArray[np.int32], ...]
    types: tuple[NDArray[np.int32], ...] | None = None
    target: Any = None
    example: int = 0
    places: Any = None

    @property
    def num_tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(map(len, self.sequences))


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Metrics of predictions.

    Attributes:
        metrics: Metric to value.
        num_items: What was measured.
        per_item: Item to its own value, for intervals and significance.
        worst: Items that went worst.
        facts: Counts worth knowing.
    """

    metrics: Mapping[str, float]
    num_items: int
    per_item: Mapping[str, float] = field(default_factory=dict)
    worst: tuple[WorstItem, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """How examples of one kind are learned and measured."""

    @property
    def reading(self) -> Reading:
        """What the head reads."""
        ...

    @property
    def num_outputs(self) -> int:
        """Scores per row; 0 means that there is no head."""
        ...

    @property
    def main_metric(self) -> str:
        """The metric that stands in tables, where a task names none."""
        ...

    def prepare(self, examples: Sequence[Example], *, is_training: bool) -> list[Item]:
        """Tokenise examples.

        Args:
            examples: Examples.
            is_training: Whether items are learned from, or predictions are made for them.

        Returns:
            Items; an example may have several, or none if nothing of it can be learned.
        """
        ...

    def loss(self, outputs: Tensor, items: Sequence[Item]) -> Tensor:
        """Mean loss of a batch.

        Args:
            outputs: What the model gives for all sequences of the items, in order.
            items: The items.

        Returns:
            A number.
        """
        ...

    def measure(
        self, examples: Sequence[Example], items: Sequence[Item], outputs: Sequence[Outputs]
    ) -> Measured:
        """Metrics of predictions.

        Args:
            examples: The examples.
            items: What `prepare` made of them for prediction.
            outputs: Of each item.

        Returns:
            Metrics.
        """
        ...


def choice_loss(scores: Sequence[Tensor], targets: Sequence[int]) -> Tensor:
    """Mean cross entropy of choices out of any number of candidates.

    Args:
        scores: Scores of the candidates of each choice, `[num_candidates]`.
        targets: Which candidate is right.

    Returns:
        A number.
    """
    padded = pad_sequence(list(scores), batch_first=True, padding_value=-torch.inf)
    right = torch.tensor(list(targets), device=padded.device)
    return cross_entropy(padded, right)


def worst_items(
    values: Sequence[float], describe: Callable[[int], WorstItem]
) -> tuple[WorstItem, ...]:
    """The items with the lowest values, worst first.

    Args:
        values: Value of each item.
        describe: From its number to what people want to know of it.

    Returns:
        A few items.
    """
    order = np.argsort(np.asarray(values), kind="stable")[:NUM_WORST]
    return tuple(describe(int(number)) for number in order)
