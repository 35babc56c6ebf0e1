"""Runtime: what executes the encoder. Heads and pooling run on what it returns."""

from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

from mgte.packing import PackedBatch


class Runtime(Protocol):
    """An encoder made ready for one device and dtype.

    Attributes:
        name: Short name, as `backend=` and `mgte doctor` spell it.
    """

    name: str

    def hidden(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None
    ) -> Float[Tensor, "rows dim"]:
        """Last hidden states in float32, of all tokens or of the given rows.

        Called from several threads at once; work stays on the calling thread.
        """
        ...

    def hidden_wide(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None, num_workers: int
    ) -> Float[Tensor, "rows dim"]:
        """The same for one batch on its own, using several cores."""
        ...
