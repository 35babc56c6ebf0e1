"""Which negatives are left out because they may be positives: by equal texts, or by a margin."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from mgte.losses.info_nce import Form, PairBlocks, PairColumns, PairMasks


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairTexts:
    """Texts of all pairs that compete, by their hashes.

    Attributes:
        queries: Hash of each pair's query.
        documents: Hash of each document.
        owners: To which pair each document belongs.
        positives: Column of each pair's positive among the documents.
    """

    queries: Int[Tensor, " pairs"]
    documents: Int[Tensor, " documents"]
    owners: Int[Tensor, " documents"]
    positives: Int[Tensor, " pairs"]


def left_out_by_text(texts: PairTexts, columns: PairColumns, *, form: Form) -> PairMasks:
    """Leave out what is a positive by its text.

    For a query: documents with the text of its positive, and documents of another pair with the
    same query. For the other blocks: pairs with the same query or the same positive.

    Args:
        texts: Texts of all pairs.
        columns: Where this process's pairs stand.
        form: Which blocks are needed.

    Returns:
        Masks, true where a score is left out; never at a pair's own positive.
    """
    own = columns.own[:, None]
    positives = texts.documents[texts.positives]
    is_same_query = texts.queries[columns.own][:, None] == texts.queries
    is_same_positive = positives[columns.own][:, None] == positives
    is_other_pair = own != texts.owners
    documents = positives[columns.own][:, None] == texts.documents
    documents |= is_same_query[:, texts.owners] & is_other_pair
    pairs = (is_same_query | is_same_positive).scatter(1, own, False)
    return PairMasks(
        query_document=documents.scatter(1, columns.positives[:, None], False),
        document_query=pairs if form != "query_to_document" else None,
        query_query=pairs if form == "joint" else None,
        document_document=pairs if form == "joint" else None,
    )


def left_out_by_margin(scores: PairBlocks, columns: PairColumns, margin: float) -> PairMasks:
    """Leave out what scores above the pair's positive plus a margin.

    Args:
        scores: Scores; no gradient flows through the decision.
        columns: Where this process's pairs stand.
        margin: In the unit of the scores.

    Returns:
        Masks of the same blocks; never true at a pair's own positive.

    Source: Qwen3-Embedding, arXiv 2506.05176, equation 2 (margin 0.1).
    """
    positive = scores.query_document.detach().gather(1, columns.positives[:, None])

    def mask(block: Tensor | None, kept: Tensor) -> Tensor | None:
        if block is None:
            return None
        return (block.detach() > positive + margin).scatter(1, kept[:, None], False)

    return PairMasks(
        query_document=mask(scores.query_document, columns.positives),
        document_query=mask(scores.document_query, columns.own),
        query_query=mask(scores.query_query, columns.own),
        document_document=mask(scores.document_document, columns.own),
    )


def either_left_out(first: PairMasks, second: PairMasks) -> PairMasks:
    """What one of two masks leaves out.

    Args:
        first: Masks.
        second: Masks of the same shapes.

    Returns:
        Their union.
    """
    return PairMasks(
        query_document=_union(first.query_document, second.query_document),
        document_query=_union(first.document_query, second.document_query),
        query_query=_union(first.query_query, second.query_query),
        document_document=_union(first.document_document, second.document_document),
    )


def _union(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first | second
