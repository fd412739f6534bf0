"""From words on the command line to a frozen config, and from figures to the screen and a file.

Mistakes come out as one line with the closest option that exists. This file does NOT know any command.
"""

import contextlib
import dataclasses
import functools
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from paracosm.core.errors import ConfigError
from paracosm.core.figures import Report, show_report, write_report
from paracosm.core.progress import LineProgress, ProgressMaker

C = TypeVar("C")

File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
"""An option that names a file; without it there is none."""

Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
"""An option that names a folder."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
"""An address as a Path writes it: with one slash of the two or three."""


def parse(cls: type[C], arguments: Sequence[str], command: str, default: C | None = None) -> C:
    """Read the options of a command; attribute docstrings of the config become its help.

    Args:
        cls: config dataclass.
        arguments: words after the command.
        command: what the user typed before them, e.g. "paracosm play".
        default: config whose values stand where no option is given.

    Raises:
        ConfigError: for an unknown option or a value that does not fit, in one line.
        SystemExit: after ``--help``.
    """
    options: dict[str, Any] = {} if default is None else {"default": default}
    markers = (tyro.conf.FlagCreatePairsOff, tyro.conf.AvoidSubcommands)
    asked_for_help = any(word in ("--help", "-h") for word in arguments)
    said = io.StringIO()
    try:
        with contextlib.nullcontext() if asked_for_help else _captured(said):
            parsed = tyro.cli(cls, prog=command, args=list(arguments), config=markers, **options)
    except SystemExit:
        if asked_for_help:
            raise
        raise ConfigError(f"{_one_line(said.getvalue())}; see {command} --help") from None
    _refuse_addresses(parsed)
    return parsed


def stderr_progress() -> ProgressMaker:
    """Return the maker of progress lines on standard error."""
    return functools.partial(LineProgress, stream=sys.stderr)


def show(report: Report, json: Path | None) -> None:
    """Print the figures as a table, and write them to a file when one was asked for."""
    print(show_report(report))
    where = ", ".join(str(report.hardware[key]) for key in ("cpu", "system"))
    print(f"\n{report.hardware['cores']} cores of {where}; commit {report.commit or 'not known'}")
    if json is not None:
        write_report(report, json)
        print(f"written to {json}")


def full_name(world: str) -> str:
    """Complete the name of a world: "doom" and a folder are neural worlds; a name with a kind stays."""
    kind = world.partition(":")[0]
    return world if kind in ("model", "game", "gym", "replay", "socket") else f"model:{world}"


def name_first(arguments: Sequence[str], option: str) -> list[str]:
    """Let the most important value stand first without its option, as in "record game:doom"."""
    bare = bool(arguments) and not arguments[0].startswith("-")
    return [option, *arguments] if bare else list(arguments)


def command_line(command: str, arguments: Sequence[str]) -> str:
    """Return what was typed, for reports."""
    return " ".join(["paracosm", command, *arguments])


def _refuse_addresses(config: Any) -> None:
    """Refuse an address where a file or folder of this machine is wanted: it would make a folder "file:".

    Raises:
        ConfigError: names the address and what to give instead.
    """
    for part in dataclasses.fields(config):
        given = getattr(config, part.name)
        for value in given if isinstance(given, tuple) else (given,):
            if dataclasses.is_dataclass(value):
                _refuse_addresses(value)
            elif isinstance(value, Path) and (found := _ADDRESS.match(str(value))):
                kind, rest = found.groups()
                local = kind == "file"
                raise ConfigError(
                    f"{part.name} {kind}://{'/' if local else ''}{rest} is an address, but a file or folder "
                    f"of this machine is wanted; give {f'/{rest}' if local else 'a path and copy it'}"
                )


@contextlib.contextmanager
def _captured(said: io.StringIO) -> Any:
    """Collect what tyro prints about a mistake, on lines long enough not to be broken."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "1000"
    try:
        with contextlib.redirect_stderr(said):
            yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _one_line(box: str) -> str:
    """Turn tyro's box (a title, then sections between rules) into its first sentence and a suggestion."""
    lines = [line.strip("│╭╮╰╯ \t") for line in box.strip().splitlines()[1:]]
    sections: list[list[str]] = [[]]
    for line in lines:
        if set(line) <= set("-─"):
            sections.append([])
        else:
            sections[-1].append(line)
    sentences = [section for section in sections if section] or [["the options do not fit"]]
    first = " ".join(sentences[0]).rstrip(".")
    options = [
        line.split()[0]
        for section in sentences[1:]
        if section[0].startswith("Perhaps you meant")
        for line in section
        if line.startswith("--")
    ]
    hint = f"; did you mean {' or '.join(options[:2])}?" if options else ""
    return f"{first[0].lower()}{first[1:]}{hint}"
