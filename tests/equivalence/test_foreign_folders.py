"""Folders that transformers and sentence-transformers write load here with the same numbers."""

import json
from pathlib import Path

import pytest
import torch

from mgte.packing import pack, unpack
from mgte.store import EmbeddingSettings, load_model, load_weights, open_model, save_model

# The bar of the issue; measured differences are below 2e-6.
TOLERANCE = 1e-5

SIZES = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "pad_token_id": 0,
}
EXTRA = {
    "Gte": {"rope_parameters": {"rope_type": "linear", "factor": 1.3, "rope_theta": 5000.0}},
    "ModernBert": {
        "local_attention": 8,
        "classifier_bias": True,
        "norm_bias": True,
        "mlp_bias": True,
        "attention_bias": True,
        "classifier_pooling": "mean",
        "bos_token_id": 2,
        "cls_token_id": 2,
        "eos_token_id": 3,
        "sep_token_id": 3,
    },
    "Bert": {"hidden_act": "gelu_new"},
    "XLMRoberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "Roberta": {"pad_token_id": 1},
    "Qwen2": {"num_key_value_heads": 2, "is_causal": False},
}
HEADS = ("Model", "ForTokenClassification", "ForSequenceClassification", "ForMaskedLM")
CLASSES = [
    f"{family}{head}" for family in EXTRA for head in (HEADS if family != "Qwen2" else HEADS[:1])
] + ["Qwen2ForCausalLM"]
TEXTS = ["what makes bread rise ?", "the tide", "a map of the sea , and of the moon ."]
IDS = [[2, 5, 9, 14, 3], [2, 7, 3], [2, *range(10, 60), 3]]


def saved_by_transformers(name: str, folder: Path, **settings) -> torch.nn.Module:
    import transformers

    family = next(key for key in sorted(EXTRA, key=len, reverse=True) if name.startswith(key))
    torch.manual_seed(11)
    values = SIZES | {"num_labels": 3} | EXTRA[family] | settings
    config = getattr(transformers, f"{family}Config")(**values)
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        # Biases and norms start at 0 and 1, which would hide a swapped or forgotten one.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", CLASSES)
def test_what_transformers_saves_loads_with_the_same_numbers(name: str, tmp_path: Path) -> None:
    theirs = saved_by_transformers(name, tmp_path)
    ours = load_model(tmp_path)
    body = getattr(theirs, theirs.base_model_prefix, theirs) if "For" in name else theirs
    batch = pack(IDS)
    with torch.inference_mode():
        states = unpack(ours.encoder(batch), batch)
        for ids, state in zip(IDS, states, strict=True):
            expected = body(torch.tensor([ids])).last_hidden_state[0]
            assert (state - expected).abs().max() <= TOLERANCE
        if ours.head_config.kind != "none":
            for ids, logits in zip(IDS, ours.logits_ids(IDS), strict=True):
                expected = theirs(torch.tensor([ids])).logits[0]
                assert logits.shape == expected.shape
                assert (logits - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_files_load_as_float32(dtype: str, tmp_path: Path) -> None:
    wanted = getattr(torch, dtype)
    theirs = saved_by_transformers("GteModel", tmp_path / "full").to(wanted)
    theirs.save_pretrained(tmp_path / "half")
    ours = load_model(tmp_path / "half")
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}
    weight = theirs.embeddings.word_embeddings.weight.float()
    assert torch.equal(ours.encoder.embeddings.word.weight, weight)
    half = load_model(tmp_path / "half", dtype=wanted)
    assert {parameter.dtype for parameter in half.parameters()} == {wanted}


def test_sharded_folders_load_as_whole_ones(tmp_path: Path) -> None:
    theirs = saved_by_transformers("BertModel", tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    whole, shards = load_model(tmp_path / "whole"), load_model(tmp_path / "shards")
    for name, values in whole.state_dict().items():
        assert torch.equal(shards.state_dict()[name], values)


@pytest.fixture
def embedder_folder(tmp_path: Path, tokenizer_folder: Path) -> Path:
    saved_by_transformers("GteForTokenClassification", tmp_path / "source", num_labels=1)
    model = load_model(tmp_path / "source")
    settings = EmbeddingSettings(
        pooling="mean", prompts={"query": "what ", "document": ""}, max_length=32
    )
    folder = tmp_path / "embedder"
    save_model(
        model, folder, "sentence-transformers", tokenizer=tokenizer_folder, settings=settings
    )
    return folder


def dense_vectors(model, rows: list[list[int]]) -> torch.Tensor:
    with torch.inference_mode():
        vectors = model(pack(rows)).dense
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_sentence_transformers_loads_what_we_save(embedder_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(embedder_folder), device="cpu")
    assert theirs.max_seq_length == 32
    assert theirs.prompts["query"] == "what "
    ours = load_weights(open_model(embedder_folder))
    rows = [theirs.tokenizer(f"what {text}")["input_ids"] for text in TEXTS]
    expected = torch.from_numpy(theirs.encode(TEXTS, prompt_name="query"))
    assert (dense_vectors(ours.model, rows) - expected).abs().max() <= TOLERANCE
    assert ours.model.head_config.kind == "token_classification"


def test_we_load_what_sentence_transformers_saves(embedder_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(embedder_folder), device="cpu")
    theirs.default_prompt_name = "query"
    theirs.save_pretrained(str(tmp_path / "again"))
    opened = open_model(tmp_path / "again")
    assert opened.settings == EmbeddingSettings(
        pooling="mean",
        prompts={"query": "what ", "document": ""},
        default_prompt_name="query",
        max_length=32,
    )
    rows = [theirs.tokenizer(f"what {text}")["input_ids"] for text in TEXTS]
    expected = torch.from_numpy(theirs.encode(TEXTS))
    vectors = dense_vectors(load_weights(opened).model, rows)
    assert (vectors - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("family", ["Gte", "ModernBert", "Bert"])
def test_cross_encoders_go_both_ways(family: str, tmp_path: Path, tokenizer_folder: Path) -> None:
    from sentence_transformers import CrossEncoder

    saved_by_transformers(f"{family}ForSequenceClassification", tmp_path / "source", num_labels=1)
    model = load_model(tmp_path / "source")
    folder = tmp_path / "reranker"
    save_model(model, folder, "sentence-transformers", tokenizer=tokenizer_folder)
    theirs = CrossEncoder(str(folder), device="cpu")
    pairs = [(TEXTS[0], text) for text in TEXTS]
    encoded = [theirs.tokenizer(*pair) for pair in pairs]
    rows = [entry["input_ids"] for entry in encoded]
    types = [entry["token_type_ids"] for entry in encoded] if family == "Bert" else None
    expected = torch.from_numpy(theirs.predict(pairs))
    scores = torch.stack(model.logits_ids(rows, types)).squeeze(-1).sigmoid()
    assert (scores - expected).abs().max() <= TOLERANCE
    theirs.save_pretrained(str(tmp_path / "again"))
    again = load_model(tmp_path / "again")
    scores = torch.stack(again.logits_ids(rows, types)).squeeze(-1).sigmoid()
    assert (scores - expected).abs().max() <= TOLERANCE


def test_the_tokenizer_follows_the_model(embedder_folder: Path, tmp_path: Path) -> None:
    model = load_model(embedder_folder)
    save_model(model, tmp_path / "copy")
    before, after = embedder_folder / "tokenizer.json", tmp_path / "copy" / "tokenizer.json"
    assert after.read_bytes() == before.read_bytes()
    assert json.loads((tmp_path / "copy" / "tokenizer_config.json").read_text())
