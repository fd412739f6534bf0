"""What the documents say is true: commands exist and run, the tree is real, generated pages are fresh."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paracosm.cli.main import COMMANDS
from tests.docs import generate

ROOT = generate.ROOT
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.name != "cli.md"]
SETUP_LINES = ("pip install -e . && paracosm play", 'pip install -e ".[dev]" && pytest')


def code_blocks(page: Path) -> list[str]:
    text = page.read_text()
    fenced = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    return [*fenced, *indented]


def commands_of(page: Path) -> list[list[str]]:
    """Every ``paracosm ...`` that a reader may type, as words."""
    found = []
    for block in code_blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                typed = part.strip().removeprefix("$ ")
                if typed.startswith("paracosm "):
                    found.append(shlex.split(typed, comments=True)[1:])
    return found


ALL_COMMANDS = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)[:60]}")
    for page in PAGES
    for words in commands_of(page)
]


def test_the_drawing_names_commands_that_exist():
    readme = (ROOT / "README.md").read_text()
    drawing = readme.partition("## The street")[2].partition("## What works")[0]
    named = re.findall(r"paracosm (\w+)", drawing)
    assert len(named) >= 8
    assert [name for name in named if not (name in COMMANDS and COMMANDS[name].target)] == []


@pytest.mark.parametrize("words", ALL_COMMANDS)
def test_every_command_in_the_documents_exists_with_its_options(words):
    if not words or words[0].startswith("-"):
        return
    assert words[0] in COMMANDS, f"there is no command {words[0]}"
    if not COMMANDS[words[0]].target:
        pytest.fail(f"paracosm {words[0]} is planned; documents may not tell a reader to type it")
    options = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
    # the help of a stage, a game or a recipe belongs to its first word
    texts = [generate.help_of(words[:1]), generate.help_of([word for word in words[:2] if word[0] != "-"])]
    known = set(re.findall(r"--[a-z][\w.-]*", " ".join(texts)))
    assert options <= known, f"paracosm {words[0]} does not know {sorted(options - known)}"


def test_the_two_set_up_lines_stand_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for line in SETUP_LINES:
        assert re.search(rf"^{re.escape(line)}", readme, re.MULTILINE), f"README.md lacks: {line}"


CHEAP = ("--version", "--help", "info game:counting", "doctor")


@pytest.mark.parametrize("line", CHEAP)
def test_cheap_commands_run(line):
    done = subprocess.run(
        [sys.executable, "-m", "paracosm.cli", *line.split()], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_console_script_is_installed():
    assert shutil.which("paracosm"), "run: pip install -e ."


def test_the_tree_in_the_readme_is_the_real_tree():
    assert (ROOT / "README.md").read_text() == generate.readme_with(generate.tree()), "run: make docs"


def test_the_command_line_page_is_fresh():
    assert (ROOT / "docs" / "cli.md").read_text() == generate.cli_page(), "run: make docs"


def test_the_map_page_is_fresh():
    assert (ROOT / "docs" / "map.md").read_text() == generate.map_page(), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_every_file_that_the_papers_page_names_is_there():
    page = (ROOT / "docs" / "papers.md").read_text()
    named = re.findall(r"`(\w+/[\w/]+?)(?:\.py)?`", page)
    assert len(named) > 10
    missing = [name for name in named if not list((generate.PACKAGE).glob(f"{name}*"))]
    assert not missing


def test_the_status_table_names_every_command():
    readme = (ROOT / "README.md").read_text()
    for name, command in COMMANDS.items():
        row = re.search(rf"^\|.*`paracosm {name}`.*\| (works|tiny only|planned) \|", readme, re.MULTILINE)
        assert row, f"the status table lacks paracosm {name}"
        assert (row[1] == "planned") == (not command.target), f"the status of paracosm {name} is not true"


def test_the_python_page_runs(tmp_path):
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL):
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
