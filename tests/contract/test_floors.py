"""The map of the house is true: floors, torch-free rooms, declared packages, sizes of files and functions."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "paracosm"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 50

TORCH_FREE_ROOMS = ("core", "data", "collect", "play", "cli")
NEED_TORCH = {
    "paracosm.core.shapes",
    "paracosm.cli.commands_evaluate",
    "paracosm.cli.commands_plan",
    "paracosm.cli.commands_recipe",
    "paracosm.cli.plan_video",
}
"""Modules of torch-free rooms that may load torch: shapes, and commands that train or judge."""

PACKAGE_OF = {"PIL": "pillow", "ale_py": "ale-py"}
"""Import names that are not the name of their package."""


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def without(*modules: str) -> str:
    return f"import sys\nfor name in {modules!r}: sys.modules[name] = None\n"


def test_rooms_import_from_lower_floors_only():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_torch_free_rooms_load_without_torch():
    modules = [
        module_name(file)
        for file in FILES
        if file.relative_to(PACKAGE).parts[0] in TORCH_FREE_ROOMS
        and "torch" not in file.stem
        and file.name != "__main__.py"
    ]
    wanted = [name for name in modules if name not in NEED_TORCH]
    done = run_python(
        without("torch", "einops", "jaxtyping")
        + f"import importlib\nfor name in {wanted!r}: importlib.import_module(name)"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(NEED_TORCH))
def test_the_list_of_modules_that_need_torch_is_no_longer_than_true(name):
    done = run_python(without("torch") + f"import importlib; importlib.import_module({name!r})")
    assert "import of torch halted" in done.stderr


def test_a_players_machine_needs_only_the_base_packages():
    code = without("torch", "einops", "jaxtyping", "pyarrow", "av", "vizdoom", "gymnasium", "PIL", "scipy")
    code += "import paracosm.worlds, paracosm.play.server, paracosm.cli.commands_play, paracosm.cli.main\n"
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_no_work():
    done = run_python(
        "import sys, paracosm; print(sorted({'numpy', 'torch', 'tyro', 'onnxruntime'} & set(sys.modules)))"
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_every_imported_package_is_declared(file):
    declared = declared_packages()
    tree = ast.parse(file.read_text())
    named = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    foreign = named - set(sys.stdlib_module_names) - {"paracosm"}
    undeclared = sorted(name for name in foreign if PACKAGE_OF.get(name, name) not in declared)
    assert not undeclared, f"{file.name} imports {undeclared}, which pyproject.toml does not declare"


def declared_packages() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = set()
    for line in lines:
        name = line
        for mark in "[<>=!~; ":
            name = name.split(mark)[0]
        names.add(name)
    return names


def source_files() -> list[Path]:
    endings = {".py", ".js", ".css", ".html"}
    tracked = [ROOT / "src", ROOT / "tests", ROOT / "benchmarks"]
    return sorted(file for folder in tracked for file in folder.rglob("*") if file.suffix in endings)


def test_no_file_is_longer_than_500_lines():
    long = [
        f"{file.relative_to(ROOT)} has {count} lines"
        for file in source_files()
        if (count := len(file.read_text().splitlines())) > MAX_FILE_LINES
    ]
    assert not long


def test_no_function_is_longer_than_50_lines():
    long = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or 0) - body_of(node).lineno + 1
                if count > MAX_FUNCTION_LINES:
                    long.append(f"{file.relative_to(PACKAGE)}: {node.name} has {count} lines")
    assert not long


def body_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """The first statement after the docstring, which may be as long as its arguments need."""
    return node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_every_module_says_what_it_is_for(file):
    assert ast.get_docstring(ast.parse(file.read_text())), f"{file} has no docstring"
