"""Estimates against what is counted, and against what a small run really takes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mgte.model import EncoderConfig, HeadConfig, RopeConfig, build_model
from mgte.train.estimate import (
    MemoryEstimate,
    Work,
    estimate_memory,
    measure_speed,
    model_size,
    step_flops,
)
from mgte.train.objectives.config import ContrastiveConfig, EmbeddingConfig, MaskedLMConfig

# A run beside the estimate: allocators round up, and PyTorch's threads keep buffers.
AGREES_WITHIN = 1.5


def config(**changes) -> EncoderConfig:
    shape = {
        "vocab_size": 8000,
        "hidden_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "intermediate_size": 512,
        "max_position_embeddings": 512,
        "rope": RopeConfig(),
    }
    return EncoderConfig(**(shape | changes))


def masked_lm(of: EncoderConfig):
    import torch

    head = HeadConfig(
        kind="masked_lm", num_labels=of.vocab_size, has_dense=True, has_norm=True, is_tied=True
    )
    with torch.device("meta"):
        return build_model(of, head, family="gte")


def test_parameters_are_those_of_the_published_checkpoint() -> None:
    published = config(
        vocab_size=250_048,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=12,
        intermediate_size=3072,
        type_vocab_size=1,
    )
    size = model_size(masked_lm(published))
    assert size.embedding == 250_048 * 768 + 768
    # gte-multilingual-mlm-base: 306,210,496.
    assert size.total == 306_210_496
    assert size.trained == size.total


def test_adapters_are_counted_where_they_stand() -> None:
    size = model_size(masked_lm(config()), 8, ("qkv", "out"))
    assert size.trained == 6 * (8 * (256 + 768) + 8 * (256 + 256))


def test_memory_follows_its_causes() -> None:
    of = config()
    size = model_size(masked_lm(of))
    work = Work(chunk_tokens=4096, step_tokens=4096, mean_length=128, mask_probability=0.3)

    def memory(changed: Work = work, objective=None, **options) -> MemoryEstimate:
        return estimate_memory(of, size, objective or MaskedLMConfig(), changed, **options)

    plain = memory()
    assert plain.optimizer == 2 * plain.gradients == 8 * size.total
    assert memory(replace(work, chunk_tokens=8192)).activations == 2 * plain.activations
    # More steps' worth of tokens pass in chunks: no more memory.
    assert memory(replace(work, step_tokens=1e9)).total == plain.total
    assert memory(is_checkpointed=True).activations < 0.5 * plain.activations
    assert memory(shards=4).optimizer == plain.optimizer / 4
    assert memory(objective=MaskedLMConfig(vocabulary_chunk=800)).scores < 0.3 * plain.scores
    assert memory(precision="bfloat16").activations < plain.activations


def test_scores_of_a_batch_count_widths_and_directions() -> None:
    of = config()
    work = Work(
        chunk_tokens=4096, step_tokens=9e4, mean_length=64, batch_queries=10, batch_documents=90
    )

    def scores(objective, changed: Work = work) -> float:
        return estimate_memory(of, model_size(masked_lm(of)), objective, changed).scores

    assert scores(ContrastiveConfig()) == 12 * 900
    assert scores(ContrastiveConfig(form="two_directions")) == 12 * 1000
    assert scores(ContrastiveConfig(form="joint")) == 12 * 1200
    assert scores(EmbeddingConfig(sparse_weight=0)) == 12 * 900 * of.hidden_size / 32
    assert scores(EmbeddingConfig(dims=(32, 64))) == 12 * 900 * 3
    # Too many for all widths at once: one width's scores at a time, and the sparse ones.
    large = replace(work, batch_queries=1 << 12, batch_documents=9 << 12)
    assert scores(EmbeddingConfig(), large) == 12 * 9 * (1 << 24) * 2


def test_arithmetic_counts_attention_by_what_a_layer_sees() -> None:
    far, near = config(), config(local_rope=RopeConfig(), local_window=16, local_layers=(1, 2, 3))
    size = model_size(masked_lm(far))
    work = Work(chunk_tokens=4096, step_tokens=1000, mean_length=400)
    full = step_flops(far, size, ContrastiveConfig(), work)
    assert full == pytest.approx(3 * 1000 * (2 * size.encoder + 6 * 4 * 256 * 400))
    local = step_flops(near, size, ContrastiveConfig(), work)
    assert full - local == pytest.approx(3 * 1000 * 3 * 4 * 256 * (400 - 33))
    # What does not fit into one chunk passes twice: once for the vectors, once for the gradient.
    large = replace(work, chunk_tokens=500)
    assert step_flops(far, size, EmbeddingConfig(), large) == pytest.approx(full * 4 / 3)


def test_this_machine_multiplies_at_some_speed() -> None:
    assert 1e8 < measure_speed("cpu") < 1e15


PROGRAM = """
import json, re, sys
from pathlib import Path
import torch
from mgte.model import EncoderConfig, HeadConfig, RopeConfig, build_model
from mgte.packing import pack

def peak():
    # Not ru_maxrss: a child inherits that of the process that started it.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

dropout, tokens, length = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
config = EncoderConfig(
    vocab_size=8000, hidden_size=256, num_hidden_layers=6, num_attention_heads=4,
    num_key_value_heads=4, head_dim=64, intermediate_size=512, max_position_embeddings=512,
    rope=RopeConfig(), hidden_dropout_prob=dropout,
)
head = HeadConfig(
    kind="masked_lm", num_labels=8000, has_dense=True, has_norm=True, is_tied=True, dropout=0.0
)
torch.ones(300, 300) @ torch.ones(300, 300)
before = peak()
model = build_model(config, head, family="gte").train()
optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
for _ in range(2):
    batch = pack([[5] * length] * (tokens // length))
    rows = torch.arange(0, tokens, 3)
    loss = torch.nn.functional.cross_entropy(model(batch, rows=rows), torch.ones_like(rows))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    del loss
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")
def test_memory_agrees_with_a_run() -> None:
    dropout, tokens, length = 0.1, 4096, 128
    command = [sys.executable, "-c", PROGRAM, str(dropout), str(tokens), str(length)]
    # One thread: a thread's own buffers are none of the estimate's business.
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    of = config(hidden_dropout_prob=dropout)
    work = Work(chunk_tokens=tokens, step_tokens=tokens, mean_length=length, mask_probability=1 / 3)
    estimate = estimate_memory(of, model_size(masked_lm(of)), MaskedLMConfig(), work).total
    assert 1 / AGREES_WITHIN < json.loads(run.stdout) / estimate < AGREES_WITHIN
