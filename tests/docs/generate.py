"""Writes what documents can take from the code: docs/cli.md, docs/map.md and the tree in README.md.

Run by ``make docs``; the tests beside this file fail when a page is stale.
"""

import ast
import contextlib
import io
import os
import textwrap
from pathlib import Path

from paracosm.cli.commands_curate import WORDS as CURATE_WORDS
from paracosm.cli.main import COMMANDS, main, overview
from paracosm.evaluate.metrics.cards import cards_page

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "paracosm"
TREE_BEGIN, TREE_END = "<!-- tree: written by make docs -->\n", "<!-- end of tree -->\n"
HELP_WIDTH = "100"
TREE_WIDTH = 110
ZOO = "Bundled worlds: small trained weights with a model card each"


def cli_page() -> str:
    """Return docs/cli.md: the help of every command, and of every word of curate."""
    parts = [
        "# Command line\n\nWritten by `make docs` from `--help`; a test fails when it is stale.\n",
        f"```text\n{overview()}\n```\n",
        "Exit codes: 0 done, 2 a mistake in what was asked (one line says which), 1 a fault of ours.\n",
    ]
    for name, command in COMMANDS.items():
        parts.append(f"## {name}\n")
        if command.target:
            parts.append(f"```text\n{help_of([name])}\n```\n")
            words = CURATE_WORDS if name == "curate" else ()
            parts += [f"### {name} {word}\n\n```text\n{help_of([name, word])}\n```\n" for word in words]
        else:
            parts.append(f"{command.summary[0].upper()}{command.summary[1:]}: planned, not yet available.\n")
    return "\n".join(parts)


def help_of(words: list[str]) -> str:
    """Return what ``paracosm WORDS --help`` prints at a fixed width."""
    said = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = HELP_WIDTH
    try:
        with contextlib.redirect_stdout(said):
            main([*words, "--help"])
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
    return "\n".join(line.rstrip() for line in said.getvalue().splitlines()).strip()


def tree() -> str:
    """Return the annotated tree of README.md: every room with its purpose and its files."""
    lines = ["src/paracosm/"]
    for file in sorted(PACKAGE.glob("*.py")):
        if file.name != "__init__.py":
            lines += _entry(file.name, summary_of(file), [])
    rooms = [folder for folder in sorted(PACKAGE.iterdir()) if _is_room(folder)]
    for room in sorted(rooms, key=_floor):
        summary = ZOO if room.name == "zoo" else summary_of(room / "__init__.py").split(". ")[0]
        lines += _entry(f"{room.name}/", summary, names_in(room))
    return "\n".join(lines)


def names_in(room: Path) -> list[str]:
    """Return the files of a room without their ending, and its folders with what they hold."""
    names = [file.stem for file in sorted(room.glob("*.py")) if not file.name.startswith("__")]
    for folder in sorted(room.iterdir()):
        if folder.is_dir() and not folder.name.startswith(("_", ".")):
            inside = sorted(
                part.stem if part.suffix == ".py" else part.name
                for part in folder.iterdir()
                if not part.name.startswith(("_", "."))
            )
            names.append(f"{folder.name}/{{{' '.join(inside)}}}" if room.name != "zoo" else f"{folder.name}/")
    return names


def summary_of(file: Path) -> str:
    """Return the first sentence of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(file.read_text())) if file.exists() else None
    return " ".join((docstring or "").split("\n\n")[0].split()).rstrip(".").replace("``", "`")


def map_page() -> str:
    """Return docs/map.md: every file of the package with the first sentence of its docstring."""
    parts = ["# Map\n\nEvery file of the package, lower floors first. Written by `make docs`.\n"]
    rooms = [folder for folder in sorted(PACKAGE.iterdir()) if _is_room(folder)]
    for room in sorted(rooms, key=_floor):
        purpose = ZOO if room.name == "zoo" else summary_of(room / "__init__.py")
        parts.append(f"## {room.name}\n\n{purpose}.\n")
        files = [file for file in sorted(room.rglob("*.py")) if file.name != "__init__.py"]
        rows = [f"| `{file.relative_to(room)}` | {summary_of(file)} |" for file in files]
        if rows:
            parts.append("\n".join(["| file | what it is for |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def readme_with(tree_text: str) -> str:
    """Return README.md with the tree between its marks replaced."""
    readme = (ROOT / "README.md").read_text()
    before, _, rest = readme.partition(TREE_BEGIN)
    _, _, after = rest.partition(TREE_END)
    return f"{before}{TREE_BEGIN}\n```text\n{tree_text}\n```\n\n{TREE_END}{after}"


FLOORS = (
    "core", "nn", "data", "models", "collect", "curate", "train", "play", "convert", "evaluate", "agents",
    "recipes", "zoo", "cli",
)  # fmt: skip


def _floor(room: Path) -> int:
    return FLOORS.index(room.name)


def _is_room(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "__init__.py").exists() or folder.name == "zoo")


def _entry(name: str, summary: str, names: list[str]) -> list[str]:
    indent = " " * 14
    lines = textwrap.wrap(f"{name.ljust(12)}{summary}", TREE_WIDTH - 2, subsequent_indent=" " * 12)
    inside = textwrap.wrap(" ".join(names), TREE_WIDTH - len(indent), break_on_hyphens=False)
    return [f"  {line}" for line in lines] + [f"{indent}{line}" for line in inside]


def write_all() -> None:
    """Write every generated page."""
    (ROOT / "docs" / "cli.md").write_text(cli_page())
    (ROOT / "docs" / "map.md").write_text(map_page())
    (ROOT / "docs" / "metrics.md").write_text(cards_page())
    (ROOT / "README.md").write_text(readme_with(tree()))


if __name__ == "__main__":
    write_all()
