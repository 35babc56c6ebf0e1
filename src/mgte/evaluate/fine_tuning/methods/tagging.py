"""Tagging: the first token of every word tells the word's tag."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mgte.evaluate.fine_tuning.alignment import AlignedTokenizer
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.examples import Example, TaggedExample
from mgte.evaluate.fine_tuning.methods.method import Item, Measured, Outputs, worst_items
from mgte.evaluate.fine_tuning.network import Reading
from mgte.evaluate.fine_tuning.tag_metrics import entity_scores
from mgte.evaluate.records import WorstItem
from mgte.text import Tokenizer


class TaggingMethod:
    """One score per tag and token.

    Words that are cut off, or that the tokenizer makes nothing of, are not measured, as in the
    scripts of the mGTE paper; `words_left_out` of the facts counts them.

    Args:
        tokenizer: The encoder's tokenizer.
        setting: Lengths.
        labels: Names of the tags.
    """

    reading: Reading = "tokens"
    main_metric = "f1"

    def __init__(self, tokenizer: Tokenizer, setting: Setting, labels: Sequence[str]) -> None:
        self._tokenizer = AlignedTokenizer(tokenizer)
        self._max_length = setting.max_length
        self._labels = tuple(labels)

    @property
    def num_outputs(self) -> int:
        """Tags."""
        return len(self._labels)

    def prepare(self, examples: Sequence[Example], *, is_training: bool) -> list[Item]:
        """See `Method.prepare`: places are words and the tokens that they begin with."""
        items = []
        for number, example in enumerate(cast("Sequence[TaggedExample]", examples)):
            text = self._tokenizer.encode_words(example.words, max_length=self._max_length)
            firsts: dict[int, int] = {}
            for token, word in enumerate(text.words):
                if word is not None:
                    firsts.setdefault(word, token)
            if is_training and not firsts:
                continue
            items.append(
                Item(
                    sequences=(text.ids,),
                    types=None if text.types is None else (text.types,),
                    target=[self._labels.index(example.tags[word]) for word in firsts],
                    example=number,
                    places=firsts,
                )
            )
        return items

    def loss(self, outputs: Tensor, items: Sequence[Item]) -> Tensor:
        """See `Method.loss`: mean over the words of the batch."""
        rows: list[int] = []
        start = 0
        for item in items:
            rows += [start + token for token in item.places.values()]
            start += item.num_tokens
        targets = [target for item in items for target in item.target]
        return cross_entropy(outputs[rows], torch.tensor(targets, device=outputs.device))

    def measure(
        self, examples: Sequence[Example], items: Sequence[Item], outputs: Sequence[Outputs]
    ) -> Measured:
        """See `Method.measure`."""
        sentences = cast("Sequence[TaggedExample]", examples)
        expected: list[list[str]] = []
        found: list[list[str]] = []
        for item, output in zip(items, outputs, strict=True):
            best = output[0][list(item.places.values())].argmax(axis=1)
            expected.append([self._labels[target] for target in item.target])
            found.append([self._labels[tag] for tag in best])
        shares = [
            sum(a == b for a, b in zip(right, given, strict=True)) / len(right) if right else 1.0
            for right, given in zip(expected, found, strict=True)
        ]

        def describe(number: int) -> WorstItem:
            sentence = sentences[items[number].example]
            return WorstItem(
                item_id=sentence.example_id,
                value=shares[number],
                text=" ".join(sentence.words),
                expected=" ".join(expected[number]),
                found=" ".join(found[number]),
            )

        num_words = sum(len(sentence.words) for sentence in sentences)
        measured = sum(map(len, expected))
        return Measured(
            metrics=entity_scores(expected, found),
            num_items=len(sentences),
            per_item={
                f"{number}:{sentences[item.example].example_id}": share
                for number, (item, share) in enumerate(zip(items, shares, strict=True))
            },
            worst=worst_items(shares, describe),
            facts={
                "words": num_words,
                "words_left_out": num_words - measured,
                "majority_accuracy": _majority(expected),
            },
        )


def _majority(tags: Sequence[Sequence[str]]) -> float:
    counts: dict[str, int] = {}
    for tag in (tag for sentence in tags for tag in sentence):
        counts[tag] = counts.get(tag, 0) + 1
    return max(counts.values()) / sum(counts.values()) if counts else 0.0
