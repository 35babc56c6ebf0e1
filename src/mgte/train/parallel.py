"""Replicated and Sharded: how a model is spread over processes, and how its gradients meet.

Neither is PyTorch's DDP wrapper. That averages over processes, where sums are wanted (only the sum
divided by the global count does not depend on how rows fall on processes); it sends gradients in
every backward pass it is not told to skip, and hangs where processes make different numbers of
passes, as they do with ragged batches; and it wants all calls to go through its own `forward`,
where objectives call the encoder and the head on their own.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mgte.errors import TrainingError
from mgte.train.objectives.objective import Parallel
from mgte.train.step_sums import TAIL_SIZE, ReducedStep, StepSums
from mgte.train.world import World


class Spread(Parallel, Protocol):
    """What the loop asks of a way to spread a model, beyond what objectives ask."""

    def zero_gradients(self) -> None:
        """Forget all gradients."""
        ...

    def reduce(self, sums: StepSums, *, wants_stop: bool) -> ReducedStep:
        """Sum gradients and terms over all processes, and divide gradients by the count of "loss".

        Args:
            sums: Terms of this process.
            wants_stop: Whether this process was asked to stop.

        Returns:
            Terms of all processes.
        """
        ...

    def clip(self, max_norm: float | None) -> float:
        """Norm of the whole gradient, which is then scaled down to `max_norm` if it is larger."""
        ...

    def gathered(self, value: Any) -> Any:
        """Whole tensors in the place of shards, inside any dicts and lists; for every process."""
        ...

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over whole weights by name."""
        ...

    def scattered(self, name: str, value: Tensor) -> Tensor:
        """This process's part of a tensor that belongs to a parameter and has its shape."""
        ...


class Replicated:
    """The whole model on every process; gradients and sums meet in one all-reduce per step.

    All gradients are views of one flat buffer, which also has room for the sums.

    Args:
        model: The model, on its device; what requires no gradient now never gets one.
        world: The processes.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        _make_equal(model, world)
        self._model = model
        self._world = world
        self._trained = [p for p in model.parameters() if p.requires_grad]
        sizes = [parameter.numel() for parameter in self._trained]
        self._flat = torch.zeros(sum(sizes) + TAIL_SIZE, device=world.device)
        self._gradients = self._flat[: sum(sizes)]
        self._tail = self._flat[sum(sizes) :]
        parts = self._gradients.split(sizes) if sizes else ()
        self._views = [part.view_as(p) for part, p in zip(parts, self._trained, strict=True)]
        for parameter, view in zip(self._trained, self._views, strict=True):
            parameter.grad = view

    def backward_scope(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Nothing to do: gradients travel in `reduce`."""
        return nullcontext()

    def equal_count(self, count: int) -> int:
        """Processes need not make equally many passes."""
        return count

    def zero_gradients(self) -> None:
        """Forget all gradients."""
        self._flat.zero_()

    def reduce(self, sums: StepSums, *, wants_stop: bool) -> ReducedStep:
        """Sum gradients and terms in one all-reduce; divide gradients by the count of "loss"."""
        pairs = zip(self._trained, self._views, strict=True)
        assert all(parameter.grad is view for parameter, view in pairs), "a gradient was replaced"
        sums.write_to(self._tail, wants_stop=wants_stop)
        if self._world.size > 1:
            dist.all_reduce(self._flat)
        reduced = sums.read_from(self._tail, self._world.size)
        self._gradients.div_(max(1, reduced.counts["loss"]))
        return reduced

    def clip(self, max_norm: float | None) -> float:
        """Norm of the whole gradient, which is then scaled down to `max_norm` if it is larger."""
        norm = float(torch.linalg.vector_norm(self._gradients).item())
        if max_norm is not None and norm > max_norm:
            self._gradients.mul_(max_norm / norm)
        return norm

    def gathered(self, value: Any) -> Any:
        """The value as it is: nothing is sharded."""
        return value

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over whole weights by name."""
        self._model.load_state_dict(dict(weights))

    def scattered(self, name: str, value: Tensor) -> Tensor:
        """The tensor as it is: nothing is sharded."""
        return value


class _Root(nn.Module):
    """Owns the model so that there is a forward pass that gathers what lies outside the layers.

    Objectives call encoder and head on their own, and FSDP insists that the first call goes through
    the module that was sharded last. This one's forward computes nothing.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self) -> None:
        return None


