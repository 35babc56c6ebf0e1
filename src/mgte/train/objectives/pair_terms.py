"""Losses of a contrastive batch from the outputs of its texts: dense, sparse, distillation.

Every term is a sum over this process's queries, so one division by the number of all queries is
right for each of them, and the ratio of the terms does not depend on the number of processes.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mgte.data import ContrastiveBatch
from mgte.losses import (
    Form,
    LossSum,
    PairBlocks,
    PairMasks,
    dense_blocks,
    either_left_out,
    info_nce,
    left_out_by_margin,
    left_out_by_text,
    margin_squared_error,
    matryoshka,
    positive_is_first,
    prefix,
    ranking_divergence,
    sparse_scores,
)
from mgte.model import SparseWeights
from mgte.train.gather import gather_rows, gather_sparse
from mgte.train.objectives.config import Distillation, EmbeddingConfig
from mgte.train.objectives.model_checks import widths_of
from mgte.train.objectives.outputs_in_order import take_texts
from mgte.train.objectives.pair_competition import Competition

# Scores of all widths together that may exist at once: 256 MiB. Above, those of each width are
# computed again in the backward pass (24 widths of 16k pairs would be 24 GiB and more).
SCORE_ENTRIES = 1 << 26


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PairOutputs:
    """Outputs of this process's queries and documents.

    Attributes:
        dense: Vectors `[queries + documents, dim]`, not normalised.
        sparse: Token weights of the same texts; None if no term reads them.
    """

    dense: Tensor
    sparse: SparseWeights | None


def pair_terms(
    config: EmbeddingConfig,
    outputs: PairOutputs,
    batch: ContrastiveBatch,
    competition: Competition,
) -> dict[str, LossSum]:
    """All terms of a batch; "loss" has the gradient.

    Args:
        config: The objective.
        outputs: Outputs of this process's texts.
        batch: This process's share.
        competition: What competes.

    Returns:
        Terms by name; the same names on every process.
    """
    vectors = _Vectors.of(outputs.dense, competition, config.form)
    blocks = vectors.blocks(vectors.width, config, competition)
    masks = _masks(config, blocks, competition)

    def loss_at(width: int) -> LossSum:
        at_width = blocks if width == vectors.width else vectors.blocks(width, config, competition)
        return info_nce(
            at_width,
            competition.columns,
            form=config.form,
            temperature=config.temperature,
            left_out=masks,
        )

    widths = widths_of(config.dims, config.dim_step, vectors.width)
    weights = config.dim_weights or (1.0 / len(widths),) * len(widths)
    entries = len(widths) * _num_scores(blocks)
    is_large = len(widths) > 1 and entries > SCORE_ENTRIES
    dense = matryoshka(loss_at, widths, weights, recompute=is_large)
    first = positive_is_first(blocks.query_document, competition.columns, masks.query_document)
    terms = {
        "loss_dense": dense,
        "accuracy": first,
        "filtered": _filtered(masks, blocks),
    }
    total = dense.total
    teacher = torch.tensor(batch.teacher_scores, device=outputs.dense.device)
    if config.distillation.weight > 0:
        own = _own_candidates(blocks.query_document, competition)
        term = distillation_loss(
            config.distillation, own, teacher, competition.offsets, config.temperature
        )
        terms["loss_distillation"] = term
        total = total + config.distillation.weight * term.total
    if outputs.sparse is not None:
        sparse_terms = _sparse_terms(config, outputs.sparse, teacher, masks, competition)
        terms |= sparse_terms
        total = total + config.sparse_weight * sparse_terms["loss_sparse"].total
        if "loss_sparse_distillation" in sparse_terms:
            term = sparse_terms["loss_sparse_distillation"]
            total = total + config.sparse_distillation_weight * term.total
    return {"loss": LossSum(total, dense.count), **terms}


def distillation_loss(
    config: Distillation, scores: Tensor, teacher: Tensor, offsets: Tensor, temperature: float
) -> LossSum:
    """A teacher's ranking or margins over each query's own candidates.

    Args:
        config: Which of them; raw scores are for rerankers.
        scores: Student's score of each candidate, the positive first.
        teacher: Teacher's score; NaN where there is none.
        offsets: Where each query's candidates start, and the total.
        temperature: Divides the student's scores if the settings name no temperature of their own.

    Returns:
        Sum over queries.
    """
    if config.student_temperature is not None:
        temperature = config.student_temperature
    if config.kind == "kl":
        return ranking_divergence(
            scores,
            teacher,
            offsets,
            student_temperature=temperature,
            teacher_temperature=config.teacher_temperature,
        )
    # Cosines differ by 2 at most and a cross-encoder's scores by 20: margins need one scale.
    return margin_squared_error(scores / temperature, teacher / config.teacher_temperature, offsets)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Vectors:
    """Vectors of this process and of all that compete, not normalised."""

    queries: Tensor
    positives: Tensor
    all_queries: Tensor
    all_documents: Tensor

    @staticmethod
    def of(dense: Tensor, competition: Competition, form: Form) -> "_Vectors":
        world, num_own = competition.world, competition.columns.own.shape[0]
        queries, documents = dense[:num_own], dense[num_own:]
        all_queries = queries
        if form != "query_to_document":
            all_queries = gather_rows(queries, world, competition.num_queries)
        return _Vectors(
            queries=queries,
            positives=documents[competition.own_positives],
            all_queries=all_queries,
            all_documents=gather_rows(documents, world, competition.num_documents),
        )

    @property
    def width(self) -> int:
        return self.queries.shape[1]

    def blocks(self, width: int, config: EmbeddingConfig, competition: Competition) -> PairBlocks:
        """Cosines at a width."""
        return dense_blocks(
            prefix(self.queries, width),
            prefix(self.positives, width),
            prefix(self.all_queries, width),
            prefix(self.all_documents, width),
            competition.texts.positives,
            form=config.form,
        )


def _masks(config: EmbeddingConfig, blocks: PairBlocks, competition: Competition) -> PairMasks:
    """What does not compete, decided once, by texts and full-width cosines, for every term."""
    masks = PairMasks()
    if config.filter.duplicates:
        masks = left_out_by_text(competition.texts, competition.columns, form=config.form)
    if config.filter.margin is not None:
        by_margin = left_out_by_margin(blocks, competition.columns, config.filter.margin)
        masks = either_left_out(masks, by_margin)
    return masks


def _num_scores(blocks: PairBlocks) -> int:
    """Entries of all blocks."""
    found = (
        blocks.query_document,
        blocks.document_query,
        blocks.query_query,
        blocks.document_document,
    )
    return sum(block.numel() for block in found if block is not None)


def _filtered(masks: PairMasks, blocks: PairBlocks) -> LossSum:
    """Negatives of queries that are left out, and all negatives."""
    rows, columns = blocks.query_document.shape
    total = torch.zeros((), device=blocks.query_document.device)
    if masks.query_document is not None:
        total = masks.query_document.sum().float()
    return LossSum(total, rows * max(0, columns - 1))


def _own_candidates(scores: Tensor, competition: Competition) -> Tensor:
    """Scores of each query's own documents, end to end."""
    lengths = competition.offsets.diff()
    rows = torch.arange(lengths.shape[0], device=scores.device).repeat_interleave(lengths)
    columns = torch.arange(rows.shape[0], device=scores.device) + competition.first_document
    return scores[rows, columns]


