"""OpenVinoRuntime: the encoder on OpenVINO's CPU plugin, unpadded.

1. `split_batch` gathers equally long sequences of the packed batch: nothing is padded.
2. Their embeddings are summed here; the layers run as one compiled graph.
3. Worker threads run requests side by side, one thread each ("narrow"); a batch on its own runs
   over several cores ("wide"). Each of the two graphs is compiled when it is first needed.
"""

import importlib
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.errors import BackendUnavailableError
from mgte.inference.runtimes.openvino_inputs import Array, Request, Tables, split_batch
from mgte.model import EncoderConfig
from mgte.packing import PackedBatch

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_INSTALL_HINT = 'pip install "mgte[cpu]"'


def unsupported(config: EncoderConfig, dtype: str) -> str | None:
    """Why this runtime cannot take the case, as the end of a sentence; None if it can.

    Args:
        config: Shape and switches of the encoder.
        dtype: "float32", "bfloat16" or "int8".
    """
    try:
        openvino = importlib.import_module("openvino")
    except ImportError:
        return f"needs the package openvino ({_INSTALL_HINT})"
    if dtype not in _PRECISIONS:
        return f"computes in {', '.join(_PRECISIONS)}, not in {dtype}"
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if dtype == "bfloat16" and "BF16" not in capabilities:
        return "needs a CPU with bfloat16 instructions for bfloat16"
    return None


class OpenVinoRuntime:
    """An encoder compiled by OpenVINO.

    Attributes:
        name: "openvino".
        dtype: What the graph computes in.
    """

    name = "openvino"

    def __init__(
        self,
        config: EncoderConfig,
        weights: Mapping[str, Tensor],
        *,
        dtype: str = "float32",
        num_workers: int = 1,
    ) -> None:
        """Take the weights; nothing is compiled yet.

        Args:
            config: Shape and switches of the encoder.
            weights: Tensors by canonical name, with or without the `encoder.` prefix; those in
                float32 on the CPU are read in place, not copied.
            dtype: "float32" or "bfloat16".
            num_workers: Threads that call `hidden` at the same time.

        Raises:
            BackendUnavailableError: OpenVINO is missing or does not support the case.
        """
        reason = unsupported(config, dtype)
        if reason is not None:
            hint = _INSTALL_HINT if "package" in reason else "use backend='torch'"
            raise BackendUnavailableError(f"backend 'openvino' {reason}", hint=hint)
        self.dtype = dtype
        self._config = config
        self._num_workers = num_workers
        self._weights = {
            name.removeprefix("encoder."): tensor.detach().to("cpu", torch.float32).numpy()
            for name, tensor in weights.items()
            if not name.startswith("head.")
        }
        self._tables = Tables(config)
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, int], _Compiled] = {}

    def hidden(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None
    ) -> Float[Tensor, "rows dim"]:
        """Last hidden states in float32, computed on the calling thread."""
        return self._run(batch, rows, streams=self._num_workers, threads=self._num_workers)

    def hidden_wide(
        self, batch: PackedBatch, rows: Int[Tensor, " rows"] | None, num_workers: int
    ) -> Float[Tensor, "rows dim"]:
        """The same over several cores."""
        return self._run(batch, rows, streams=1, threads=num_workers)

    def _run(
        self, batch: PackedBatch, rows: Tensor | None, *, streams: int, threads: int
    ) -> Tensor:
        compiled = self._compile(streams, threads)
        wanted = None if rows is None else rows.cpu().numpy()
        count = batch.num_tokens if wanted is None else len(wanted)
        states = np.empty((count, self._config.hidden_size), dtype=np.float32)
        for request in split_batch(batch, wanted):
            feed = self._tables.inputs(request, compiled.names)
            feed["x"] = self._embed(batch, request)
            states[request.places] = compiled.infer(feed)
        return torch.from_numpy(states)

    def _embed(self, batch: PackedBatch, request: Request) -> Array:
        """Sum of the embedding tables, `[B, L, H]`."""
        weights, config = self._weights, self._config
        ids = batch.input_ids.numpy()[request.tokens]
        x: Array = weights["embeddings.word.weight"][ids]
        if config.type_vocab_size:
            table = weights["embeddings.token_type.weight"]
            types = batch.token_type_ids
            x += table[0] if types is None else table[types.numpy()[request.tokens]]
        if config.position_embedding_type == "absolute":
            positions = request.positions + config.position_offset
            x += weights["embeddings.position.weight"][positions]
        return x

    def _compile(self, streams: int, threads: int) -> "_Compiled":
        """The graph compiled for this many streams and threads."""
        with self._lock:
            key = (streams, threads)
            if key not in self._compiled:
                self._compiled[key] = _Compiled(self._build(), self.dtype, streams, threads)
            return self._compiled[key]

    def _build(self) -> Any:
        from mgte.inference.runtimes.openvino_graph import build_graph

        return build_graph(self._config, self._weights)


class _Compiled:
    """A compiled graph and one request per thread that has used it."""

    def __init__(self, graph: Any, dtype: str, streams: int, threads: int) -> None:
        import openvino

        self._model = openvino.Core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": threads,
                # Under a container's quota the cores are not ours to pin to.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self.names = {port.get_any_name() for port in self._model.inputs}
        self._local = threading.local()

    def infer(self, feed: Mapping[str, Array]) -> Array:
        """Run on the calling thread; the result is valid until the thread's next call."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        result: Array = request.infer(feed, share_inputs=True, share_outputs=True)[0]
        return result
