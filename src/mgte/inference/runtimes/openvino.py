"""OpenVinoRuntime: the encoder on OpenVINO's CPU plugin, unpadded.

1. `split_batch` gathers equally long sequences of the packed batch: nothing is padded.
2. Their embeddings are summed here; the layers run as one compiled graph.
3. Worker threads run requests side by side, one thread each ("narrow"); a batch on its own runs
   over several cores ("wide"). Each of the two graphs is compiled when it is first needed.
"""

import importlib
import threading
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mgte.errors import BackendUnavailableError
from mgte.inference.runtimes.openvino_inputs import Array, Request, Tables, split_batch
from mgte.model import EncoderConfig
from mgte.packing import PackedBatch

Dtype = Literal["float32", "bfloat16", "int8"]
_DTYPES = get_args(Dtype)
# Weights (and activations) that share a scale. Real MiniLM weights keep a cosine of 0.9990 to
# float32 with 64, just at the bar, and 0.9992 with 32; wider models keep 0.9999 with 64.
_WIDE_GROUP, _NARROW_GROUP, _WIDE_HIDDEN_SIZE = 64, 32, 512
_INSTALL_HINT = "pip install 'mgte[cpu]'"


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
    if dtype not in _DTYPES:
        return f"computes in {', '.join(_DTYPES)}, not in {dtype}"
    if dtype == "bfloat16" and not _has_bfloat16(openvino):
        return "needs a CPU with bfloat16 instructions for bfloat16"
    if dtype == "int8" and _group_size(config) is None:
        return "quantises groups of 32 or 64 weights, which the model's widths are no multiple of"
    return None


def _group_size(config: EncoderConfig) -> int | None:
    """Inputs that share a scale; None if the config's widths cannot be cut into groups."""
    group = _WIDE_GROUP if config.hidden_size >= _WIDE_HIDDEN_SIZE else _NARROW_GROUP
    widths = (config.hidden_size, config.query_size, config.intermediate_size)
    return None if any(width % group for width in widths) else group


def _has_bfloat16(openvino: Any) -> bool:
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


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
        dtype: Dtype = "float32",
        num_workers: int = 1,
    ) -> None:
        """Take the weights; nothing is compiled yet.

        Args:
            config: Shape and switches of the encoder.
            weights: Tensors by canonical name, with or without the `encoder.` prefix; those in
                float32 on the CPU are read in place, not copied.
            dtype: "float32", "bfloat16" or "int8".
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
        self._group = _group_size(config) if dtype == "int8" else None
        self._options = _plugin_options(dtype, self._group)
        self._built: Any = None
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
                options = self._options | {
                    "NUM_STREAMS": streams,
                    "INFERENCE_NUM_THREADS": threads,
                }
                self._compiled[key] = _Compiled(self._graph(), options)
            return self._compiled[key]

    def _graph(self) -> Any:
        """The graph, built once: both compiled models read the same constants."""
        from mgte.inference.runtimes.openvino_graph import build_graph, float_linear
        from mgte.inference.runtimes.openvino_int8 import int8_linear

        if self._built is None:
            linear = float_linear if self._group is None else int8_linear(self._group)
            self._built = build_graph(self._config, self._weights, linear)
        return self._built


def _plugin_options(dtype: Dtype, group: int | None) -> dict[str, Any]:
    """What every compiled graph of the runtime is given."""
    import openvino

    precision = "f32" if dtype == "float32" or not _has_bfloat16(openvino) else "bf16"
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(group or 0),
        # Under a container's quota the cores are not ours to pin to.
        "ENABLE_CPU_PINNING": False,
    }


class _Compiled:
    """A compiled graph and one request per thread that has used it."""

    def __init__(self, graph: Any, options: Mapping[str, Any]) -> None:
        import openvino

        self._model = openvino.Core().compile_model(graph, "CPU", dict(options))
        self.names = {port.get_any_name() for port in self._model.inputs}
        self._local = threading.local()

    def infer(self, feed: Mapping[str, Array]) -> Array:
        """Run on the calling thread; the result is valid until the thread's next call."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        result: Array = request.infer(feed, share_inputs=True, share_outputs=True)[0]
        return result
