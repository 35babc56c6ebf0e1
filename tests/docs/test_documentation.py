"""Documentation that cannot rot: links lead somewhere, Python runs, commands parse."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from mgte.cli.main import COMMANDS, build_parser, load_command

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")],
    key=lambda path: str(path.relative_to(REPOSITORY)),
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"(<!-- not run: [^>]+ -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchors_of(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def blocks_of(path: Path, language: str) -> list[tuple[bool, str]]:
    """Whether each block is to be run, and its text."""
    found = FENCE.findall(path.read_text("utf-8"))
    return [(not mark, code) for mark, name, code in found if name == language]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(without_code(page.read_text("utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file) if file else page
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [p for p in PAGES if blocks_of(p, "python")], ids=name_of)
def test_python_on_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One page is one program: later blocks use the names of earlier ones.
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for is_run, code in blocks_of(page, "python"):
        program = compile(code, name_of(page), "exec")
        if is_run:
            exec(program, names)
    assert "Traceback" not in capsys.readouterr().err


def commands_of(path: Path) -> list[str]:
    lines = [line for _, code in blocks_of(path, "bash") for line in code.splitlines()]
    return [line.partition(" #")[0] for line in lines if line.startswith("mgte ")]


@pytest.mark.parametrize(
    "line", [line for page in PAGES for line in commands_of(page)], ids=lambda line: line[:60]
)
def test_commands_on_a_page_parse(line: str) -> None:
    check_command_line(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example_that_parses(name: str) -> None:
    command = load_command(name)
    text = build_parser(name, command).format_help()
    assert text.rstrip().endswith(command.EXAMPLE.strip())
    for line in command.EXAMPLE.strip().splitlines():
        check_command_line(line.strip().partition(" | ")[0])


def check_command_line(line: str) -> None:
    program, name, *words = shlex.split(line.partition(" < ")[0])
    assert program == "mgte"
    build_parser(name, load_command(name)).parse_args(words)


def test_make_targets_named_in_the_pages_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    for page in PAGES:
        for _, code in blocks_of(page, "bash"):
            named = re.findall(r"^make ([a-z-]+)", code, flags=re.MULTILINE)
            assert set(named) <= targets


def test_the_list_of_rooms_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("room_map", REPOSITORY / "docs" / "room_map.py")
    assert spec is not None
    assert spec.loader is not None
    room_map = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(room_map)
    page = (REPOSITORY / "ARCHITECTURE.md").read_text("utf-8")
    assert room_map.with_room_map(page) == page, "run `make fmt`"
