"""Steps of transformers' models: its Trainer for masked language modelling, and a hybrid step.

Padded to the longest text of the batch, as its collators do.
"""

import importlib.util
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from train_data import SPECIAL_IDS, padded, padded_labels

from mgte.data import ContrastiveBatch, MaskedBatch

_LR = 1e-6


def attentions(device: str) -> list[str]:
    """Attention implementations that can be compared here."""
    has_flash = device.startswith("cuda") and importlib.util.find_spec("flash_attn") is not None
    return ["sdpa", *(["flash_attention_2"] if has_flash else [])]


class TrainerMaskedLM:
    """GteForMaskedLM under transformers' Trainer.

    Its `training_step` (move inputs, forward under autocast, backward) and its own optimizer are
    timed, and nothing of the logging and callbacks around them.

    Args:
        folder: A masked-LM checkpoint.
        precision: "fp32" or "bf16".
        device: "cpu" or "cuda".
        attention: Attention implementation.
        flattened: Whether texts are laid end to end (transformers' padding-free batches, which
            need flash attention).
    """

    def __init__(
        self,
        folder: Path,
        precision: str,
        device: str,
        attention: str = "sdpa",
        flattened: bool = False,
    ) -> None:
        kind = "Trainer flattened" if flattened else "Trainer"
        self.name = f"{kind} {attention}"
        self._flattened = flattened
        self.model = transformers.AutoModelForMaskedLM.from_pretrained(
            folder, attn_implementation=attention, dtype=torch.float32
        )
        arguments = transformers.TrainingArguments(
            output_dir=tempfile.mkdtemp(),
            use_cpu=device == "cpu",
            bf16=precision == "bf16",
            learning_rate=_LR,
            weight_decay=0.01,
            report_to=[],
            disable_tqdm=True,
        )
        self._trainer = transformers.Trainer(model=self.model, args=arguments)
        # What `train()` does before its first step. Accelerate puts autocast around the model.
        self._trainer.create_optimizer()
        self.model, self._trainer.optimizer = self._trainer.accelerator.prepare(
            self.model, self._trainer.optimizer
        )
        self._trainer.current_gradient_accumulation_steps = 1
        self.set_training(is_training=True)

    def set_training(self, *, is_training: bool) -> None:
        """Dropout on or off."""
        self.model.train(is_training)

    def loss(self, batch: MaskedBatch) -> float:
        """Mean loss without dropout."""
        self.set_training(is_training=False)
        with torch.no_grad():
            inputs = self._trainer._prepare_inputs(self._inputs(batch))
            value = float(self._trainer.compute_loss(self.model, inputs))
        self.set_training(is_training=True)
        return value

    def step(self, batch: MaskedBatch) -> None:
        """One optimizer step."""
        self._trainer.training_step(self.model, self._inputs(batch))
        self._trainer.optimizer.step()
        self.model.zero_grad()

    def _inputs(self, batch: MaskedBatch) -> dict[str, Any]:
        if not self._flattened:
            return padded(batch.sequences) | {"labels": padded_labels(batch)}
        labels = [torch.full((len(ids),), -100) for ids in batch.sequences]
        for row, places, tokens in zip(labels, batch.positions, batch.labels, strict=True):
            row[torch.from_numpy(places)] = torch.from_numpy(tokens)
        ids = [torch.from_numpy(sequence).long() for sequence in batch.sequences]
        return {
            "input_ids": torch.cat(ids)[None],
            "position_ids": torch.cat([torch.arange(len(row)) for row in ids])[None],
            "labels": torch.cat(labels)[None],
        }


class PaddedHybrid:
    """Dense elastic and sparse contrastive losses on transformers' padded model.

    Written as FlagEmbedding and mGTE's own code do it: one forward for the queries and one for the
    documents, sparse weights as `[texts, vocabulary]` matrices.

    Args:
        folder: A token classification checkpoint with one label.
        precision: "fp32" or "bf16".
        device: "cpu" or "cuda".
        attention: Attention implementation.
        dims: Widths of the elastic loss.
    """

    def __init__(
        self,
        folder: Path,
        precision: str,
        device: str,
        attention: str,
        dims: Iterable[int],
    ) -> None:
        self.name = f"transformers padded {attention}"
        self.model = transformers.AutoModelForTokenClassification.from_pretrained(
            folder, attn_implementation=attention, dtype=torch.float32
        ).to(device)
        self._encoder = self.model.base_model
        self._head = self.model.classifier
        self._device, self._dims = device, tuple(dims)
        self._autocast = torch.autocast(
            device.split(":")[0], torch.bfloat16, enabled=precision == "bf16"
        )
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=_LR, fused=True)
        self.model.train()

    def loss(self, batch: ContrastiveBatch) -> float:
        """Mean loss without dropout."""
        self.model.eval()
        with torch.no_grad():
            value = float(self._loss(batch))
        self.model.train()
        return value

    def step(self, batch: ContrastiveBatch) -> None:
        """One optimizer step."""
        self._loss(batch).backward()
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _loss(self, batch: ContrastiveBatch) -> torch.Tensor:
        queries, query_weights = self._embed(batch.queries)
        documents, document_weights = self._embed(batch.documents)
        target = torch.from_numpy(batch.cu_documents[:-1]).to(self._device)
        total = F.cross_entropy(query_weights @ document_weights.T / 0.01, target)
        for dim in self._dims:
            cosines = F.normalize(queries[:, :dim]) @ F.normalize(documents[:, :dim]).T
            total = total + F.cross_entropy(cosines / 0.05, target) / len(self._dims)
        return total

    def _embed(self, sequences: Any) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = {name: value.to(self._device) for name, value in padded(sequences).items()}
        with self._autocast:
            states = self._encoder(**inputs).last_hidden_state
            weights = torch.relu(self._head(states)).squeeze(-1).float()
        ids = inputs["input_ids"]
        # Special tokens and padding have no weight.
        special = torch.tensor(SPECIAL_IDS, device=self._device)
        weights = weights * ~torch.isin(ids, special)
        matrix = torch.zeros(len(ids), self.model.config.vocab_size, device=self._device)
        matrix = matrix.scatter_reduce(1, ids, weights, reduce="amax")
        return states[:, 0].float(), matrix