class Sharded:
    """Weights, gradients and optimizer state divided among processes (FSDP2).

    Layers are gathered one at a time; embeddings, norms and head together, for a whole pass, as
    they are also read outside their own modules (tied output weights).

    Args:
        model: The model, on its device; its `encoder.layers` are the units.
        world: The processes, at least two.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard

        _make_equal(model, world)
        self._model, self._world = model, world
        mesh = init_device_mesh(world.device.type, (world.size,))
        encoder: Any = model.encoder
        for layer in encoder.layers:
            fully_shard(layer, mesh=mesh)
        root = _Root(model)
        self._root: Any = fully_shard(root, mesh=mesh)
        for module in root.modules():
            if isinstance(module, FSDPModule):
                # Gradients are summed, not averaged. gloo has no sum with a factor.
                module.set_force_sum_reduction_for_comms(True)
                module.set_gradient_divide_factor(1.0)
                # A share without rows may leave a head out; the processes must still agree.
                module.set_reduce_scatter_unused_params(True)
        self._tail = torch.zeros(TAIL_SIZE, device=world.device)

    @contextmanager
    def backward_scope(self, *, is_last: bool) -> Iterator[None]:
        """Gathers what lies outside the layers; gradients travel only in the last backward."""
        self._root.set_requires_gradient_sync(is_last)
        self._root.set_is_last_backward(is_last)
        self._root()
        yield

    def equal_count(self, count: int) -> int:
        """The largest count: gathering weights takes all processes."""
        largest = torch.tensor(count, device=self._world.device)
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
        return int(largest.item())

    def zero_gradients(self) -> None:
        """Forget all gradients."""
        self._root.zero_grad(set_to_none=True)

    def reduce(self, sums: StepSums, *, wants_stop: bool) -> ReducedStep:
        """Sum the terms (gradients were summed already); divide gradients by the count."""
        sums.write_to(self._tail, wants_stop=wants_stop)
        dist.all_reduce(self._tail)
        reduced = sums.read_from(self._tail, self._world.size)
        for parameter in self._model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        torch._foreach_div_(self._shards(), max(1, reduced.counts["loss"]))
        return reduced

    def clip(self, max_norm: float | None) -> float:
        """Norm of the whole gradient, which is then scaled down to `max_norm` if it is larger."""
        norms = torch.stack(torch._foreach_norm(self._shards()))
        squares = norms.square().sum()
        dist.all_reduce(squares)
        norm = squares.sqrt().item()
        if max_norm is not None and norm > max_norm:
            torch._foreach_mul_(self._shards(), max_norm / norm)
        return norm

    def gathered(self, value: Any) -> Any:
        """Whole tensors in the place of shards, inside any dicts and lists; for every process."""
        self._root.reshard()
        return _map_tensors(value, _whole)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over whole weights by name."""
        self._root.reshard()
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(self.scattered(name, weights[name]))

    def scattered(self, name: str, value: Tensor) -> Tensor:
        """This process's part of a tensor that belongs to a parameter and has its shape."""
        from torch.distributed.tensor import distribute_tensor

        parameter: Any = self._model.get_parameter(name)
        if value.shape != parameter.shape:
            return value
        whole = value.to(self._world.device)
        # Every process has read the whole tensor, so nothing needs to travel.
        return distribute_tensor(
            whole, parameter.device_mesh, parameter.placements, src_data_rank=None
        )

    def _shards(self) -> list[Tensor]:
        gradients: list[Any] = [p.grad for p in self._model.parameters() if p.grad is not None]
        return [gradient.to_local() for gradient in gradients]


def spread_model(model: nn.Module, world: World, parallel: str) -> Replicated | Sharded:
    """Spread a model as a stage asks.

    Args:
        model: The model, on its device.
        world: The processes.
        parallel: "ddp" or "fsdp"; alone, a process holds the whole model either way.

    Returns:
        The way it is spread.
    """
    if parallel == "fsdp" and world.size > 1:
        return Sharded(model, world)
    return Replicated(model, world)


def _make_equal(model: nn.Module, world: World) -> None:
    """Give every process the first one's weights, and look that they have arrived."""
    if world.size == 1:
        return
    digest = hashlib.sha256()
    for parameter in model.parameters():
        dist.broadcast(parameter.data, src=0)
        digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    own = torch.tensor(int.from_bytes(digest.digest()[:7]), device=world.device)
    all_digests = [torch.zeros_like(own) for _ in range(world.size)]
    dist.all_gather(all_digests, own)
    if any(int(other) != int(own) for other in all_digests):
        raise TrainingError("weights: differ between processes after they were sent to all")


def _whole(tensor: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_map_tensors(item, change) for item in value)
    return value
