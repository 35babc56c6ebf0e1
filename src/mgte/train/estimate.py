"""What a stage will need: parameters, memory, arithmetic and time, from shapes alone.

Memory of one process at its peak, the sum of

* weights, gradients and optimizer state: 4, 4 and 8 bytes per trained parameter (AdamW keeps two
  moments; everything is float32; FSDP divides all three by the number of processes),
* copies of weights in 16 bits under bfloat16: 2 bytes per parameter of matrices,
* activations kept for the backward pass of one chunk of tokens: per token and layer 11 hidden and
  4 inner widths (gated MLP; 2 plain), with dropout 2 hidden and 2 inner widths more; 4 bytes each,
  2.6 under bfloat16, where the inputs of norms stay float32; with activation checkpointing 1 hidden
  width per layer and one layer in full; plus what one layer's backward pass needs for itself,
* scores: masked positions of a chunk times vocabulary, 3 times; or all pairs that compete in a
  batch, 3 times, for every elastic width that is kept for the backward pass.

It leaves out the libraries themselves (0.3 to 1 GB) and what allocators hold back. Arithmetic
counts a multiplication and an addition as two; the backward pass costs twice the forward pass.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from mgte.model import EncoderConfig
from mgte.train.objectives.config import (
    ContrastiveConfig,
    EmbeddingConfig,
    MaskedLMConfig,
    ObjectiveConfig,
)
from mgte.train.objectives.model_checks import widths_of
from mgte.train.objectives.pair_terms import SCORE_ENTRIES

# Share of a machine's speed in large matrix products that a training step reaches: assumed.
ASSUMED_EFFICIENCY = 0.4

_BYTES = {"float32": 4.0, "bfloat16": 2.6}
_PROBE_SIZE = {"cpu": 768, "cuda": 8192}
_PROBE_RUNS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSize:
    """Numbers of parameters.

    Attributes:
        embedding: In embedding tables.
        encoder: In the layers and norms of the encoder.
        head: In the head; shared weights count once, as embeddings.
        trained: Of all these, how many the stage changes.
    """

    embedding: int
    encoder: int
    head: int
    trained: int

    @property
    def total(self) -> int:
        """All parameters."""
        return self.embedding + self.encoder + self.head


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one process computes in a step, as far as memory and time depend on it.

    Attributes:
        chunk_tokens: Most tokens in one pass of the model.
        step_tokens: Tokens of all passes of a step, over all processes.
        mean_length: Tokens of a sequence on average, weighted by tokens.
        batch_queries: Queries of one batch over all processes; 0 for masked texts.
        batch_documents: Documents that compete in one batch.
        mask_probability: Share of tokens that are predicted.
    """

    chunk_tokens: int
    step_tokens: float
    mean_length: float
    batch_queries: int = 0
    batch_documents: int = 0
    mask_probability: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEstimate:
    """Bytes of one process at its peak.

    Attributes:
        weights: Weights, with their copies in 16 bits.
        gradients: Gradients.
        optimizer: Optimizer state.
        activations: Activations of one chunk.
        scores: Scores of the loss.
    """

    weights: float
    gradients: float
    optimizer: float
    activations: float
    scores: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.scores


def model_size(
    model: nn.Module, lora_rank: int = 0, lora_targets: tuple[str, ...] = ()
) -> ModelSize:
    """Count a model's parameters.

    Args:
        model: The model; its tensors may be on the meta device.
        lora_rank: Rank of adapters; 0 means that all weights are trained.
        lora_targets: Ends of the names of modules that get an adapter.

    Returns:
        Numbers by part.
    """
    counts = {"embedding": 0, "encoder": 0, "head": 0}
    for name, parameter in model.named_parameters():
        counts[_part_of(name)] += parameter.numel()
    trained = sum(counts.values())
    if lora_rank:
        trained = sum(_adapter_sizes(model, lora_rank, lora_targets))
    return ModelSize(**counts, trained=trained)


