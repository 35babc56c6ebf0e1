"""A small BEIR folder, and tiny models to measure on it."""

import json
from pathlib import Path

import pytest
import torch
from tests.conftest import tiny_vocabulary

from mgte.model import HeadConfig, build_model, init_weights
from mgte.store import save_model

DOCUMENTS = {
    "d1": ("tide", "the moon is for the sea"),
    "d2": ("", "bread and water"),
    "d3": ("road", "a map to read"),
    "d4": ("", "plant light"),
    "d5": ("train", "the wheel turns"),
}
QUERIES = {"q1": "the moon and the tide", "q2": "bread", "q3": "how to read a map", "q4": "sea"}
JUDGEMENTS = {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}, "q3": {"d3": 1, "d5": 1}}


def write_folder(folder: Path, documents=DOCUMENTS, queries=QUERIES, qrels=JUDGEMENTS) -> Path:
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": i, "title": title, "text": text} for i, (title, text) in documents.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"_id": i, "text": text} for i, text in queries.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"{q}\t{d}\t{grade}" for q, grades in qrels.items() for d, grade in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def beir_folder(tmp_path) -> Path:
    return write_folder(tmp_path / "small")


def save_tiny(folder: Path, config, head: HeadConfig, tokenizer: Path) -> Path:
    model = build_model(config, head, pooling="cls", family="gte")
    init_weights(model, config, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            parameter.add_(noise * 0.2)
    return save_model(model.eval(), folder, "sentence-transformers", tokenizer=tokenizer)


@pytest.fixture(scope="session")
def hybrid_folder(tmp_path_factory, tiny_config, tokenizer_folder) -> Path:
    """An embedder with sparse token weights."""
    head = HeadConfig(kind="token_classification", num_labels=1, labels=("LABEL_0",))
    folder = tmp_path_factory.mktemp("hybrid")
    return save_tiny(folder, tiny_config, head, tokenizer_folder)


@pytest.fixture(scope="session")
def dense_folder(tmp_path_factory, tiny_config, tokenizer_folder) -> Path:
    """An embedder without them."""
    return save_tiny(tmp_path_factory.mktemp("dense"), tiny_config, HeadConfig(), tokenizer_folder)


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory, tiny_config, tokenizer_folder) -> Path:
    head = HeadConfig(
        kind="sequence_classification", num_labels=1, labels=("LABEL_0",), has_dense=True
    )
    folder = tmp_path_factory.mktemp("reranker")
    return save_tiny(folder, tiny_config, head, tokenizer_folder)


@pytest.fixture(scope="session")
def masked_lm_folder(tmp_path_factory, tokenizer_folder):
    transformers = pytest.importorskip("transformers")
    transformers.set_seed(5)
    folder = tmp_path_factory.mktemp("masked-lm")
    config = transformers.BertConfig(
        vocab_size=len(tiny_vocabulary()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        type_vocab_size=1,
        initializer_range=0.3,
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    tokenizer.save_pretrained(folder)
    return folder
