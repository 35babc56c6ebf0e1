"""The training loop, and predictions: small, exact, on packed batches.

repeat: learning rate -> loss of a batch -> gradient -> clip -> step
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mgte.data import mix_seed
from mgte.errors import TrainingError
from mgte.evaluate.fine_tuning.config import Setting
from mgte.evaluate.fine_tuning.methods import Item, Method, Outputs
from mgte.evaluate.fine_tuning.network import TaskModel
from mgte.packing import PackedBatch, pack, plan_batches
from mgte.train import (
    HeapTrimmer,
    OptimizerConfig,
    ScheduleConfig,
    build_optimizer,
    heap_trim,
    lr_factor,
)

_PREDICTION_TOKENS = 16_384
# Of transformers' Trainer, which the paper's scripts run on.
_BETAS, _EPS = (0.9, 0.999), 1e-8


def fit(
    model: TaskModel,
    method: Method,
    items: Sequence[Item],
    setting: Setting,
    *,
    seed: int,
    on_step: Callable[[int, int, float], None] | None = None,
) -> list[float]:
    """Train a model in place.

    Args:
        model: The model, on its device.
        method: Makes losses.
        items: What is learned from, at least one.
        setting: Numbers.
        seed: Decides on the order of examples and on dropout.
        on_step: Told the step, all steps and the loss after each step.

    Returns:
        Mean loss of every epoch.

    Raises:
        TrainingError: The loss is no number.
    """
    device = next(model.parameters()).device
    order = np.random.default_rng(mix_seed("fine-tuning order", seed))
    per_epoch = -(-len(items) // setting.batch_size)
    steps = per_epoch * setting.epochs
    schedule = ScheduleConfig(kind="linear", warmup=setting.warmup)
    # OptimizerConfig's decay is the share at the peak; PyTorch's is times the learning rate.
    optimizer = build_optimizer(
        model,
        OptimizerConfig(
            lr=setting.lr,
            betas=_BETAS,
            eps=_EPS,
            weight_decay=setting.weight_decay * setting.lr,
        ),
    )
    trimmer = HeapTrimmer(trim=heap_trim() if device.type == "cpu" else None)
    losses: list[list[float]] = [[] for _ in range(setting.epochs)]
    model.train()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(mix_seed("fine-tuning dropout", seed))
            for step in range(steps):
                if step % per_epoch == 0:
                    rows = order.permutation(len(items))
                start = step % per_epoch * setting.batch_size
                batch = [items[row] for row in rows[start : start + setting.batch_size]]
                optimizer.set_factor(lr_factor(schedule, step, steps))
                loss = _gradient(model, method, batch, setting)
                if not np.isfinite(loss):
                    raise TrainingError(f"step {step + 1}: the loss is {loss}, expected a number")
                if setting.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), setting.clip_norm)
                optimizer.step()
                trimmer.after_step()
                losses[step // per_epoch].append(loss)
                if on_step is not None:
                    on_step(step + 1, steps, loss)
    finally:
        model.eval()
        model.zero_grad(set_to_none=True)
    return [float(np.mean(values)) for values in losses]


def predict(model: TaskModel, items: Sequence[Item], setting: Setting) -> list[Outputs]:
    """Outputs of a model, without dropout.

    Args:
        model: The model, on its device.
        items: Items.
        setting: Says in which precision.

    Returns:
        Outputs of each item, in order.
    """
    model.eval()
    found: list[Outputs] = [()] * len(items)
    lengths = [item.num_tokens for item in items]
    with torch.inference_mode():
        for group in plan_batches(lengths, max_tokens=_PREDICTION_TOKENS):
            chosen = [items[number] for number in group]
            batch = pack_items(chosen, next(model.parameters()).device)
            outputs = _forward(model, batch, setting)
            sizes = batch.seqlens if model.reading == "tokens" else [1] * len(batch)
            rows = iter(outputs.cpu().numpy().copy() for outputs in outputs.split(list(sizes)))
            for number, item in zip(group, chosen, strict=True):
                own = [next(rows) for _ in item.sequences]
                found[number] = own if model.reading == "tokens" else [row[0] for row in own]
    return found


def pack_items(items: Sequence[Item], device: torch.device) -> PackedBatch:
    """All sequences of some items, end to end.

    Args:
        items: Items.
        device: Where the tensors go.

    Returns:
        The batch, sequences in the order of the items.
    """
    sequences = [sequence for item in items for sequence in item.sequences]
    types = [
        part
        for item in items
        for part in item.types or tuple(np.zeros_like(ids) for ids in item.sequences)
    ]
    has_types = any(item.types is not None for item in items)
    return pack(sequences, token_type_ids=types if has_types else None, device=device)


def _gradient(model: TaskModel, method: Method, items: Sequence[Item], setting: Setting) -> float:
    model.zero_grad(set_to_none=True)
    batch = pack_items(items, next(model.parameters()).device)
    loss = method.loss(_forward(model, batch, setting), items)
    loss.backward()
    return loss.item()


def _forward(model: TaskModel, batch: PackedBatch, setting: Setting) -> Tensor:
    is_mixed = setting.precision == "bfloat16"
    device = batch.input_ids.device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=is_mixed):
        outputs: Tensor = model(batch)
    return outputs
