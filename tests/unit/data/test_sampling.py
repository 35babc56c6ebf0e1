"""Probabilities of groups: equation 1 of mGTE, weights, schedules, errors."""

import numpy as np
import pytest

from mgte.data import Points, SamplingConfig
from mgte.data.sampling import check_sampling, probabilities
from mgte.errors import ConfigError

NAMES = ("wiki", "news", "law")
COUNTS = np.array([900, 90, 10])


def at(config, step=0):
    return probabilities(config, NAMES, COUNTS, np.array([step]))[0]


def test_equation_one_by_hand():
    roots = np.sqrt([0.9, 0.09, 0.01])
    assert at(SamplingConfig(alpha=0.5)) == pytest.approx(roots / roots.sum())
    assert at(SamplingConfig(alpha=1.0)) == pytest.approx([0.9, 0.09, 0.01])
    assert at(SamplingConfig(alpha=0.0)) == pytest.approx([1 / 3] * 3)


def test_weights_and_alpha_follow_the_step():
    rest = Points(points=((0, 0.0), (10, 1.0)))
    config = SamplingConfig(alpha=1.0, weights={"wiki": rest, "law": 3.0})
    assert at(config) == pytest.approx([0, 90 / 120, 30 / 120])
    assert at(config, 10) == pytest.approx([900 / 1020, 90 / 1020, 30 / 1020])
    annealed = Points(points=((0, 1.0), (100, 0.0)), interpolate="linear")
    found = probabilities(SamplingConfig(alpha=annealed), NAMES, COUNTS, np.array([0, 50, 100]))
    assert found[1] == pytest.approx(at(SamplingConfig(alpha=0.5)))
    assert found[2] == pytest.approx([1 / 3] * 3)


def test_a_group_without_rows_is_never_drawn():
    found = probabilities(SamplingConfig(alpha=0.0), NAMES, np.array([5, 0, 5]), np.arange(2))
    assert found.tolist() == [[0.5, 0, 0.5]] * 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            SamplingConfig(weights={"wikki": 1.0}),
            "sampling.weights.wikki: unknown source",
        ),
        (SamplingConfig(weights={"law": -1.0}), "sampling.weights.law: got -1"),
        (SamplingConfig(alpha=-0.5), "sampling.alpha: got -0.5"),
        (SamplingConfig(short_keep=1.5), "short_keep: got 1.5"),
        (SamplingConfig(weights=dict.fromkeys(NAMES, 0.0)), "all are 0 at step 0"),
    ],
)
def test_errors(config, message):
    with pytest.raises(ConfigError, match=message):
        check_sampling(config, NAMES, COUNTS)


def test_weights_that_all_rest_later_are_refused_with_the_step():
    fall = Points(points=((0, 1.0), (50, 0.0)), interpolate="linear")
    config = SamplingConfig(weights=dict.fromkeys(NAMES, fall))
    with pytest.raises(ConfigError, match="all are 0 at step 50"):
        check_sampling(config, NAMES, COUNTS)
