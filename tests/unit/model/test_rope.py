"""Frequencies against the published fingerprints, rotation against complex numbers."""

import math

import pytest
import torch

from mgte.errors import ConfigError
from mgte.model import RopeConfig, rope_frequencies, rope_table
from mgte.model.rope import RopeTables, rotate


@pytest.mark.parametrize(
    ("theta", "factor", "first", "second", "last"),
    [
        # FACTS: gte-multilingual-base, gte-large-en-v1.5, gte-base-en-v1.5 (head_dim 64).
        (20_000.0, 8.0, 0.93708382, 0.64439133, 8.5170109e-06),
        (160_000.0, 2.0, 0.97857206, 0.65850166, 4.5444232e-06),
        (500_000.0, 2.0, 0.97857206, 0.63546672, 1.5069291e-06),
    ],
)
def test_ntk_frequencies_have_the_published_values(theta, factor, first, second, last):
    frequencies = rope_frequencies(RopeConfig(theta=theta, ntk_factor=factor), 64)
    picked = frequencies[[0, 1, 31]]
    torch.testing.assert_close(picked, torch.tensor([first, second, last]), rtol=2e-6, atol=0.0)


def test_mixed_ntk_leaves_theta_and_slows_each_frequency():
    rope = RopeConfig(theta=10_000.0, ntk_factor=4.0, ntk_mixed_b=0.625)
    scale = math.log(4.0) / 8**0.625
    expected = [10_000.0 ** (-2 * i / 16) / math.exp(scale * (i + 1) ** 0.625) for i in range(8)]
    torch.testing.assert_close(rope_frequencies(rope, 16), torch.tensor(expected))


def test_ntk_equals_linear_scaling_with_a_larger_base():
    ntk = rope_frequencies(RopeConfig(theta=20_000.0, ntk_factor=8.0), 64)
    linear = rope_frequencies(RopeConfig(theta=160_000.0, linear_factor=8 ** (2 / 64)), 64)
    torch.testing.assert_close(ntk, linear)


def test_rotation_is_multiplication_by_a_unit_complex_number(generator):
    rope, length = RopeConfig(theta=100.0), 12
    cos, sin = rope_table(rope, 8, length)
    x = torch.randn(length, 3, 8, generator=generator)
    angles = torch.outer(torch.arange(length), rope_frequencies(rope, 8))
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.exp(1j * angles)[:, None]
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(rotate(x, cos, sin), expected)


def test_tables_grow_and_give_the_same_rows():
    rope, tables = RopeConfig(), RopeTables(8)
    positions = torch.tensor([0, 3, 500])
    short = tables.at(rope, positions, 501, torch.float32)
    tables.at(rope, torch.arange(2000), 2000, torch.float32)
    long = tables.at(rope, positions, 501, torch.float32)
    assert torch.equal(short[0], long[0])
    assert torch.equal(short[1], long[1])


def test_senseless_settings_name_their_field():
    with pytest.raises(ConfigError, match=r"rope\.ntk_factor: got 0"):
        RopeConfig(ntk_factor=0)
