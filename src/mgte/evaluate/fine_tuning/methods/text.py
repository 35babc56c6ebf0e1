"""Classification and regression of texts and pairs of texts."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from mgte.evaluate.fine_tuning.classification_metrics import (
    accuracy,
    binary_f1,
    matthews,
    pearson,
    spearman,
)
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.examples import Example, TextExample
from mgte.evaluate.fine_tuning.methods.method import Item, Measured, Outputs, worst_items
from mgte.evaluate.fine_tuning.network import Reading
from mgte.evaluate.records import WorstItem
from mgte.text import TokenizedTexts, Tokenizer


class TextMethod:
    """Classes, or a number where there are no labels.

    Args:
        tokenizer: The encoder's tokenizer.
        setting: Lengths.
        labels: Names of the classes; empty means regression.
    """

    reading: Reading = "sequences"

    def __init__(self, tokenizer: Tokenizer, setting: Setting, labels: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._max_length = setting.max_length
        self._labels = tuple(labels)

    @property
    def num_outputs(self) -> int:
        """Classes, or 1."""
        return len(self._labels) or 1

    @property
    def main_metric(self) -> str:
        """Accuracy, or Spearman."""
        return "accuracy" if self._labels else "spearman"

    def prepare(self, examples: Sequence[Example], *, is_training: bool) -> list[Item]:
        """See `Method.prepare`: `[CLS] text [SEP]` or a pair of which the longer text is cut."""
        texts = cast("Sequence[TextExample]", examples)
        encoded = encode_texts(
            self._tokenizer,
            [(text.first, text.second) for text in texts],
            max_length=self._max_length,
        )
        return [
            Item(
                sequences=(encoded.ids[number],),
                types=types_of(encoded, [number]),
                target=text.target,
                example=number,
            )
            for number, text in enumerate(texts)
        ]

    def loss(self, outputs: Tensor, items: Sequence[Item]) -> Tensor:
        """See `Method.loss`: cross entropy, or squared error."""
        targets = torch.tensor([item.target for item in items], device=outputs.device)
        if self._labels:
            return cross_entropy(outputs, targets.long())
        return mse_loss(outputs[:, 0], targets.to(outputs.dtype))

    def measure(
        self, examples: Sequence[Example], items: Sequence[Item], outputs: Sequence[Outputs]
    ) -> Measured:
        """See `Method.measure`."""
        texts = cast("Sequence[TextExample]", examples)
        scores = np.stack([output[0] for output in outputs])
        expected = [text.target for text in texts]
        if not self._labels:
            return _measure_numbers(texts, expected, scores[:, 0].tolist())
        return self._measure_classes(texts, [int(target) for target in expected], scores)

    def _measure_classes(
        self, texts: Sequence[TextExample], expected: Sequence[int], scores: np.ndarray
    ) -> Measured:
        found = scores.argmax(axis=1).tolist()
        metrics = {"accuracy": accuracy(expected, found), "matthews": matthews(expected, found)}
        if len(self._labels) == 2:
            metrics["f1"] = binary_f1(expected, found)
            metrics["accuracy_f1"] = (metrics["accuracy"] + metrics["f1"]) / 2.0
        shifted = scores - scores.max(axis=1, keepdims=True)
        chances = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        sure = chances[np.arange(len(texts)), expected].tolist()

        def describe(number: int) -> WorstItem:
            text = texts[number]
            return WorstItem(
                item_id=text.example_id,
                value=sure[number],
                text=shown(text.first, text.second),
                expected=self._labels[expected[number]],
                found=self._labels[found[number]],
            )

        counts = np.bincount(expected, minlength=len(self._labels))
        return Measured(
            metrics=metrics,
            num_items=len(texts),
            per_item=_by_id(texts, [float(a == b) for a, b in zip(expected, found, strict=True)]),
            worst=worst_items(sure, describe),
            facts={"majority_accuracy": float(counts.max() / counts.sum())},
        )


def _measure_numbers(
    texts: Sequence[TextExample], expected: Sequence[float], found: Sequence[float]
) -> Measured:
    closeness = [-abs(a - b) for a, b in zip(expected, found, strict=True)]

    def describe(number: int) -> WorstItem:
        text = texts[number]
        return WorstItem(
            item_id=text.example_id,
            value=closeness[number],
            text=shown(text.first, text.second),
            expected=f"{expected[number]:.2f}",
            found=f"{found[number]:.2f}",
        )

    both = {"pearson": pearson(expected, found), "spearman": spearman(expected, found)}
    return Measured(
        metrics={**both, "pearson_spearman": sum(both.values()) / 2.0},
        num_items=len(texts),
        worst=worst_items(closeness, describe),
    )


def _by_id(texts: Sequence[TextExample], values: Sequence[float]) -> dict[str, float]:
    return {
        f"{number}:{text.example_id}": value
        for number, (text, value) in enumerate(zip(texts, values, strict=True))
    }


def encode_texts(
    tokenizer: Tokenizer, texts: Sequence[tuple[str, str | None]], *, max_length: int
) -> TokenizedTexts:
    """Tokenise texts, or pairs: all of the same kind.

    Args:
        tokenizer: The tokenizer.
        texts: Texts, each with its second text or None.
        max_length: Tokens, special tokens included.

    Returns:
        Token ids in the order of the texts.
    """
    seconds = [second for _, second in texts if second is not None]
    firsts = [first for first, _ in texts]
    if len(seconds) == len(texts):
        return tokenizer.encode_pairs(firsts, seconds, max_length=max_length)
    return tokenizer.encode(firsts, max_length=max_length)


def types_of(encoded: TokenizedTexts, rows: Sequence[int]) -> tuple[np.ndarray, ...] | None:
    """Segment ids of some of the tokenised texts; None where all are 0."""
    if encoded.token_type_ids is None:
        return None
    return tuple(encoded.token_type_ids[row] for row in rows)


def shown(first: str, second: str | None) -> str:
    """A text or a pair, as people read it."""
    return first if second is None else f"{first} | {second}"
