"""Tiny models and batches for tests of objectives, made from a seed."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from mgte.data import ContrastiveBatch, MaskedBatch, RerankBatch, VectorBatch
from mgte.model import EncoderConfig, HeadConfig, Model, RopeConfig, build_model, init_weights
from mgte.train.objectives import StepContext
from mgte.train.world import World

VOCABULARY = 61
WIDTH = 32
TEACHER_WIDTH = 24
HEADS = {
    "embedding": HeadConfig(kind="token_classification", num_labels=1),
    "dense": HeadConfig(),
    "reranking": HeadConfig(
        kind="sequence_classification", num_labels=1, has_dense=True, dropout=0.0
    ),
    "masked_lm": HeadConfig(
        kind="masked_lm",
        num_labels=VOCABULARY,
        has_dense=True,
        activation="gelu",
        has_norm=True,
        is_tied=True,
    ),
}


class Alone:
    """A model that is not spread."""

    def backward_scope(self, *, is_last: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def equal_count(self, count: int) -> int:
        return count


def made_model(head: str, *, dropout: float = 0.0, seed: int = 1, spread: float = 0.3) -> Model:
    """Two layers, width 32."""
    config = EncoderConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=8,
        intermediate_size=48,
        max_position_embeddings=64,
        type_vocab_size=2,
        rope=RopeConfig(),
        hidden_dropout_prob=dropout,
        initializer_range=spread,
    )
    model = build_model(config, HEADS[head], family="gte")
    init_weights(model, config, generator=torch.Generator().manual_seed(seed))
    if head == "embedding":
        # So that about half of the tokens have a sparse weight, whatever the seed.
        with torch.no_grad():
            model.head.output.bias.fill_(0.1)
    return model.train()


def context_of(tokens_per_chunk: int = 10_000, **changes: object) -> StepContext:
    """A step of one process on the CPU."""
    plain = StepContext(
        step=0,
        world=World(),
        parallel=Alone(),
        is_last=True,
        tokens_per_chunk=tokens_per_chunk,
        autocast=None,
    )
    return replace(plain, **changes)


def gradients_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Gradients by name, zeros where there is none; they are taken away from the model."""
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
    }
    model.zero_grad()
    return found


def distance(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> float:
    """Largest difference of a parameter's gradient, relative to the norm of that gradient.

    A gradient of almost nothing (a bias that softmax cancels) is compared with a thousandth of the
    whole gradient's norm.
    """
    assert found.keys() == wanted.keys()
    whole = torch.stack([value.norm() for value in wanted.values()]).norm()
    return max(
        float((found[name] - wanted[name]).norm() / wanted[name].norm().clamp(min=1e-3 * whole))
        for name in found
    )


def made_texts(generator: np.random.Generator, number: int) -> tuple[np.ndarray, ...]:
    """Token ids of texts of 2 to 9 tokens."""
    return tuple(
        generator.integers(1, VOCABULARY, generator.integers(2, 10)).astype(np.int32)
        for _ in range(number)
    )


def contrastive_batch(seed: int, num_queries: int) -> ContrastiveBatch:
    """One to four documents per query, some of equal text, some scored by a teacher."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 5, num_queries)
    offsets = np.concatenate([[0], counts.cumsum()]).astype(np.int64)
    total = int(offsets[-1])
    scores = generator.normal(size=total).astype(np.float32)
    scores[generator.random(total) < 0.3] = np.nan
    return ContrastiveBatch(
        queries=made_texts(generator, num_queries),
        documents=made_texts(generator, total),
        cu_documents=offsets,
        query_hashes=generator.integers(0, max(2, 2 * num_queries), num_queries),
        document_hashes=generator.integers(0, max(2, 2 * total), total),
        teacher_scores=scores,
        rows=np.arange(num_queries),
        source="made",
    )


def rerank_batch(seed: int, num_queries: int) -> RerankBatch:
    """One to five candidates per query."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 6, num_queries)
    offsets = np.concatenate([[0], counts.cumsum()]).astype(np.int64)
    pairs = made_texts(generator, int(offsets[-1]))
    labels = np.zeros(len(pairs), np.float32)
    labels[offsets[:-1]] = 1
    scores = generator.normal(size=len(pairs)).astype(np.float32)
    scores[generator.random(len(pairs)) < 0.3] = np.nan
    return RerankBatch(
        pairs=pairs,
        token_types=tuple((np.arange(len(pair)) > 2).astype(np.int32) for pair in pairs),
        cu_candidates=offsets,
        labels=labels,
        teacher_scores=scores,
        rows=np.arange(num_queries),
        source="made",
    )


def masked_batch(seed: int, num_sequences: int) -> MaskedBatch:
    """Some sequences have no masked token."""
    generator = np.random.default_rng(seed)
    sequences = made_texts(generator, num_sequences)
    positions = tuple(np.flatnonzero(generator.random(len(ids)) < 0.4) for ids in sequences)
    return MaskedBatch(
        sequences=sequences,
        positions=positions,
        labels=tuple(generator.integers(0, VOCABULARY, len(places)) for places in positions),
        rows=np.arange(num_sequences),
        source="made",
    )


def vector_batch(seed: int, num_texts: int, width: int = TEACHER_WIDTH) -> VectorBatch:
    """Texts with random vectors."""
    generator = np.random.default_rng(seed)
    return VectorBatch(
        sequences=made_texts(generator, num_texts),
        vectors=generator.normal(size=(num_texts, width)).astype(np.float32),
        rows=np.arange(num_texts),
        source="made",
    )


MAKERS = {
    "masked_lm": masked_batch,
    "contrastive": contrastive_batch,
    "embedding": contrastive_batch,
    "reranking": rerank_batch,
    "embedding_distillation": vector_batch,
}
