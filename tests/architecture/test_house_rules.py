"""The rules of ARCHITECTURE.md that a linter does not know."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mgte

PACKAGE = Path(mgte.__file__).parent
REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
LIGHT = ["", ".errors", ".config", ".vectors", ".text", ".data", ".evaluate", ".cli.main"]

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 80
MAX_PARAMETERS = 8
FORBIDDEN_WORDS = ("utils", "common", "helpers", "misc", "base", "core", "manager")

# The public call signatures of DESIGN section 0, which have more options than eight.
WIDE_SIGNATURES = {"load", "encode", "encode_query", "encode_document", "encode_ids"}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("module", LIGHT)
def test_light_rooms_do_not_load_torch(module: str) -> None:
    code = f"import sys, mgte{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


LAZY = [
    path.parent.relative_to(PACKAGE.parent).as_posix().replace("/", ".")
    for path in sorted(PACKAGE.rglob("__init__.py"))
    if "names_on_first_use" in path.read_text("utf-8") and path.parent != PACKAGE
]


@pytest.mark.parametrize("room", LAZY)
def test_public_names_are_not_hidden_by_modules(room: str) -> None:
    # `from room import name` looks for a module of that name first, whatever `__getattr__` says.
    module = importlib.import_module(room)
    modules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    hidden = {name for name in module.__all__ if name in modules} - set(vars(module))
    assert not hidden


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name_of)
def test_files_are_read_in_one_sitting(path: Path) -> None:
    num_lines = path.read_text("utf-8").count("\n")
    assert num_lines <= MAX_FILE_LINES


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name_of)
def test_functions_fit_on_a_screen(path: Path) -> None:
    long = [
        function.name
        for function in functions_of(path)
        if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_take_few_parameters(path: Path) -> None:
    wide = []
    for function in functions_of(path):
        arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        counted = [a for a in arguments if a.arg not in ("self", "cls")]
        if len(counted) > MAX_PARAMETERS and function.name not in WIDE_SIGNATURES:
            wide.append(function.name)
    assert wide == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_say_what_things_are(path: Path) -> None:
    names = [path.stem, *path.relative_to(PACKAGE).parts[:-1]]
    tree = ast.parse(path.read_text("utf-8"))
    names += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert [name for name in names if words_of(name) & set(FORBIDDEN_WORDS)] == []
    assert [name for name in names if name.startswith("Abs")] == []


def rooms() -> list[str]:
    return [
        module.name
        for module in pkgutil.iter_modules([str(PACKAGE)], "mgte.")
        if not module.name.startswith("mgte._") and module.ispkg
    ]


@pytest.mark.parametrize("room", rooms())
def test_public_names_of_a_room_are_listed(room: str) -> None:
    path = PACKAGE.joinpath(*room.split(".")[1:]) / "__init__.py"
    if not path.read_text("utf-8").strip().startswith('"""'):
        pytest.fail(f"{room} does not say what it is for")
    module = importlib.import_module(room)
    listed = list(getattr(module, "__all__", []))
    assert len(listed) == len(set(listed))
    missing = [name for name in listed if not hasattr(module, name)]
    assert missing == []
    imported = {
        alias.asname or alias.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("mgte.")
        and node.module != "mgte.rooms"
        for alias in node.names
    }
    assert {name for name in imported if not name.startswith("_")} <= set(listed)


def test_public_names_of_the_package_resolve() -> None:
    assert [name for name in mgte.__all__ if not hasattr(mgte, name)] == []
    assert set(mgte.__all__) <= set(dir(mgte))


def error_calls(path: Path) -> list[tuple[int, str]]:
    """Line and constant text of each error of ours that the file makes."""
    from mgte import errors

    names = {name for name, value in vars(errors).items() if isinstance(value, type)}
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", None))
        if name not in names:
            continue
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        for value in values:
            texts = [
                part.value
                for part in ast.walk(value)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            found.append((node.lineno, "".join(texts)))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_errors_are_one_sentence_and_one_hint(path: Path) -> None:
    # Message, blank line, hint: three lines in all, so neither part holds a line break.
    broken = [line for line, text in error_calls(path) if "\n" in text or len(text) > 240]
    assert broken == []


def test_floors_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed (extra `dev`)")
    result = subprocess.run([lint], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_import_takes_less_than_a_tenth_of_a_second() -> None:
    # Processor time, the best of five: what a user waits for on a machine that is not busy.
    code = "import time; s = time.process_time(); import mgte; print(time.process_time() - s)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    assert min(float(run.stdout) for run in runs) < 0.1


def documented_arguments(docstring: str) -> list[str]:
    """Names in the section `Args:` of a google docstring."""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)+)", docstring, flags=re.MULTILINE)
    return (
        re.findall(r"^ {4}\*{0,2}(\w+):", section.group(1), flags=re.MULTILINE) if section else []
    )


def arguments_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [a.arg for a in [*listed, *starred] if a.arg not in ("self", "cls")]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_documented_arguments_are_those_of_the_signature(path: Path) -> None:
    wrong = [
        function.name
        for function in functions_of(path)
        if (documented := documented_arguments(ast.get_docstring(function) or ""))
        and documented != arguments_of(function)
    ]
    assert wrong == []
