"""Checkpoints of the three shapes with seeded random weights, made by transformers.

Peers run transformers' own model; we load the folder that it saves. Weights are drawn as the
published configurations initialise them: speed does not depend on their values.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A published architecture.

    Attributes:
        name: As the tables call it.
        config_class: transformers' configuration class.
        settings: What differs from that class's defaults.
        classifier_class: The reranker's class.
        num_layers: Layers of the published model.
        max_tokens: Longest sequence.
        workloads: Workloads that are measured on this shape.
    """

    name: str
    config_class: str
    settings: dict[str, Any]
    classifier_class: str
    num_layers: int
    max_tokens: int
    workloads: tuple[str, ...]


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            name="gte-base",
            config_class="GteConfig",
            settings={"vocab_size": 30528, "type_vocab_size": 1, "pad_token_id": 0},
            classifier_class="GteForSequenceClassification",
            num_layers=12,
            max_tokens=8192,
            workloads=("W1", "W2", "W3", "W4", "W5"),
        ),
        Shape(
            name="modernbert-base",
            config_class="ModernBertConfig",
            settings={},
            classifier_class="ModernBertForSequenceClassification",
            num_layers=22,
            max_tokens=8192,
            workloads=("W2", "W4"),
        ),
        Shape(
            name="minilm",
            config_class="BertConfig",
            settings={
                "hidden_size": 384,
                "intermediate_size": 1536,
                "num_attention_heads": 12,
            },
            classifier_class="BertForSequenceClassification",
            num_layers=6,
            max_tokens=512,
            workloads=("W1", "W2"),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Folders of one shape.

    Attributes:
        shape: The architecture.
        num_layers: Layers that it has here.
        folder: Where everything that is made of it may be kept.
    """

    shape: Shape
    num_layers: int
    folder: Path

    @property
    def encoder(self) -> Path:
        """The bare encoder, for embedding."""
        return self.folder / "encoder"

    @property
    def reranker(self) -> Path:
        """The same encoder under a sequence classification head."""
        return self.folder / "reranker"

    def load_config(self) -> Any:
        """The configuration, as transformers reads it."""
        return transformers.AutoConfig.from_pretrained(self.encoder)

    def load_encoder(self, dtype: torch.dtype = torch.float32) -> Any:
        """Transformers' model of the bare encoder."""
        model = transformers.AutoModel.from_pretrained(self.encoder, dtype=dtype)
        return model.eval()


def make_checkpoint(shape: Shape, root: Path, *, num_layers: int) -> Checkpoint:
    """Write the shape's folders unless they are there."""
    made = Checkpoint(
        shape=shape, num_layers=num_layers, folder=root / f"{shape.name}-{num_layers}"
    )
    done = made.folder / "done"
    if not done.exists():
        config = getattr(transformers, shape.config_class)(
            **shape.settings, num_hidden_layers=num_layers, num_labels=1
        )
        torch.manual_seed(0)
        classifier = getattr(transformers, shape.classifier_class)(config)
        classifier.save_pretrained(made.reranker)
        transformers.AutoModel.from_pretrained(made.reranker).save_pretrained(made.encoder)
        _write_pooling(made.encoder)
        done.touch()
    return made


def _write_pooling(folder: Path) -> None:
    """First-token pooling for every shape, as sentence-transformers writes it down."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    package = "sentence_transformers.models"
    described = [
        {"idx": index, "name": str(index), "path": path, "type": f"{package}.{kind}"}
        for index, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(described))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
