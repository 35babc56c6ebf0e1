"""A checkpoint moves to another tokenizer: shared entries keep their vectors, others start near."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from mgte.config import from_dict
from mgte.data import KeptEntries, train_tokenizer
from mgte.errors import ConfigError
from mgte.model import EncoderConfig, HeadConfig, build_model, init_weights
from mgte.packing import pack
from mgte.store import load_model, save_model
from mgte.text import Tokenizer
from mgte.train.initial_model import initial_model
from mgte.train.recipe import Stage
from mgte.train.token_transfer import transfer_tokens

STEMS = "water river stone bridge winter market garden letter window engine signal paper".split()
ENDINGS = ("", "s", "ing", "ed", "er", "ful", "less", "ly")
WORDS = [start + stem + end for stem in STEMS for start in ("", "over", "mid") for end in ENDINGS]


def texts(*more: str):
    draw = random.Random(3)
    for number in range(300):
        yield "en", f"The {' '.join(draw.choices([*WORDS, *more], k=8))}, don't: {number}!"


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("old") / "tokenizer"
    train_tokenizer(texts(), out, vocab_size=560, kind="wordpiece", lowercase=True)
    return out


@pytest.fixture(scope="module")
def new(tmp_path_factory, old: Path) -> Tokenizer:
    out = tmp_path_factory.mktemp("new") / "tokenizer"
    more = ("waterbridge", "stonepaper", "水川石")
    return train_tokenizer(
        texts(*more), out, vocab_size=600, kind="wordpiece", lowercase=True,
        kept=KeptEntries(Tokenizer.load(old), 520),
    )  # fmt: skip


def test_shared_entries_keep_their_vectors_and_new_ones_are_means(
    old: Path, new: Tokenizer
) -> None:
    before = Tokenizer.load(old)
    table = torch.randn(560, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = transfer_tokens(table, before, new, rows=640)
    assert moved.shape == (640, 4)
    ids = {before.token(number): number for number in range(560)}
    seen = 0
    for number in range(600):
        token = new.token(number)
        if token in ids:
            assert torch.equal(moved[number], table[ids[token]]), token
            continue
        seen += 1
        found = [int(i) for i in before.encode_bare([token.removeprefix("##")])[0]]
        found = [i for i in found if i not in before.special_ids]
        expected = table[found].mean(0) if found else table.mean(0)
        torch.testing.assert_close(moved[number], expected)
    assert seen > 20
    assert torch.equal(moved[600:], torch.zeros(40, 4, dtype=torch.float64))


def test_special_tokens_move_by_role(old: Path, tmp_path: Path) -> None:
    unigram = train_tokenizer(texts(), tmp_path / "unigram", vocab_size=512)
    before = Tokenizer.load(old)
    table = torch.randn(560, 4, generator=torch.Generator().manual_seed(1))
    moved = transfer_tokens(table, before, unigram, rows=512)
    for role in ("cls", "sep", "pad", "unk"):
        assert torch.equal(moved[unigram.role_ids[role]], table[before.role_ids[role]]), role
    water = next(n for n in range(512) if unigram.token(n) == "▁water")
    assert torch.equal(moved[water], table[before.encode_bare(["water"])[0][0]])


def start_folder(old: Path, folder: Path, **changes: Any) -> Path:
    config = EncoderConfig(
        **{
            "vocab_size": 576,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 24,
            "max_position_embeddings": 8,
            "position_embedding_type": "absolute",
            "gated_mlp": False,
            "mlp_in_bias": True,
            "type_vocab_size": 2,
            **changes,
        }
    )
    family = "xlm-roberta" if config.position_offset else "bert"
    model = build_model(config, HeadConfig(), pooling="mean", family=family)
    init_weights(model, config, generator=torch.Generator().manual_seed(2))
    return save_model(model, folder, tokenizer=old)


def stage_of(**encoder: Any) -> Stage:
    return from_dict(
        Stage,
        {
            "name": "first",
            "init_from": "start",
            "objective": {"kind": "embedding_distillation"},
            "data": {"dataset": "d", "max_length": 8, "rows_per_batch": 2},
            "optimizer": {"lr": 1e-3},
            "schedule": {},
            "steps": 1,
            "encoder": encoder,
            "output": {"pooling": "mean"},
        },
    )


def test_a_moved_model_gives_the_old_states_on_texts_that_both_read_alike(
    old: Path, new: Tokenizer, tmp_path: Path
) -> None:
    folder = start_folder(old, tmp_path / "start")
    stage = stage_of(vocabulary="transfer", max_position_embeddings=20)
    moved = initial_model(stage, seed=1, tokenizer=new, start=folder)
    assert moved.fresh == frozenset()
    assert moved.model.config.vocab_size == 640
    before, text = load_model(folder), "the water river"
    with torch.no_grad():
        states = [
            model.eval().encoder(pack([tokenizer.encode(text).ids[0].tolist()]))
            for model, tokenizer in ((before, Tokenizer.load(old)), (moved.model, new))
        ]
    torch.testing.assert_close(states[0], states[1])


def test_learned_positions_are_repeated_behind_their_offset(
    old: Path, new: Tokenizer, tmp_path: Path
) -> None:
    for offset, pad in ((0, 0), (2, 1)):
        folder = start_folder(old, tmp_path / str(offset), position_offset=offset, pad_token_id=pad)
        stage = stage_of(max_position_embeddings=20)
        grown = initial_model(stage, seed=1, tokenizer=Tokenizer.load(old), start=folder)
        assert grown.fresh == frozenset()
        table = load_model(folder).encoder.embeddings.position.weight
        ours = grown.model.encoder.embeddings.position.weight
        assert torch.equal(ours[:8], table)
        for row in range(8, 20):
            assert torch.equal(ours[row], table[offset + (row - offset) % (8 - offset)])


def test_what_cannot_work_is_named(old: Path, new: Tokenizer, tmp_path: Path) -> None:
    folder = start_folder(old, tmp_path / "bert")
    with pytest.raises(ConfigError, match="got 4, but the start has 8 learned positions"):
        initial_model(stage_of(max_position_embeddings=4), seed=1, tokenizer=new, start=folder)
    with pytest.raises(ConfigError, match="rope_theta: the start has learned positions"):
        initial_model(stage_of(rope_theta=1e5), seed=1, tokenizer=new, start=folder)
    roberta = start_folder(old, tmp_path / "roberta", position_offset=2, pad_token_id=1)
    with pytest.raises(ConfigError, match="counts positions from its padding token 1"):
        initial_model(stage_of(vocabulary="transfer"), seed=1, tokenizer=new, start=roberta)
