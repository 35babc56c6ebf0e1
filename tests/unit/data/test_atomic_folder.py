"""A folder is there whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mgte.data.atomic_folder import building_folder
from mgte.errors import DataError


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with building_folder(out) as folder:
        (folder / "a").write_text("a")
        assert not out.exists()
    assert (out / "a").read_text() == "a"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), building_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_no_folder_and_the_next_build_cleans_up(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from mgte.data.atomic_folder import building_folder\n"
        "with building_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a').write_text('a'); print('ready', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.partial-")
    with building_folder(tmp_path / "out"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_work_of_a_running_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        host = os.uname().nodename
        other = tmp_path / f".out.partial-{host}-{process.pid}"
        other.mkdir()
        with building_folder(tmp_path / "out"):
            time.sleep(0)
        assert other.exists()
        process.kill()


def test_a_full_or_closed_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(DataError, match="cannot be written"),
        building_folder(tmp_path / "file" / "out"),
    ):
        pass
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("x")
    with pytest.raises(DataError, match="cannot be written"), building_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "kept").exists()
