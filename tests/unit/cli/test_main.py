import resource
import subprocess
import sys

import pytest

from mgte import errors
from mgte.cli.main import COMMANDS, explain

MAX_HELP_SECONDS = 0.3


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mgte.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_overview_names_every_command(mgte) -> None:
    result = mgte("--help")
    assert result.code == 0
    assert all(f"  {name} " in result.out for name in COMMANDS)
    assert "example:" in result.out


def test_no_command_shows_the_overview_and_fails(mgte) -> None:
    assert mgte().code == 2


def test_unknown_command_names_the_known_ones(mgte) -> None:
    result = mgte("embbed")
    assert result.code == 2
    assert result.out == ""
    assert "embbed: unknown command" in result.err
    assert "similarity" in result.err


def test_version_is_the_packages(mgte) -> None:
    from mgte._version import __version__

    assert mgte("--version").out == f"mgte {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_fast(words: list[str]) -> None:
    # Processor time: what the user waits for on a machine that is not busy with something else.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(*words).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < MAX_HELP_SECONDS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_no_torch(name: str) -> None:
    code = (
        "import sys\nfrom mgte.cli.main import main\n"
        f"try:\n    main(['{name}', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0


def test_an_error_of_the_user_is_one_line_and_a_hint() -> None:
    message, code = explain(errors.DataError("line 3: empty", hint="fill it"))
    assert (message, code) == ("error: line 3: empty\n\nhint: fill it\n", 2)


def test_a_missing_file_is_named(tmp_path) -> None:
    path = tmp_path / "missing.txt"
    with pytest.raises(FileNotFoundError) as caught:
        path.read_text()
    message, code = explain(caught.value)
    assert code == 2
    assert message == f"error: {path}: No such file or directory\n"


def test_a_fault_of_ours_asks_for_a_report() -> None:
    message, code = explain(RuntimeError("first\nsecond"))
    assert code == 1
    assert "RuntimeError: first\n" in message
    assert "second" not in message
    assert "--traceback" in message


@pytest.mark.parametrize("words", [["--traceback", "info"], ["info", "--traceback"]])
def test_traceback_shows_where(words: list[str], mgte, tmp_path) -> None:
    with pytest.raises(errors.CheckpointError):
        mgte(*words, tmp_path)


def test_without_traceback_there_is_none(mgte, tmp_path) -> None:
    result = mgte("info", tmp_path)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err


def test_a_reader_that_stops_early_is_no_error() -> None:
    # As in `mgte models --json | head -c 1`.
    command = f"{sys.executable} -m mgte.cli.main models | head -c 1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert result.stderr == ""
