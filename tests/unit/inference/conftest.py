"""Tiny model folders with tokenizer: an embedder with a sparse head, and a reranker."""

import pytest
import torch

from mgte.model import HeadConfig, build_model, init_weights
from mgte.store import EmbeddingSettings, save_model


def save_tiny(config, head, folder, tokenizer_folder, settings=None):
    model = build_model(config, head, family="gte")
    init_weights(model, config, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.2
            )
    return save_model(
        model.eval(), folder, "sentence-transformers", tokenizer=tokenizer_folder, settings=settings
    )


@pytest.fixture
def embedder_folder(tmp_path, tiny_config, tokenizer_folder):
    head = HeadConfig(kind="token_classification", num_labels=1)
    settings = EmbeddingSettings(
        pooling="cls", max_length=32, prompts={"query": "what is ", "document": "the "}
    )
    return save_tiny(tiny_config, head, tmp_path / "embedder", tokenizer_folder, settings)


@pytest.fixture
def reranker_folder(tmp_path, tiny_config, tokenizer_folder):
    head = HeadConfig(kind="sequence_classification", num_labels=1, has_dense=True)
    return save_tiny(tiny_config, head, tmp_path / "reranker", tokenizer_folder)
