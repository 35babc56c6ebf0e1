"""Run a model on plain token id lists: for tests, and for pipelines that tokenise themselves."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mgte.packing import PackedBatch, TokenIds, pack


def run_token_ids(
    model: nn.Module,
    scores: Callable[[PackedBatch], list[Tensor]],
    sequences: Sequence[TokenIds],
    token_type_ids: Sequence[TokenIds] | None,
) -> list[Tensor]:
    """Pack the sequences, run without gradient and dropout, and give one float32 result each.

    The model's training mode is left as it was found.
    """
    if not sequences:
        return []
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            batch = pack(sequences, token_type_ids=token_type_ids, device=device)
            return [score.float().cpu() for score in scores(batch)]
    finally:
        model.train(was_training)
