"""World: which of how many processes this is, and on which device it works."""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from mgte.errors import ConfigError

# The others wait while the first process evaluates or writes a model folder.
_LONGEST_WAIT = timedelta(hours=3)


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """This process among all of them.

    Attributes:
        rank: Which process, counted from 0.
        size: How many there are.
        device: Where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def wishes(self, wish: bool) -> bool:
        """Whether any process has a wish; the same answer on all of them, which all ask."""
        if self.size == 1:
            return wish
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, wish)
        return any(found)

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()


def join_world(device: str = "auto") -> World:
    """Join the processes that `torchrun` started, or stand alone.

    Args:
        device: "cpu", "cuda", or "auto" for a GPU where there is one.

    Returns:
        This process's place; NCCL on GPUs, gloo on CPUs.

    Raises:
        ConfigError: The device is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"device: got {device!r}, expected one of auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: got 'cuda', but PyTorch sees no GPU here")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local_rank) if device == "cuda" else torch.device("cpu")
    if device == "cuda":
        torch.cuda.set_device(place)
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return World(device=place)
    if not dist.is_initialized():
        backend = "nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_LONGEST_WAIT)
    return World(rank=dist.get_rank(), size=dist.get_world_size(), device=place)


def leave_world() -> None:
    """Say goodbye to the other processes, if there are any."""
    if dist.is_initialized():
        dist.destroy_process_group()
