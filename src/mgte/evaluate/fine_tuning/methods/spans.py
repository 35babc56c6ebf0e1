"""Extractive question answering: first and last token of the answer, over windows of the context.

Source: BERT (arXiv 1810.04805), section 4.2; the windows and the choice among the 20 best starts
and ends, of at most 30 tokens, are those of transformers' example `run_qa`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mgte.evaluate.fine_tuning.alignment import AlignedText, AlignedTokenizer
from mgte.evaluate.fine_tuning.answer_metrics import AnswerStyle, answer_scores
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.examples import Example, QuestionExample
from mgte.evaluate.fine_tuning.methods.method import (
    Item,
    Measured,
    Outputs,
    choice_loss,
    worst_items,
)
from mgte.evaluate.fine_tuning.network import Reading
from mgte.evaluate.records import WorstItem
from mgte.text import Tokenizer

_NUM_BEST = 20
_LONGEST_ANSWER = 30
_START, _END = 0, 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Window:
    """Tokens of the context in a window, and their characters."""

    first_token: int
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class SpanMethod:
    """Two scores per token: the answer starts here, it ends here.

    Args:
        tokenizer: The encoder's tokenizer.
        setting: Lengths and stride.
        style: Whose normalisation the main metric takes.
        language: Language of the answers, for MLQA's normalisation.
    """

    reading: Reading = "tokens"
    num_outputs = 2
    main_metric = "f1"

    def __init__(
        self,
        tokenizer: Tokenizer,
        setting: Setting,
        *,
        style: AnswerStyle = "squad",
        language: str = "en",
    ) -> None:
        self._tokenizer = AlignedTokenizer(tokenizer)
        self._setting = setting
        self._style: AnswerStyle = style
        self._language = language

    def prepare(self, examples: Sequence[Example], *, is_training: bool) -> list[Item]:
        """See `Method.prepare`: one item per window; its target is None while predicting.

        A window without the whole answer points at its first token.
        """
        items = []
        for number, example in enumerate(cast("Sequence[QuestionExample]", examples)):
            windows = self._tokenizer.encode_windows(
                example.question,
                example.context,
                max_length=self._setting.max_length,
                stride=self._setting.stride,
            )
            for text in windows:
                window = _context_of(text)
                items.append(
                    Item(
                        sequences=(text.ids,),
                        types=None if text.types is None else (text.types,),
                        target=_target(window, example) if is_training else None,
                        example=number,
                        places=window,
                    )
                )
        return items

    def loss(self, outputs: Tensor, items: Sequence[Item]) -> Tensor:
        """See `Method.loss`: mean of the cross entropies of both ends, over all tokens."""
        per_window = outputs.split([item.num_tokens for item in items])
        losses = [
            choice_loss([scores[:, end] for scores in per_window], [i.target[end] for i in items])
            for end in (_START, _END)
        ]
        return (losses[0] + losses[1]) / 2.0

    def measure(
        self, examples: Sequence[Example], items: Sequence[Item], outputs: Sequence[Outputs]
    ) -> Measured:
        """See `Method.measure`."""
        questions = cast("Sequence[QuestionExample]", examples)
        best: dict[int, tuple[float, str]] = {}
        for item, output in zip(items, outputs, strict=True):
            found = _best_answer(output[0], item.places, questions[item.example].context)
            if item.example not in best or found[0] > best[item.example][0]:
                best[item.example] = found
        answers = [best[number][1] for number in range(len(questions))]
        scores = [
            answer_scores(answer, question.answers, style=self._style, language=self._language)
            for answer, question in zip(answers, questions, strict=True)
        ]
        f1 = [score for score, _ in scores]

        def describe(number: int) -> WorstItem:
            question = questions[number]
            return WorstItem(
                item_id=question.example_id,
                value=f1[number],
                text=question.question,
                expected=question.answers[0],
                found=answers[number],
            )

        return Measured(
            metrics={
                "f1": float(np.mean(f1)),
                "exact_match": float(np.mean([exact for _, exact in scores])),
            },
            num_items=len(questions),
            per_item={
                f"{number}:{question.example_id}": f1[number]
                for number, question in enumerate(questions)
            },
            worst=worst_items(f1, describe),
            facts={"windows": len(items), "answer_style": self._style},
        )


def _context_of(text: AlignedText) -> _Window:
    tokens = [token for token, owner in enumerate(text.owners) if owner == 1]
    characters = [text.offsets[token] for token in tokens]
    return _Window(
        first_token=tokens[0] if tokens else 0,
        starts=np.array([start for start, _ in characters], dtype=np.int64),
        ends=np.array([end for _, end in characters], dtype=np.int64),
    )


def _target(window: _Window, example: QuestionExample) -> tuple[int, int]:
    """First and last token of the first answer; twice the first token if it is not all here."""
    start = example.starts[0]
    end = start + len(example.answers[0])
    if not len(window.starts) or window.starts[0] > start or window.ends[-1] < end:
        return 0, 0
    first = int(np.searchsorted(window.starts, start, side="right")) - 1
    last = int(np.searchsorted(window.ends, end, side="left"))
    return window.first_token + first, window.first_token + max(first, last)


def _best_answer(scores: NDArray[np.float32], window: _Window, context: str) -> tuple[float, str]:
    """Score and text of the best span of the context in one window."""
    inside = scores[window.first_token : window.first_token + len(window.starts)]
    if not len(inside):
        return -np.inf, ""
    starts = np.argsort(-inside[:, _START], kind="stable")[:_NUM_BEST]
    ends = np.argsort(-inside[:, _END], kind="stable")[:_NUM_BEST]
    lengths = ends[None, :] - starts[:, None] + 1
    sums = inside[starts, _START][:, None] + inside[ends, _END][None, :]
    sums = np.where((lengths >= 1) & (lengths <= _LONGEST_ANSWER), sums, -np.inf)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    if not np.isfinite(sums[row, column]):
        return -np.inf, ""
    first, last = window.starts[starts[row]], window.ends[ends[column]]
    return float(sums[row, column]), context[int(first) : int(last)]
