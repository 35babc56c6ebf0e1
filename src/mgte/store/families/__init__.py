"""Checkpoint families: two-way translations of config.json and tensor names, in one table."""

from collections.abc import Mapping

from mgte.errors import CheckpointError, ConfigError
from mgte.store.families import bert, gte, modernbert, new, qwen2
from mgte.store.families.canonical import canonical_shapes
from mgte.store.families.family import Family, NameRule, TensorRule, expand_rules
from mgte.store.families.raw_config import RawConfig
from mgte.store.int8_weights import has_int8_weights

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (new.FAMILY, gte.FAMILY, modernbert.FAMILY, *bert.FAMILIES, qwen2.FAMILY)
}


def find_family(raw: RawConfig) -> Family:
    """The family that a config.json belongs to.

    Args:
        raw: The config.json.

    Returns:
        Its family.

    Raises:
        ConfigError: `model_type` is missing or not a string.
        CheckpointError: The model type is unknown, or the weights are quantised in a way that is
            not read here.
    """
    known = ", ".join(FAMILIES)
    if not raw.has("model_type"):
        raise ConfigError(f"{raw.where}: model_type: missing, expected one of {known}")
    name = raw.text("model_type")
    if name not in FAMILIES:
        code = " runs code of its own, which is never executed, and" if raw.has("auto_map") else ""
        raise CheckpointError(
            f"{raw.where}: model_type {name!r}{code} is not supported, expected one of {known}"
        )
    quantization = raw.mapping("quantization_config")
    if quantization is not None and not has_int8_weights(quantization.values):
        method = quantization.values.get("quant_method", "unknown")
        raise CheckpointError(
            f"{raw.where}: weights are quantised (quant_method {method!r}), expected float weights "
            "or 8-bit weights with a scale per row (compressed-tensors, format int-quantized)",
            hint='load the original checkpoint and pass dtype="int8"',
        )
    return FAMILIES[name]


__all__ = [
    "FAMILIES",
    "Family",
    "NameRule",
    "RawConfig",
    "TensorRule",
    "canonical_shapes",
    "expand_rules",
    "find_family",
]
