"""The model of a stage: heads, kept and fresh weights, changes of the encoder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mgte.config import from_dict, to_dict
from mgte.errors import ConfigError
from mgte.model import EmbeddingModel, MaskedLM, Model, RerankerModel
from mgte.store import load_model
from mgte.text import Tokenizer
from mgte.train.initial_model import InitialModel, initial_model
from mgte.train.recipe import EncoderShape, Stage
from mgte.train.stage_model import save_stage_model

SHAPE = EncoderShape(
    hidden_size=16,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=64,
)


def stage_of(kind: str, **more: Any) -> Stage:
    values = {
        "name": kind,
        "init_from": "scratch",
        "objective": {"kind": kind},
        "data": {"dataset": "d", "max_length": 32, "rows_per_batch": 2},
        "optimizer": {"lr": 1e-3},
        "schedule": {},
        "steps": 1,
    }
    return from_dict(Stage, {**values, **more})


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer.load(tokenizer_folder)


def made(stage: Stage, tokenizer: Tokenizer, start: Any = SHAPE, seed: int = 1) -> InitialModel:
    return initial_model(stage, seed=seed, tokenizer=tokenizer, start=start)


def saved(model: Model, stage: Stage, folder: Path, tokenizer_folder: Path) -> Path:
    weights = model.state_dict()
    return save_stage_model(folder, model, weights, stage.output, tokenizer=tokenizer_folder)


KINDS = {"masked_lm": MaskedLM, "embedding": EmbeddingModel, "reranking": RerankerModel}


@pytest.mark.parametrize("family", ["gte", "modernbert"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_from_scratch_is_saved_and_loaded_as_what_it_is(
    kind: str, family: str, tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    stage = stage_of(kind)
    initial = made(stage, tokenizer, replace(SHAPE, family=family))
    model = initial.model
    assert isinstance(model, KINDS[kind])
    assert model.training
    assert model.config.vocab_size % 64 == 0
    assert tokenizer.vocab_size <= model.config.vocab_size < tokenizer.vocab_size + 64
    assert initial.fresh == {name for name, _ in model.named_parameters()}
    loaded = load_model(saved(model, stage, tmp_path, tokenizer_folder))
    assert type(loaded) is type(model)
    assert (loaded.config, loaded.family) == (
        replace(model.config, initializer_range=loaded.config.initializer_range),
        family,
    )
    own = model.state_dict()
    assert {name: tensor.tolist() for name, tensor in loaded.state_dict().items()} == {
        name: tensor.tolist() for name, tensor in own.items()
    }
    assert loaded.head_config == model.head_config


def test_weights_follow_from_seed_and_stage(tokenizer: Tokenizer) -> None:
    def word(stage: Stage, seed: int) -> torch.Tensor:
        return made(stage, tokenizer, seed=seed).model.encoder.embeddings.word.weight

    first = word(stage_of("masked_lm"), 1)
    torch.rand(3)
    assert torch.equal(first, word(stage_of("masked_lm"), 1))
    assert not torch.equal(first, word(stage_of("masked_lm"), 2))
    assert not torch.equal(first, word(stage_of("masked_lm", name="other"), 1))


def test_the_encoder_is_taken_and_the_head_kept_or_made_anew(
    tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    mlm, hybrid = stage_of("masked_lm"), stage_of("embedding")
    first = made(mlm, tokenizer).model
    folder = saved(first, mlm, tmp_path / "mlm", tokenizer_folder)
    second = made(hybrid, tokenizer, folder)
    assert second.fresh == {"head.output.weight", "head.output.bias"}
    assert second.model.has_sparse_head
    assert set(second.model.skip_ids) == set(tokenizer.special_ids)
    for name, tensor in first.encoder.state_dict().items():
        assert torch.equal(tensor, second.model.encoder.state_dict()[name]), name
    folder = saved(second.model, hybrid, tmp_path / "hybrid", tokenizer_folder)
    # A sparse head stays, also where the objective does not need it.
    for stage in (hybrid, stage_of("contrastive"), stage_of("embedding_distillation")):
        third = made(stage, tokenizer, folder)
        assert third.fresh == frozenset()
        assert torch.equal(third.model.head.output.weight, second.model.head.output.weight)
    dense = made(stage_of("contrastive"), tokenizer, tmp_path / "mlm")
    assert dense.model.head is None
    reranker = made(stage_of("reranking"), tokenizer, folder)
    assert "head.dense.weight" in reranker.fresh
    assert reranker.model.head_config.activation == "tanh"


def test_rotary_base_and_limits_change_between_stages(
    tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    first = stage_of("masked_lm", output={"rope_ntk_factor": 8.0})
    model = made(first, tokenizer).model
    folder = saved(model, first, tmp_path / "01-mlm" / "model", tokenizer_folder)
    changed = stage_of(
        "contrastive",
        encoder={"rope_theta": 20_000.0, "max_position_embeddings": 128, "hidden_dropout_prob": 0},
    )
    config = made(changed, tokenizer, folder).model.config
    assert (config.rope.theta, config.rope.ntk_factor, config.rope.linear_factor) == (20_000, 1, 1)
    assert (config.max_position_embeddings, config.hidden_dropout_prob) == (128, 0.0)
    # The folder tells how the model is used; beside it stands how it was trained.
    assert made(stage_of("contrastive"), tokenizer, folder).model.config.rope != model.config.rope
    (folder.parent / "encoder.json").write_text(json.dumps(to_dict(model.config)))
    assert made(stage_of("contrastive"), tokenizer, folder).model.config == model.config


def test_a_start_with_a_smaller_vocabulary_is_refused(
    tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    stage = stage_of("masked_lm")
    model = made(stage, tokenizer).model
    folder = saved(model, stage, tmp_path, tokenizer_folder)

    class Larger:
        vocab_size = 10_000
        pad_id, special_ids = 0, frozenset({0})

    with pytest.raises(ConfigError, match="the tokenizer has 10,000"):
        made(stage, Larger(), folder)


def test_output_type_prompts_and_pooling_reach_the_folder(
    tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    from mgte.store import open_model

    output = {"pooling": "mean", "query_prompt": "q: ", "max_length": 48, "dtype": "bfloat16"}
    stage = stage_of("contrastive", output=output)
    model = made(stage, tokenizer).model
    assert model.pooling == "mean"
    opened = open_model(saved(model, stage, tmp_path, tokenizer_folder))
    settings = opened.settings
    assert (settings.pooling, settings.prompts, settings.max_length) == (
        "mean",
        {"query": "q: "},
        48,
    )
    assert opened.dtype == "BF16"
    assert opened.tokenizer_file is not None


def test_a_start_whose_weights_were_rounded_says_so(
    tokenizer: Tokenizer, tokenizer_folder: Path, tmp_path: Path
) -> None:
    for dtype, note in {"float32": "", "float16": "as F16", "int8": "as I8"}.items():
        stage = stage_of("contrastive", output={"dtype": dtype})
        folder = saved(made(stage, tokenizer).model, stage, tmp_path / dtype, tokenizer_folder)
        notes = made(stage_of("contrastive"), tokenizer, folder).notes
        assert len(notes) == bool(note)
        assert all(text.endswith(note) for text in notes)
