"""Exported and quantised graphs of transformers' models, kept beside the checkpoint.

OpenVINO gets its graph from `openvino.convert_model`, which keeps attention as one operation and
so is faster on long inputs than a detour over ONNX; ONNX Runtime gets `torch.onnx.export`.
"""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkpoints import Checkpoint
from torch import Tensor, nn

# Sequences whose activations set the ranges of static int8.
NUM_CALIBRATION = 48


class _HiddenStates(nn.Module):
    """Positional inputs and one tensor out, as exporters want it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Last hidden states."""
        states: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        return states


def openvino_graph(checkpoint: Checkpoint, kind: str, calibration: Sequence[list[int]]) -> Path:
    """The graph in OpenVINO's format.

    Args:
        checkpoint: The model.
        kind: "float", "static" (nncf.quantize with SmoothQuant) or "dynamic" (int8 weights; the
            plugin quantises activations as they come).
        calibration: Sequences for static ranges.

    Returns:
        Path of the .xml file.
    """
    path = checkpoint.folder / f"openvino-{kind}.xml"
    if not path.exists():
        import openvino

        graph = _QUANTISERS[kind](checkpoint, calibration)
        openvino.save_model(graph, path, compress_to_fp16=False)
        del graph
        gc.collect()
    return path


def _float_graph(checkpoint: Checkpoint, _: Sequence[list[int]]) -> Any:
    import openvino

    wrapped = _HiddenStates(checkpoint.load_encoder())
    with torch.no_grad():
        graph = openvino.convert_model(wrapped, example_input=_example())
    for port, name in zip(graph.inputs, ("input_ids", "attention_mask"), strict=True):
        port.set_names({name})
    return graph


def _static_graph(checkpoint: Checkpoint, calibration: Sequence[list[int]]) -> Any:
    import nncf  # type: ignore[import-untyped]
    import openvino

    graph = openvino.Core().read_model(openvino_graph(checkpoint, "float", calibration))
    inputs = [padded([sequence], 0) for sequence in calibration]
    return nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(inputs),
    )


def _dynamic_graph(checkpoint: Checkpoint, calibration: Sequence[list[int]]) -> Any:
    import nncf
    import openvino

    graph = openvino.Core().read_model(openvino_graph(checkpoint, "float", calibration))
    return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_SYM)


_QUANTISERS: dict[str, Callable[[Checkpoint, Sequence[list[int]]], Any]] = {
    "float": _float_graph,
    "static": _static_graph,
    "dynamic": _dynamic_graph,
}


def onnx_int8_graph(checkpoint: Checkpoint) -> Path:
    """The graph for ONNX Runtime with dynamically quantised products."""
    path = checkpoint.folder / "onnx-int8.onnx"
    if path.exists():
        return path
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    plain = checkpoint.folder / "onnx-float.onnx"
    batch = torch.export.Dim("batch", min=1, max=4096)
    tokens = torch.export.Dim("tokens", min=2, max=checkpoint.shape.max_tokens)
    with torch.no_grad():
        torch.onnx.export(
            _HiddenStates(checkpoint.load_encoder()),
            _example(),
            plain,
            dynamo=True,
            dynamic_shapes=({0: batch, 1: tokens},) * 2,
            opset_version=18,
            external_data=False,
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            verbose=False,
        )
    quantize_dynamic(
        plain,
        path,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True},
    )
    plain.unlink()
    return path


def _example() -> tuple[Tensor, Tensor]:
    ids = torch.randint(5, 1000, (2, 16), generator=torch.Generator().manual_seed(0))
    return ids, torch.ones_like(ids)


def padded(sequences: Sequence[list[int]], pad_id: int) -> dict[str, Any]:
    """Token ids and attention mask, padded to the longest sequence."""
    longest = max(map(len, sequences))
    ids = np.full((len(sequences), longest), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": mask}
