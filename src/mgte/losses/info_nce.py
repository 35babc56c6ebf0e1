"""InfoNCE on blocks of scores: rows are this process's pairs, columns everything that competes.

Summed over processes, the rows make up the whole batch, so the loss and its gradient do not depend
on how rows are spread.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.losses.sums import LossSum

# Which scores stand in the denominator.
Form = Literal["query_to_document", "two_directions", "joint"]

# Score of what does not compete. Finite: a block in which nothing competes must have a slope.
_ABSENT = -1e30


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairBlocks:
    """Scores, one tensor per kind of comparison.

    Row i is the i-th pair of this process: a query and its positive. Columns are documents or pairs
    of all processes. Blocks that a form does not read are None.

    Attributes:
        query_document: Query i against every document.
        document_query: Positive i against every query.
        query_query: Query i against every query.
        document_document: Positive i against every positive.
    """

    query_document: Tensor
    document_query: Tensor | None = None
    query_query: Tensor | None = None
    document_document: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairMasks:
    """Which scores do not compete: bool, of the shapes of `PairBlocks`; None leaves out nothing.

    Attributes:
        query_document: Of query i against every document.
        document_query: Of positive i against every query.
        query_query: Of query i against every query.
        document_document: Of positive i against every positive.
    """

    query_document: Tensor | None = None
    document_query: Tensor | None = None
    query_query: Tensor | None = None
    document_document: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairColumns:
    """Where the rows of this process stand among the columns.

    Attributes:
        positives: Column of row i's positive among all documents.
        own: Column of row i itself among all pairs.
    """

    positives: Int[Tensor, " rows"]
    own: Int[Tensor, " rows"]


def dense_blocks(
    queries: Float[Tensor, "rows dim"],
    positives: Float[Tensor, "rows dim"],
    all_queries: Float[Tensor, "pairs dim"],
    all_documents: Float[Tensor, "documents dim"],
    positive_columns: Int[Tensor, " pairs"],
    *,
    form: Form,
) -> PairBlocks:
    """Inner products that a form compares.

    Args:
        queries: This process's queries.
        positives: Their positives.
        all_queries: Queries of all processes; only read by forms with document-side terms.
        all_documents: Documents of all processes.
        positive_columns: Column of each pair's positive among all documents.
        form: Which scores compete.

    Returns:
        The blocks of that form.
    """
    query_document = queries @ all_documents.T
    if form == "query_to_document":
        return PairBlocks(query_document=query_document)
    document_query = positives @ all_queries.T
    if form == "two_directions":
        return PairBlocks(query_document=query_document, document_query=document_query)
    return PairBlocks(
        query_document=query_document,
        document_query=document_query,
        query_query=queries @ all_queries.T,
        document_document=positives @ all_documents[positive_columns].T,
    )


def info_nce(
    scores: PairBlocks,
    columns: PairColumns,
    *,
    form: Form,
    temperature: float,
    left_out: PairMasks | None = None,
) -> LossSum:
    """InfoNCE over this process's pairs.

    With s the scores divided by the temperature, the loss of pair i is -s(q_i, d_i) + log Z_i:

    * "query_to_document": Z_i = sum_j exp s(q_i, d_j) over all documents.
    * "two_directions": the mean of that and of its mirror image, Z_i = sum_j exp s(q_j, d_i).
    * "joint": Z_i = sum_j exp s(q_i, d_j) + sum_{j!=i} exp s(q_i, q_j) + sum_j exp s(q_j, d_i)
      + sum_{j!=i} exp s(d_j, d_i); the positive stands in it twice. Hard negatives are columns of
      the first sum only.

    Args:
        scores: Scores that the form compares.
        columns: Where this process's pairs stand.
        form: Which scores compete.
        temperature: Divides scores.
        left_out: Which scores do not compete; never a pair's own positive.

    Returns:
        Sum over pairs, and their number.

    Source: mGTE, arXiv 2407.19669, equation 2; GTE, arXiv 2308.03281, equation 2 ("joint").
    """
    count = columns.own.shape[0]
    if count == 0:
        # Connected to the scores, so that every process takes part in every backward collective.
        blocks = [scores.query_document, scores.document_query]
        blocks += [scores.query_query, scores.document_document]
        total = torch.stack([block.sum() for block in blocks if block is not None]).sum()
        return LossSum(total, 0)
    absent = PairMasks() if left_out is None else left_out
    forward = _log_sum(scores.query_document, absent.query_document, temperature)
    positive = _at(scores.query_document, columns.positives) / temperature
    if form == "query_to_document":
        return LossSum((forward - positive).sum(), count)
    backward = _log_sum(scores.document_query, absent.document_query, temperature)
    if form == "two_directions":
        mirrored = _at(scores.document_query, columns.own) / temperature
        return LossSum(0.5 * (forward - positive + backward - mirrored).sum(), count)
    itself = _is_own(columns.own, scores.query_query)
    sums = [
        forward,
        backward,
        _log_sum(scores.query_query, _either(absent.query_query, itself), temperature),
        _log_sum(scores.document_document, _either(absent.document_document, itself), temperature),
    ]
    return LossSum((torch.stack(sums).logsumexp(0) - positive).sum(), count)


def positive_is_first(
    scores: Float[Tensor, "rows documents"],
    columns: PairColumns,
    left_out: Tensor | None = None,
) -> LossSum:
    """For how many queries the positive scores above every other document.

    Args:
        scores: Queries against documents.
        columns: Where the positives stand.
        left_out: Which scores do not compete.

    Returns:
        Number of such queries, and of all; a tie is not above.
    """
    count = columns.own.shape[0]
    if count == 0:
        return LossSum(scores.new_zeros(()), 0)
    scores = scores.detach()
    positive = _at(scores, columns.positives)
    others = scores.scatter(1, columns.positives[:, None], -torch.inf)
    if left_out is not None:
        others = others.masked_fill(left_out, -torch.inf)
    return LossSum((positive > others.amax(1)).sum(), count)


def _log_sum(scores: Tensor | None, absent: Tensor | None, temperature: float) -> Tensor:
    assert scores is not None, "a block that the form reads is missing"
    scores = scores / temperature
    if absent is not None:
        scores = scores.masked_fill(absent, _ABSENT)
    return scores.logsumexp(1)


def _at(scores: Tensor | None, columns: Tensor) -> Tensor:
    assert scores is not None, "a block that the form reads is missing"
    return scores.gather(1, columns[:, None]).squeeze(1)


def _is_own(own: Tensor, block: Tensor | None) -> Tensor:
    assert block is not None, "a block that the form reads is missing"
    return torch.zeros_like(block, dtype=torch.bool).scatter_(1, own[:, None], True)


def _either(first: Tensor | None, second: Tensor) -> Tensor:
    return second if first is None else first | second
