"""TorchEagerRuntime: the encoder module as it is, on any device. The reference for the others."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.model import Encoder
from mgte.packing import PackedBatch


class TorchEagerRuntime:
    """Runs the `Encoder` on its device in its dtype."""

    name = "torch-eager"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder.eval().requires_grad_(requires_grad=False)
        self._device = next(encoder.parameters()).device

    def hidden(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None
    ) -> Float[Tensor, "rows dim"]:
        """Last hidden states in float32, on the encoder's device."""
        with torch.inference_mode():
            placed = batch.to(self._device)
            wanted = None if rows is None else rows.to(self._device, non_blocking=True)
            states: Tensor = self._encoder(placed, rows=wanted)
            return states.float()

    def hidden_wide(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None, num_workers: int
    ) -> Float[Tensor, "rows dim"]:
        """The same; PyTorch's own threads or the accelerator do the spreading."""
        return self.hidden(batch, rows)
