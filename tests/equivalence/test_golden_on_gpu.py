"""Golden checkpoints on a CUDA device: float32 to the bar of the CPU, bfloat16 by cosine."""

import numpy as np
import pytest
from golden import folders_with, is_causal, read_case

import mgte

pytestmark = pytest.mark.gpu
# The references' own bar is 2e-5; TF32 is off by default, sums run in another order.
TOLERANCE = 1e-4


@pytest.mark.parametrize("folder", folders_with("last_hidden_state"), ids=lambda path: path.name)
def test_hidden_states_in_float32_and_pooled_vectors_in_bfloat16(folder):
    case = read_case(folder)
    exact = mgte.Embedder.load(
        str(folder), device="cuda", dtype="float32", is_causal=is_causal(folder)
    )
    states = exact.hidden_states(case.input_ids, case.token_type_ids)
    for index, state in enumerate(states):
        assert np.abs(state - case.hidden(index).numpy()).max() <= TOLERANCE
    half = mgte.Embedder.load(
        str(folder), device="cuda", dtype="bfloat16", is_causal=is_causal(folder)
    )
    pooled = [
        model.encode_ids(case.input_ids, token_type_ids=case.token_type_ids).dense
        for model in (exact, half)
    ]
    assert (pooled[0] * pooled[1]).sum(1).min() >= 0.999
