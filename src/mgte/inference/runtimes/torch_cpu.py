"""TorchCpuRuntime: the encoder on a CPU, packed, in float32, bfloat16 or 8 bits.

All tokens of a batch go through oneDNN's prepared products in tiles of some hundred rows; what
lies between two products is done by `mgte.kernels`. A layer has two phases, because attention
needs the keys of all tokens:

1. `project`: rows -> q, k, v with rotary positions, in buffers of the whole batch;
2. `finish`: attention, output projection, norm, MLP, norm, for one tile after another, so that
   the wide middle of the MLP never exists for the whole batch.
"""

import threading
from collections.abc import MutableMapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.errors import DataError
from mgte.inference.runtimes.cpu_pass import CpuPass, PassSettings
from mgte.inference.runtimes.prepared_linear import CpuDtype, check_dtype, has_fast_bfloat16
from mgte.inference.runtimes.prepared_weights import PreparedEncoder, prepare_encoder
from mgte.inference.runtimes.worker_team import WorkerTeam
from mgte.inference.runtimes.workspace import Workspace
from mgte.kernels import KernelSet, TorchKernels, best_kernels
from mgte.model import EncoderConfig
from mgte.model.rope import rope_table
from mgte.packing import PackedBatch

_SHORTEST_TABLE = 512
# Below this, spreading each product beats spreading the tokens (measured: 2x at 12 tokens).
_TEAM_TOKENS = 256


class TorchCpuRuntime:
    """The fast encoder on a CPU.

    Args:
        config: Shape and switches.
        weights: Canonical state dict. Layer tensors are removed from it as they are laid out;
            hand over the only reference where memory matters.
        dtype: What the products run in. "int8" works on any processor and is fast where it has
            VNNI.
        kernels: What computes between the products; None takes the best that supports the model.

    Raises:
        BackendUnavailableError: The processor cannot compute in this dtype.
        CheckpointError: A tensor is missing.
    """

    name = "torch"

    def __init__(
        self,
        config: EncoderConfig,
        weights: MutableMapping[str, Tensor],
        dtype: CpuDtype = "float32",
        *,
        kernels: KernelSet | None = None,
    ) -> None:
        check_dtype(dtype)
        self.config = config
        self.dtype = dtype
        with torch.inference_mode():
            self._encoder = prepare_encoder(config, weights, dtype)
        is_wide = dtype == "float32" or not has_fast_bfloat16()
        attention_dtype = torch.float32 if is_wide else torch.bfloat16
        if kernels is None:
            kernels = _kernels_for(config, self._encoder, attention_dtype)
        self.kernels = kernels
        self._settings = PassSettings(
            config=config,
            encoder=self._encoder,
            kernels=kernels,
            product_dtype={
                "float32": torch.float32,
                "bfloat16": torch.bfloat16,
                "int8": torch.uint8,
            }[dtype],
            attention_dtype=attention_dtype,
        )
        self._tables: dict[object, tuple[Tensor, Tensor]] = {}
        self._local = threading.local()
        self._team_lock = threading.Lock()
        self._team: WorkerTeam | None = None

    def hidden(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None
    ) -> Float[Tensor, "rows dim"]:
        """Last hidden states in float32, computed on the calling thread.

        Args:
            batch: Sequences of at most `config.position_limit` tokens each.
            rows: Tokens whose state is wanted; None means all.

        Returns:
            One state per wanted token.

        Raises:
            DataError: A sequence is longer than the model's positions.
        """
        workspace: Workspace | None = getattr(self._local, "workspace", None)
        if workspace is None:
            workspace = self._local.workspace = Workspace()
        with torch.inference_mode():
            run = self._start(batch, rows, workspace)
            run.embed(0, run.num_tokens, workspace)
            for layer in range(self.config.num_hidden_layers):
                run.project(layer, range(run.num_tokens), range(run.num_rows), workspace)
                run.finish(layer, range(run.rows_of_layer(layer)), workspace)
            return run.result()

    def hidden_wide(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None, num_workers: int
    ) -> Float[Tensor, "rows dim"]:
        """The same for one batch on its own, its tokens spread over several threads.

        Args:
            batch: Usually one long document, within the same limit.
            rows: Tokens whose state is wanted; None means all.
            num_workers: Threads, each computing on one core.

        Returns:
            One state per wanted token.

        Raises:
            DataError: A sequence is longer than the model's positions.
        """
        if num_workers == 1 or batch.num_tokens < _TEAM_TOKENS:
            # So few rows cost little beside reading the weights, which PyTorch's own threads
            # share within each product; the team would read all of them once per member.
            return self.hidden(batch, rows)
        with self._team_lock:
            team = self._team
            if team is None or team.num_workers != num_workers:
                team = self._team = WorkerTeam(num_workers)
            with torch.inference_mode():
                run = self._start(batch, rows, Workspace())
                team.run(lambda member: run.run_member(member, team))
                return run.result()

    def _start(self, batch: PackedBatch, rows: Tensor | None, workspace: Workspace) -> CpuPass:
        longest, limit = batch.max_seqlen, self.config.position_limit
        if limit is not None and longest > limit:
            raise DataError(
                f"sequence {batch.seqlens.index(longest)}: has {longest:,} tokens, more than the "
                f"model's {limit:,}"
            )
        tables = [self._table(is_local, longest) for is_local in (False, True)]
        return CpuPass(self._settings, batch, rows, (tables[0], tables[1]), workspace)

    def _table(self, is_local: bool, length: int) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines of all positions below `length`, kept and grown when too short."""
        rope = self.config.local_rope if is_local else self.config.rope
        if rope is None:
            return None
        table = self._tables.get(rope)
        if table is None or table[0].shape[0] < length:
            size = max(_SHORTEST_TABLE, length)
            cosines, sines = rope_table(rope, self.config.head_dim, size)
            table = self._tables[rope] = (cosines.contiguous(), sines.contiguous())
        return table


def _kernels_for(config: EncoderConfig, encoder: PreparedEncoder, dtype: torch.dtype) -> KernelSet:
    kernels = best_kernels()
    shapes = {layer.shape for layer in encoder.layers}
    if config.hidden_act == "tanh" or config.hidden_size > 16384:
        return TorchKernels()
    if any(kernels.unsupported(shape, dtype) is not None for shape in shapes):
        return TorchKernels()
    return kernels
