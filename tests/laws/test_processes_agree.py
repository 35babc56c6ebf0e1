"""However many processes share a batch, gradients and terms are those of one that holds it all."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

REPOSITORY = Path(__file__).parents[2]


@cache
def results(size: int, module: str = "process_cases") -> dict[str, dict[str, float]]:
    """Run all cases in `size` processes; starting them takes longer than the cases."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::FutureWarning"}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        arguments = [str(size), str(Path(folder) / "store"), str(out)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", f"tests.laws.{module}", str(rank), *arguments],
                cwd=REPOSITORY,
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]
        try:
            errors = [process.communicate(timeout=120)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert [process.returncode for process in processes] == [0] * size, "\n".join(errors)
        return json.loads(out.read_text("utf-8"))


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_gradients_of_every_objective_equal_those_of_one_process(size: int) -> None:
    found = {name: case for name, case in results(size).items() if name != "ratio"}
    assert {name: case for name, case in found.items() if not case["gradient"] < 1e-5} == {}
    assert {name: case for name, case in found.items() if not case["norm"] > 1e-2} == {}


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_terms_and_counts_equal_those_of_one_process(size: int) -> None:
    found = {name: case for name, case in results(size).items() if name != "ratio"}
    assert {name: case for name, case in found.items() if not case["terms"] < 1e-5} == {}
    assert {name: case for name, case in found.items() if case["counts"]} == {}


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ratio_of_dense_to_sparse_does_not_depend_on_the_number_of_processes(size: int) -> None:
    ratio, alone = (results(number)["ratio"]["ratio"] for number in (size, 1))
    assert ratio == pytest.approx(alone, rel=1e-5)


@pytest.mark.slow
def test_sharded_gradients_of_every_objective_equal_those_of_one_process() -> None:
    found = results(2, "sharded_cases")
    wrong = {
        name: case
        for name, case in found.items()
        if not (case["gradient"] < 1e-5 and case["norm"] < 1e-5 and case["means"] < 1e-4)
    }
    assert wrong == {}
    assert {name: case for name, case in found.items() if not case["size"] > 1e-2} == {}