def estimate_memory(
    config: EncoderConfig,
    size: ModelSize,
    objective: ObjectiveConfig,
    work: Work,
    *,
    precision: str = "float32",
    shards: int = 1,
    is_checkpointed: bool = False,
) -> MemoryEstimate:
    """Peak memory of one process; the formula stands at the top of this file.

    Args:
        config: The encoder.
        size: Its parameters.
        objective: What is optimised.
        work: What one step computes.
        precision: Type of matrix products.
        shards: Processes among which FSDP divides weights and optimizer; 1 for DDP.
        is_checkpointed: Whether layers are computed again in the backward pass.

    Returns:
        Bytes by part.
    """
    copies = 2.0 * (size.encoder + size.head) if precision == "bfloat16" else 0.0
    return MemoryEstimate(
        weights=4.0 * size.total / shards + copies,
        gradients=4.0 * size.trained / shards,
        optimizer=8.0 * size.trained / shards,
        activations=_activation_bytes(config, work, _BYTES[precision], is_checkpointed),
        scores=_score_bytes(config, objective, work),
    )


def step_flops(
    config: EncoderConfig, size: ModelSize, objective: ObjectiveConfig, work: Work
) -> float:
    """Arithmetic of one step over all processes, in floating-point operations.

    A large contrastive batch passes through the model once more without gradients (gradient cache).

    Args:
        config: The encoder.
        size: Its parameters.
        objective: What is optimised.
        work: What one step computes.

    Returns:
        Operations.
    """
    reach = [
        min(work.mean_length, 2 * window + 1) if window is not None else work.mean_length
        for window in map(config.window_of_layer, range(config.num_hidden_layers))
    ]
    # Scores and weighted sum of one layer: 2 * 2 * width operations per pair of tokens.
    attention = sum(4.0 * config.query_size * length for length in reach)
    forward = 2.0 * size.encoder + attention
    if isinstance(objective, MaskedLMConfig):
        head = 2.0 * (config.hidden_size * config.vocab_size + config.hidden_size**2)
        forward += work.mask_probability * head
    is_twice = (
        isinstance(objective, ContrastiveConfig | EmbeddingConfig)
        and work.step_tokens > work.chunk_tokens
    )
    return (4.0 if is_twice else 3.0) * forward * work.step_tokens


def measure_speed(device: str, precision: str = "float32") -> float:
    """Speed of large matrix products here, in floating-point operations per second.

    Args:
        device: "cpu" or "cuda".
        precision: "float32" or "bfloat16".

    Returns:
        The best of several runs; they take well under a second.
    """
    size, dtype = _PROBE_SIZE[device], getattr(torch, precision)
    left = torch.ones((size, size), device=device, dtype=dtype)
    best = float("inf")
    for _ in range(_PROBE_RUNS):
        start = time.perf_counter()
        left @ left
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def _part_of(name: str) -> str:
    if name.startswith("encoder.embeddings.") and ".norm." not in name:
        return "embedding"
    return "encoder" if name.startswith("encoder.") else "head"


def _adapter_sizes(model: nn.Module, rank: int, targets: tuple[str, ...]) -> Iterator[int]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in targets:
            yield rank * (module.in_features + module.out_features)


def _activation_bytes(
    config: EncoderConfig, work: Work, value_bytes: float, is_checkpointed: bool
) -> float:
    hidden, inner = config.hidden_size, config.intermediate_size
    dropped = 2 if config.hidden_dropout_prob else 0
    layer = (11 + dropped) * hidden + ((4 if config.gated_mlp else 2) + dropped) * inner
    passing = 4 * hidden + 4 * inner
    kept = config.num_hidden_layers * (hidden if is_checkpointed else layer)
    kept += layer if is_checkpointed else 0
    return work.chunk_tokens * value_bytes * (kept + passing + 3 * hidden)


def _score_bytes(config: EncoderConfig, objective: ObjectiveConfig, work: Work) -> float:
    if isinstance(objective, MaskedLMConfig):
        rows = work.chunk_tokens * work.mask_probability
        width = objective.vocabulary_chunk or config.vocab_size
        return rows * 4.0 * (3 * width + 6 * config.hidden_size)
    if not isinstance(objective, ContrastiveConfig | EmbeddingConfig):
        return 3 * 4.0 * work.batch_queries * work.batch_documents
    # The joint form compares queries with queries and documents with documents as well.
    others = {"query_to_document": 0, "two_directions": 1, "joint": 3}[objective.form]
    ranking = work.batch_queries * work.batch_documents
    entries = ranking + others * work.batch_queries**2
    if isinstance(objective, EmbeddingConfig):
        widths = len(widths_of(objective.dims, objective.dim_step, config.hidden_size))
        entries *= widths if widths * entries <= SCORE_ENTRIES else 1
        entries += ranking if objective.sparse_weight > 0 else 0
    return 3 * 4.0 * entries
