"""DescribedBatch: a batch in words, for people who want to see what a model will see."""

from collections.abc import Callable
from dataclasses import dataclass

from mgte.data.batches import ContrastiveBatch, MaskedBatch, RerankBatch, TokenArray
from mgte.data.making import MadeBatch
from mgte.data.plan import PlannedBatch
from mgte.text import Tokenizer

_MAX_CANDIDATES = 3
_MAX_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribedBatch:
    """A batch in words.

    Attributes:
        step: Step, counted from 0.
        index: Which batch of the step.
        source: Where its rows come from.
        num_rows: Its rows.
        num_tokens: Tokens that pass through the model.
        num_tokens_dropped: Tokens that were cut off.
        texts: Some rows' texts as the model sees them, each with its role: "masked", "query",
            "positive", "negative", "candidate" or "text"; long ones shortened.
    """

    step: int
    index: int
    source: str
    num_rows: int
    num_tokens: int
    num_tokens_dropped: int
    texts: tuple[tuple[str, str], ...]


def describe_batch(
    planned: PlannedBatch, made: MadeBatch, tokenizer: Tokenizer, num_rows: int
) -> DescribedBatch:
    """Describe a whole batch.

    Args:
        planned: Its rows.
        made: The batch, not only a share of it.
        tokenizer: Decodes its texts.
        num_rows: Rows whose texts are shown.

    Returns:
        The description.
    """

    def decode(ids: TokenArray) -> str:
        text = tokenizer.decode(ids.tolist())
        return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."

    return DescribedBatch(
        step=planned.step,
        index=planned.index,
        source=planned.source,
        num_rows=len(planned),
        num_tokens=made.num_tokens,
        num_tokens_dropped=made.num_tokens_dropped,
        texts=tuple(_texts(made, decode, min(num_rows, len(planned)))),
    )


def _texts(
    made: MadeBatch, decode: Callable[[TokenArray], str], num_rows: int
) -> list[tuple[str, str]]:
    batch = made.batch
    if isinstance(batch, MaskedBatch):
        return [("masked", decode(ids)) for ids in batch.sequences[:num_rows]]
    found: list[tuple[str, str]] = []
    if isinstance(batch, ContrastiveBatch):
        for row in range(num_rows):
            first, last = batch.cu_documents[row : row + 2].tolist()
            found.append(("query", decode(batch.queries[row])))
            found.append(("positive", decode(batch.documents[first])))
            negatives = batch.documents[first + 1 : min(last, first + _MAX_CANDIDATES)]
            found += [("negative", decode(ids)) for ids in negatives]
        return found
    if isinstance(batch, RerankBatch):
        for row in range(num_rows):
            first, last = batch.cu_candidates[row : row + 2].tolist()
            found.append(("positive", decode(batch.pairs[first])))
            others = batch.pairs[first + 1 : min(last, first + _MAX_CANDIDATES)]
            found += [("candidate", decode(ids)) for ids in others]
        return found
    return [("text", decode(ids)) for ids in batch.sequences[:num_rows]]