def _sparse_terms(
    config: EmbeddingConfig,
    sparse: SparseWeights,
    teacher: Tensor,
    masks: PairMasks,
    competition: Competition,
) -> dict[str, LossSum]:
    num_own = competition.columns.own.shape[0]
    texts = torch.arange(sparse.cu_terms.shape[0] - 1, device=sparse.token_ids.device)
    queries, documents = take_texts(sparse, texts[:num_own]), take_texts(sparse, texts[num_own:])
    scores = sparse_scores(queries, gather_sparse(documents, competition.world))
    only_documents = replace(masks, document_query=None, query_query=None, document_document=None)
    terms = {
        "loss_sparse": info_nce(
            PairBlocks(query_document=scores),
            competition.columns,
            form="query_to_document",
            temperature=config.sparse_temperature,
            left_out=only_documents,
        ),
        "accuracy_sparse": positive_is_first(scores, competition.columns, masks.query_document),
        "query_terms": _num_terms(queries),
        "document_terms": _num_terms(documents),
    }
    if config.sparse_distillation_weight > 0:
        # Sparse scores have a scale of their own, which their InfoNCE temperature knows.
        target = replace(config.distillation, student_temperature=None)
        own = _own_candidates(scores, competition)
        terms["loss_sparse_distillation"] = distillation_loss(
            target, own, teacher, competition.offsets, config.sparse_temperature
        )
    return terms


def _num_terms(sparse: SparseWeights) -> LossSum:
    total = torch.tensor(float(sparse.weights.shape[0]), device=sparse.weights.device)
    return LossSum(total, sparse.cu_terms.shape[0] - 1)
