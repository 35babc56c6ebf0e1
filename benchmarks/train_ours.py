"""Our steps: an objective on packed batches, gradients divided once, AdamW."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from train_data import SPECIAL_IDS

import mgte
from mgte.data import Batch
from mgte.train.objectives import (
    EmbeddingConfig,
    MaskedLMConfig,
    Objective,
    StepContext,
    build_objective,
)
from mgte.train.world import World

_LR = 1e-6


class _Alone:
    """One process: gradients travel nowhere."""

    def backward_scope(self, *, is_last: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def equal_count(self, count: int) -> int:
        return count


class PackedStep:
    """An objective on our model.

    Args:
        folder: A checkpoint of the kind that the objective needs.
        objective: What is optimised.
        precision: "fp32" or "bf16".
        device: "cpu" or "cuda".
        tokens_per_chunk: Most tokens in one pass of the model.
    """

    name = "mgte packed"

    def __init__(
        self,
        folder: Path,
        objective: Objective,
        precision: str,
        device: str,
        tokens_per_chunk: int,
    ) -> None:
        self.model: Any = mgte.load_model(folder, device=device).train()
        self._objective = objective
        self._context = StepContext(
            step=0,
            world=World(device=torch.device(device)),
            parallel=_Alone(),
            is_last=True,
            tokens_per_chunk=tokens_per_chunk,
            autocast=torch.bfloat16 if precision == "bf16" else None,
        )
        self._parameters = list(self.model.parameters())
        self._optimizer = torch.optim.AdamW(self._parameters, lr=_LR, weight_decay=0.01, fused=True)

    def loss(self, batch: Batch) -> float:
        """Mean loss without dropout."""
        self.model.eval()
        loss = self._objective.accumulate(self.model, batch, self._context)["loss"]
        self._optimizer.zero_grad()
        self.model.train()
        return float(loss.total) / loss.count

    def step(self, batch: Batch) -> None:
        """One optimizer step."""
        loss = self._objective.accumulate(self.model, batch, self._context)["loss"]
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        torch._foreach_div_(gradients, float(loss.count))
        self._optimizer.step()
        self._optimizer.zero_grad()


def masked_lm_step(folder: Path, precision: str, device: str, tokens_per_chunk: int) -> PackedStep:
    """Masked language modelling with scores at the masked positions only."""
    objective = build_objective(MaskedLMConfig())
    return PackedStep(folder, objective, precision, device, tokens_per_chunk)


def hybrid_step(
    folder: Path, precision: str, device: str, tokens_per_chunk: int, dims: Sequence[int]
) -> PackedStep:
    """Elastic dense and sparse contrastive losses."""
    objective = build_objective(EmbeddingConfig(dims=tuple(dims)))
    made = PackedStep(folder, objective, precision, device, tokens_per_chunk)
    # The folder has no tokenizer that could name its special tokens.
    made.model.skip_ids = SPECIAL_IDS
    return made


class HeadOnly:
    """Forward and backward of the prediction head and its loss, on rows of states.

    Args:
        folder: A masked-LM checkpoint.
        precision: "fp32" or "bf16".
        device: "cpu" or "cuda".
        masked_only: Whether rows without a label are left out before the head.
    """

    def __init__(self, folder: Path, precision: str, device: str, *, masked_only: bool) -> None:
        self.name = "masked rows" if masked_only else "all rows"
        self._masked_only = masked_only
        self._device = device
        self._model: Any = mgte.load_model(folder, device=device)
        self._autocast = torch.autocast(
            device.split(":")[0], torch.bfloat16, enabled=precision == "bf16"
        )

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        """Mean loss; the gradients are dropped."""
        value = self.step(batch)
        return float(value)

    def step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Forward and backward.

        Args:
            batch: States `[tokens, hidden]`, and labels `[tokens]` with -100 where there is none.
        """
        states, labels = (part.to(self._device) for part in batch)
        states = states.requires_grad_()
        with self._autocast:
            rows, wanted = states, labels
            if self._masked_only:
                places = (labels >= 0).nonzero().squeeze(1)
                rows, wanted = states[places], labels[places]
            scores = self._model.head(rows, self._model.encoder.embeddings.word.weight)
            loss = F.cross_entropy(scores.float(), wanted, ignore_index=-100)
        loss.backward()
        self._model.zero_grad()
        return loss.detach()
