"""Every golden checkpoint: packed batches of any composition give the reference's numbers."""

from pathlib import Path

import pytest
import torch
from golden import FOLDERS, folders_with, is_causal, read_case

from mgte.packing import pack, unpack
from mgte.store import load_model

# The references' own padded batches agree with single sequences to 1.2e-5 (golden/README.md).
TOLERANCE = 2e-5

pytestmark = pytest.mark.skipif(not FOLDERS, reason="needs the golden checkpoints")


def compositions(num_sequences: int) -> list[list[int]]:
    """All in order, all shuffled, two halves, one alone, one twice."""
    order = torch.randperm(num_sequences, generator=torch.Generator().manual_seed(7)).tolist()
    middle = num_sequences // 2
    return [
        list(range(num_sequences)),
        order,
        order[:middle],
        order[middle:],
        [order[0]],
        [order[-1], order[0], order[-1]],
    ]


@pytest.mark.parametrize("folder", folders_with("last_hidden_state"), ids=lambda path: path.name)
def test_packed_batches_give_the_reference_hidden_states(folder: Path) -> None:
    case = read_case(folder)
    model = load_model(folder, is_causal=is_causal(folder))
    for indices in compositions(len(case.input_ids)):
        types = case.token_type_ids
        batch = pack(
            [case.input_ids[index] for index in indices],
            token_type_ids=None if types is None else [types[index] for index in indices],
        )
        with torch.inference_mode():
            states = unpack(model.encoder(batch), batch)
        for index, state in zip(indices, states, strict=True):
            assert (state - case.hidden(index)).abs().max() <= TOLERANCE


@pytest.mark.parametrize("folder", folders_with("logits"), ids=lambda path: path.name)
def test_packed_batches_give_the_reference_logits(folder: Path) -> None:
    case = read_case(folder)
    model = load_model(folder)
    for indices in compositions(len(case.input_ids)):
        types = case.token_type_ids
        logits = model.logits_ids(
            [case.input_ids[index] for index in indices],
            None if types is None else [types[index] for index in indices],
        )
        for index, values in zip(indices, logits, strict=True):
            assert (values - case.logits(index).reshape(values.shape)).abs().max() <= TOLERANCE
