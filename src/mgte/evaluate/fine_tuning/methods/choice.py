"""Multiple choice: every candidate is read with the text, and the scores of a text compete."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from torch import Tensor

from mgte.evaluate.fine_tuning.classification_metrics import accuracy
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.examples import ChoiceExample, Example
from mgte.evaluate.fine_tuning.methods.method import (
    Item,
    Measured,
    Outputs,
    choice_loss,
    worst_items,
)
from mgte.evaluate.fine_tuning.methods.text import encode_texts, types_of
from mgte.evaluate.fine_tuning.network import Reading
from mgte.evaluate.records import WorstItem
from mgte.text import Tokenizer


class ChoiceMethod:
    """One score per candidate.

    Args:
        tokenizer: The encoder's tokenizer.
        setting: Lengths.
    """

    reading: Reading = "sequences"
    num_outputs = 1
    main_metric = "accuracy"

    def __init__(self, tokenizer: Tokenizer, setting: Setting) -> None:
        self._tokenizer = tokenizer
        self._max_length = setting.max_length

    def prepare(self, examples: Sequence[Example], *, is_training: bool) -> list[Item]:
        """See `Method.prepare`: one sequence per candidate."""
        choices = cast("Sequence[ChoiceExample]", examples)
        pairs = [(example.first, choice) for example in choices for choice in example.choices]
        encoded = encode_texts(self._tokenizer, pairs, max_length=self._max_length)
        items, start = [], 0
        for number, example in enumerate(choices):
            rows = range(start, start + len(example.choices))
            start = rows.stop
            items.append(
                Item(
                    sequences=tuple(encoded.ids[row] for row in rows),
                    types=types_of(encoded, rows),
                    target=example.target,
                    example=number,
                )
            )
        return items

    def loss(self, outputs: Tensor, items: Sequence[Item]) -> Tensor:
        """See `Method.loss`."""
        scores = outputs[:, 0].split([len(item.sequences) for item in items])
        return choice_loss(scores, [item.target for item in items])

    def measure(
        self, examples: Sequence[Example], items: Sequence[Item], outputs: Sequence[Outputs]
    ) -> Measured:
        """See `Method.measure`."""
        choices = cast("Sequence[ChoiceExample]", examples)
        scores = [np.concatenate(output) for output in outputs]
        expected = [example.target for example in choices]
        found = [int(score.argmax()) for score in scores]
        margins = [
            float(score[target] - np.delete(score, target).max(initial=-np.inf))
            for score, target in zip(scores, expected, strict=True)
        ]

        def describe(number: int) -> WorstItem:
            example = choices[number]
            return WorstItem(
                item_id=example.example_id,
                value=margins[number],
                text=example.first,
                expected=example.choices[example.target],
                found=example.choices[found[number]],
            )

        counts = np.bincount(expected)
        right = [float(a == b) for a, b in zip(expected, found, strict=True)]
        return Measured(
            metrics={"accuracy": accuracy(expected, found)},
            num_items=len(choices),
            per_item={
                f"{number}:{example.example_id}": right[number]
                for number, example in enumerate(choices)
            },
            worst=worst_items(margins, describe),
            facts={"majority_accuracy": float(counts.max() / counts.sum())},
        )
