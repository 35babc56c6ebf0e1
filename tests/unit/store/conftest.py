"""Small checkpoints, written by save_model and then damaged by the tests."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from mgte.model import EncoderConfig, HeadConfig, build_model, init_weights
from mgte.store import save_model

HEADS = {
    "none": HeadConfig(),
    "token_classification": HeadConfig(
        kind="token_classification", num_labels=1, labels=("LABEL_0",), dropout=0.1
    ),
    "sequence_classification": HeadConfig(
        kind="sequence_classification",
        num_labels=1,
        labels=("LABEL_0",),
        has_dense=True,
        dropout=0.1,
    ),
}


def masked_lm_head(config: EncoderConfig) -> HeadConfig:
    return HeadConfig(
        kind="masked_lm",
        num_labels=config.vocab_size,
        has_dense=True,
        activation="gelu",
        has_norm=True,
        is_tied=True,
    )


class Checkpoint:
    """A folder whose config and tensors can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def edit_config(self, **changes: Any) -> None:
        """Set keys of config.json; None removes one."""
        path = self.folder / "config.json"
        values = json.loads(path.read_text()) | changes
        path.write_text(
            json.dumps({key: value for key, value in values.items() if value is not None})
        )

    def edit_tensors(self, change: Callable[[dict[str, Any]], object]) -> None:
        path = self.folder / "model.safetensors"
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
        change(tensors)
        save_file(tensors, path, metadata={"format": "pt"})

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"


@pytest.fixture
def make_checkpoint(tmp_path: Path, tiny_config: EncoderConfig, generator):
    """Write a checkpoint of a head kind; the tiny config can be changed."""

    def make(kind: str = "none", *, name: str = "model", as_new: bool = True, **changes: Any):
        config = replace(tiny_config, type_vocab_size=1, **changes)
        head = masked_lm_head(config) if kind == "masked_lm" else HEADS[kind]
        model = build_model(config, head, family="new")
        init_weights(model, config, generator=generator)
        save_model(model, tmp_path / name, "new" if as_new else "transformers")
        return Checkpoint(tmp_path / name)

    return make
