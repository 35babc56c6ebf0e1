"""Every golden checkpoint through the fast CPU path, in each of its dtypes and ways of running."""

from pathlib import Path

import pytest
import torch
from golden import FOLDERS, folders_with, is_causal, read_case
from torch.nn.functional import cosine_similarity

from mgte.inference.runtimes.prepared_linear import has_fast_bfloat16
from mgte.inference.runtimes.torch_cpu import TorchCpuRuntime
from mgte.kernels import KernelSet, TorchKernels, best_kernels
from mgte.packing import PackedBatch, pack
from mgte.store import load_model

pytestmark = pytest.mark.skipif(not FOLDERS, reason="needs the golden checkpoints")
folders = pytest.mark.parametrize(
    "folder", folders_with("last_hidden_state"), ids=lambda path: path.name
)


def runtime_of(folder: Path, dtype: str, kernels: KernelSet) -> TorchCpuRuntime:
    model = load_model(folder, is_causal=is_causal(folder))
    return TorchCpuRuntime(model.config, dict(model.state_dict()), dtype, kernels=kernels)


def case_of(folder: Path, order: list[int] | None = None) -> tuple[PackedBatch, torch.Tensor]:
    case = read_case(folder)
    order = list(range(len(case.input_ids))) if order is None else order
    types = case.token_type_ids
    batch = pack(
        [case.input_ids[index] for index in order],
        token_type_ids=None if types is None else [types[index] for index in order],
    )
    return batch, torch.cat([case.hidden(index) for index in order])


@folders
@pytest.mark.parametrize("kernels", [best_kernels(), TorchKernels()], ids=lambda k: k.name)
def test_float32_gives_the_reference_numbers(folder: Path, kernels: KernelSet) -> None:
    runtime = runtime_of(folder, "float32", kernels)
    for order in (None, [2, 0], [1]):
        batch, expected = case_of(folder, order)
        assert (runtime.hidden(batch, None) - expected).abs().max() <= 2e-5
        rows = batch.cu_seqlens[1:].long() - 1
        assert (runtime.hidden(batch, rows) - expected[rows]).abs().max() <= 2e-5
        assert (runtime.hidden_wide(batch, rows, 2) - expected[rows]).abs().max() <= 2e-5


@folders
@pytest.mark.parametrize(("dtype", "least"), [("bfloat16", 0.999), ("int8", 0.99)])
def test_small_dtypes_point_the_same_way(folder: Path, dtype: str, least: float) -> None:
    if dtype == "bfloat16" and not has_fast_bfloat16():
        pytest.skip("this processor has no bfloat16")
    batch, expected = case_of(folder)
    states = runtime_of(folder, dtype, best_kernels()).hidden(batch, None)
    for ends in (batch.cu_seqlens[:-1].long(), batch.cu_seqlens[1:].long() - 1):
        assert cosine_similarity(states[ends], expected[ends]).min() >= least
