"""Rotary settings in the spellings of config.json, and the two ways of writing NTK scaling.

Legend: s NTK factor, d head width, theta base.
NTK scaling turns theta^(-2i/d) into (theta*s)^(-2i/d) / s^(2/d); that is linear scaling by
s^(2/d) on the base theta*s, which is how transformers writes it.

Source: GTE new-impl modeling.py, `NTKScalingRotaryEmbedding`.
"""

from typing import Any

from mgte.errors import ConfigError
from mgte.model import RopeConfig
from mgte.store.families.raw_config import RawConfig


def read_rope(raw: RawConfig, *, default_theta: float) -> RopeConfig:
    """Rotary settings from `rope_parameters`, or from `rope_theta` and `rope_scaling`."""
    parameters = raw.mapping("rope_parameters")
    theta = raw.number("rope_theta", default_theta)
    if parameters is None:
        scaling = raw.mapping("rope_scaling")
        return RopeConfig(theta=theta) if scaling is None else read_rope_scaling(scaling, theta)
    return read_rope_scaling(parameters, theta)


def read_rope_scaling(scaling: RawConfig, default_theta: float) -> RopeConfig:
    """Rotary settings from one object with a type and, for most types, a factor."""
    theta = scaling.number("rope_theta", default_theta)
    key = "rope_type" if scaling.has("rope_type") else "type"
    kind = scaling.text(key, "default")
    if scaling.number("partial_rotary_factor", 1.0) != 1.0:
        value = scaling.values["partial_rotary_factor"]
        raise scaling.error("partial_rotary_factor", value, "1")
    if kind == "default":
        return RopeConfig(theta=theta)
    if kind == "linear":
        return RopeConfig(theta=theta, linear_factor=_factor(scaling))
    if kind == "ntk":
        mixed_b = scaling.number("mixed_b") if scaling.has("mixed_b") else None
        # The reference takes the scaled branch only above 1.
        factor = max(_factor(scaling), 1.0)
        return RopeConfig(theta=theta, ntk_factor=factor, ntk_mixed_b=mixed_b)
    raise scaling.error(key, kind, "one of default, linear, ntk")


def write_rope_parameters(rope: RopeConfig, head_dim: int) -> dict[str, Any]:
    """Rotary settings as transformers 5 spells them.

    Args:
        rope: What is to be written.
        head_dim: Width of one head.

    Returns:
        The object for `rope_parameters`.

    Raises:
        ConfigError: The settings are mixed NTK, which transformers cannot say.
    """
    if rope.ntk_mixed_b is not None and rope.ntk_factor != 1.0:
        raise ConfigError(
            "rope.ntk_mixed_b: transformers has no mixed NTK scaling, expected plain NTK",
            hint='save with format="new"',
        )
    # NTK already divides by this much beside the larger base.
    factor = rope.linear_factor * rope.ntk_factor ** (2.0 / head_dim)
    theta = rope.theta * rope.ntk_factor
    if factor == 1.0:
        return {"rope_theta": theta, "rope_type": "default"}
    return {"rope_theta": theta, "rope_type": "linear", "factor": factor}


def write_rope_scaling(rope: RopeConfig, head_dim: int) -> dict[str, Any]:
    """Rotary settings as the `new` family spells them.

    Args:
        rope: What is to be written.
        head_dim: Width of one head.

    Returns:
        The keys `rope_theta` and `rope_scaling`.

    Raises:
        ConfigError: Positions are stretched in a way that NTK scaling cannot say.
    """
    theta, factor = rope.theta, rope.ntk_factor
    if rope.linear_factor != 1.0:
        if rope.ntk_mixed_b is not None or rope.linear_factor < 1.0:
            raise ConfigError(
                f"rope.linear_factor: got {rope.linear_factor}, expected 1 for format 'new'"
            )
        # Rounded, so that a factor that came from s = 8 is 8 again and not 8.000000000000004.
        divisor = rope.linear_factor * factor ** (2.0 / head_dim)
        base, factor = theta * factor, float(f"{divisor ** (head_dim / 2.0):.12g}")
        theta = float(f"{base / factor:.12g}")
    if factor == 1.0:
        return {"rope_theta": theta, "rope_scaling": None}
    scaling: dict[str, Any] = {"type": "ntk", "factor": factor}
    if rope.ntk_mixed_b is not None:
        scaling["mixed_b"] = rope.ntk_mixed_b
    return {"rope_theta": theta, "rope_scaling": scaling}


def _factor(scaling: RawConfig) -> float:
    factor = scaling.number("factor")
    if factor <= 0:
        raise scaling.error("factor", factor, "a number above 0")
    return factor
