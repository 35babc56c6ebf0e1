"""Weights kept in 8 bits: one signed byte per value and one scale per row of a matrix.

The layout of compressed-tensors (format "int-quantized", strategy "channel"), which transformers
loads too: `<module>.weight` of type int8 and `<module>.weight_scale` of shape [rows, 1].
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

SCALE = "_scale"
_WEIGHTS = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
_LIMIT = 127
# Smaller tables gain nothing, and a head's single row decides too much.
_FEWEST_ROWS = 16


def quantize_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring every matrix to 8 bits; biases, norms and small matrices stay as they are.

    Args:
        tensors: Tensors of a checkpoint by name.

    Returns:
        The tensors to write, scales beside their matrices.
    """
    written: dict[str, Tensor] = {}
    for name, values in tensors.items():
        if not _is_quantized(name, values):
            written[name] = values
            continue
        rows = values.to(torch.float32)
        scale = rows.abs().amax(1, keepdim=True) / _LIMIT
        # A row of zeros has no scale; any will do.
        scale[scale == 0] = 1.0
        written[name] = (rows / scale).round().clamp(-_LIMIT, _LIMIT).to(torch.int8)
        written[name + SCALE] = scale
    return written


def dequantize(values: Tensor, scale: Tensor) -> Tensor:
    """The float32 matrix of 8-bit values [rows, columns] and scales [rows, 1]."""
    return values.to(torch.float32) * scale.to(torch.float32)


def quantization_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What config.json says of the weights that `quantize_weights` makes of these.

    Args:
        tensors: Tensors of a checkpoint by name, before they are brought to 8 bits.

    Returns:
        Value of the key "quantization_config".
    """
    left_out = [
        name.removesuffix(".weight")
        for name, values in tensors.items()
        if values.ndim == 2 and not _is_quantized(name, values)
    ]
    group = {"targets": ["Linear", "Embedding"], "weights": _WEIGHTS, "format": "int-quantized"}
    return {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": sorted(left_out),
    }


def has_int8_weights(quantization: Mapping[str, Any]) -> bool:
    """Whether a value of the key "quantization_config" describes weights that are read here."""
    groups = quantization.get("config_groups")
    if quantization.get("quant_method") != "compressed-tensors" or not isinstance(groups, dict):
        return False
    return quantization.get("format") == "int-quantized" and all(map(_is_readable, groups.values()))


def _is_readable(group: Any) -> bool:
    weights = group.get("weights") if isinstance(group, dict) else None
    return isinstance(weights, dict) and weights | _WEIGHTS == weights


def _is_quantized(name: str, values: Tensor) -> bool:
    return name.endswith(".weight") and values.ndim == 2 and values.shape[0] >= _FEWEST_ROWS
