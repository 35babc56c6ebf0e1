"""The engines that we are measured against, each at its best settings for this machine.

* `transformers`: sequences sorted by length, 32 to a padded batch, as sentence-transformers does;
* `onnxruntime`: the same batches, dynamic int8;
* `openvino padded`: the same batches, one request over all cores;
* `openvino tuned`: one sequence to a request, nothing padded, one-thread streams side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from checkpoints import Checkpoint
from numpy.typing import NDArray
from peer_graphs import onnx_int8_graph, openvino_graph, padded

from mgte.inference.cores import available_cores

BATCH_SIZE = 32
_ONNX_TOKENS = 1024
Vectors = NDArray[np.float32]
Sequences = Sequence[list[int]]


class Engine(Protocol):
    """Something that turns token ids into one vector each.

    Attributes:
        name: As the tables call it.
    """

    name: str

    def encode(self, sequences: Sequences) -> Vectors:
        """One vector per sequence, in order."""
        ...


def sorted_batches(sequences: Sequences) -> Iterator[list[int]]:
    """Indices of batches as sentence-transformers makes them: longest first."""
    order = np.argsort([-len(sequence) for sequence in sequences], kind="stable").tolist()
    for start in range(0, len(order), BATCH_SIZE):
        yield order[start : start + BATCH_SIZE]


class _Padded:
    """Sorted padded batches through a function from padded arrays to hidden states."""

    def __init__(
        self, name: str, pad_id: int, hidden: Callable[[dict[str, Any]], NDArray[np.float32]]
    ) -> None:
        self.name = name
        self._pad_id = pad_id
        self._hidden = hidden

    def encode(self, sequences: Sequences) -> Vectors:
        """State of the first token of every sequence."""
        vectors: list[Any] = [None] * len(sequences)
        for batch in sorted_batches(sequences):
            states = self._hidden(padded([sequences[index] for index in batch], self._pad_id))
            for index, state in zip(batch, states[:, 0], strict=True):
                vectors[index] = state.copy()
        return np.stack(vectors)


class _Tuned:
    """One request per sequence, as many at once as there are cores."""

    def __init__(self, name: str, compiled: Any, num_streams: int) -> None:
        import openvino

        self.name = name
        self._queue = openvino.AsyncInferQueue(compiled, num_streams)

    def encode(self, sequences: Sequences) -> Vectors:
        """State of the first token of every sequence."""
        vectors: list[Any] = [None] * len(sequences)

        def keep(request: Any, index: int) -> None:
            vectors[index] = request.get_output_tensor(0).data[0, 0].copy()

        self._queue.set_callback(keep)
        # Longest first, so that no stream is left with a long sequence at the end.
        order = np.argsort([-len(sequence) for sequence in sequences], kind="stable").tolist()
        for index in order:
            self._queue.start_async(padded([sequences[index]], 0), index)
        self._queue.wait_all()
        return np.stack(vectors)


def _transformers(checkpoint: Checkpoint, dtype: torch.dtype, num_cores: int) -> Engine:
    model = checkpoint.load_encoder(dtype)

    def hidden(inputs: dict[str, Any]) -> NDArray[np.float32]:
        torch.set_num_threads(num_cores)
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
            states: torch.Tensor = model(**tensors).last_hidden_state
            return states.float().numpy()

    return _Padded(f"transformers {_SHORT[dtype]}", _pad_id(model), hidden)


_SHORT = {torch.float32: "fp32", torch.bfloat16: "bf16"}


def _pad_id(model: Any) -> int:
    return int(model.config.pad_token_id or 0)


def _onnxruntime(checkpoint: Checkpoint, num_cores: int) -> Engine:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_cores
    session = onnxruntime.InferenceSession(
        onnx_int8_graph(checkpoint), options, providers=["CPUExecutionProvider"]
    )

    def hidden(inputs: dict[str, Any]) -> NDArray[np.float32]:
        states: NDArray[np.float32] = session.run(None, inputs)[0]
        return states

    return _Padded("onnxruntime int8", 0, hidden)


def _compile(
    checkpoint: Checkpoint,
    kind: str,
    precision: str,
    calibration: Sequences,
    streams: dict[str, int],
) -> Any:
    import openvino

    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision} | streams
    if kind == "dynamic":
        options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "64"
    path = openvino_graph(checkpoint, kind, calibration)
    return openvino.Core().compile_model(str(path), "CPU", options)


def _openvino(
    checkpoint: Checkpoint, kind: str, precision: str, calibration: Sequences, num_texts: int
) -> list[Engine]:
    """Padded and tuned, of one graph and precision."""
    num_cores = available_cores()
    label = {"float": {"f32": "fp32", "bf16": "bf16"}[precision]}.get(kind, f"int8 {kind}")
    wide = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": num_cores}
    narrow = {"NUM_STREAMS": num_cores, "INFERENCE_NUM_THREADS": num_cores}
    request = _compile(checkpoint, kind, precision, calibration, wide).create_infer_request()

    def hidden(inputs: dict[str, Any]) -> NDArray[np.float32]:
        states: NDArray[np.float32] = request.infer(inputs, share_outputs=True)[0]
        return states

    if num_texts == 1:
        # A second stream would have nothing to do.
        return [_Padded(f"openvino padded {label}", 0, hidden)]
    compiled = _compile(checkpoint, kind, precision, calibration, narrow)
    return [
        _Padded(f"openvino padded {label}", 0, hidden),
        _Tuned(f"openvino tuned {label}", compiled, num_cores),
    ]


def build_peers(
    checkpoint: Checkpoint, precision: str, calibration: Sequences, lengths: Sequence[int]
) -> list[Engine]:
    """All peers of one precision.

    Args:
        checkpoint: The model.
        precision: "fp32", "bf16" or "int8".
        calibration: Sequences for static int8.
        lengths: Tokens of the sequences that are to come.

    Returns:
        Engines, ready to run.
    """
    num_cores = available_cores()
    if precision == "fp32":
        return [
            _transformers(checkpoint, torch.float32, num_cores),
            *_openvino(checkpoint, "float", "f32", calibration, len(lengths)),
        ]
    if precision == "bf16":
        return [
            _transformers(checkpoint, torch.bfloat16, num_cores),
            *_openvino(checkpoint, "float", "bf16", calibration, len(lengths)),
        ]
    # Its attention holds all scores of a batch: a padded batch of long documents takes 10 GB.
    runs_onnx = max(lengths) <= _ONNX_TOKENS
    return [
        *([_onnxruntime(checkpoint, num_cores)] if runs_onnx else []),
        # What is not quantised runs fastest in bfloat16.
        *_openvino(checkpoint, "static", "bf16", calibration, len(lengths)),
        *_openvino(checkpoint, "dynamic", "bf16", calibration, len(lengths)),
    ]


def reference_vectors(checkpoint: Checkpoint, sequences: Sequences, num_cores: int) -> Vectors:
    """First-token states of transformers in float32, each sequence on its own."""
    model = checkpoint.load_encoder()
    torch.set_num_threads(num_cores)
    with torch.inference_mode():
        states = [
            model(torch.tensor([sequence])).last_hidden_state[0, 0].numpy()
            for sequence in sequences
        ]
    return np.stack(states)
