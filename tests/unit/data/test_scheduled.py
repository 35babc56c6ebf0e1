"""Values by step, scalar and vectorised alike."""

import numpy as np
import pytest

from mgte.data import Points
from mgte.data.scheduled import check_at_least, largest, value_at, values_at
from mgte.errors import ConfigError

HOLD = Points(points=((0, 0.3), (10, 0.15), (20, 0.05)))
LINEAR = Points(points=((0, 1.0), (10, 2.0), (30, 0.0)), interpolate="linear")


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        (0.3, 5, 0.3),
        (HOLD, 0, 0.3),
        (HOLD, 9, 0.3),
        (HOLD, 10, 0.15),
        (HOLD, 1000, 0.05),
        (LINEAR, 0, 1.0),
        (LINEAR, 5, 1.5),
        (LINEAR, 20, 1.0),
        (LINEAR, 30, 0.0),
        (LINEAR, 99, 0.0),
    ],
)
def test_values_by_hand(value, step, expected):
    assert value_at(value, step) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.3, HOLD, LINEAR])
def test_many_steps_equal_single_steps(value):
    steps = np.arange(50)
    assert values_at(value, steps).tolist() == [value_at(value, step) for step in range(50)]


def test_bounds():
    assert largest(LINEAR) == 2.0
    check_at_least(LINEAR, 0.0, "x")
    with pytest.raises(ConfigError, match=r"mask: got 0\.05, expected at least 0\.1"):
        check_at_least(HOLD, 0.1, "mask")
    with pytest.raises(ConfigError, match="got nan"):
        check_at_least(float("nan"), 0.1, "mask")
