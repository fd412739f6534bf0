"""The table of commands, and what every one of them shares: help, errors, exit codes.

Only the standard library is imported here and only the chosen command's module is loaded, so that help
appears at once. Exit codes: 0 done, 2 the user's mistake (one line), 1 our fault, 130 stopped by Ctrl+C and
143 by SIGTERM. This file does NOT know any command's options.
"""

import contextlib
import difflib
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from paracosm.core.errors import MissingPackageError, ParacosmError

TRACEBACK_VARIABLE = "PARACOSM_TRACEBACK"
"""Environment variable; when it is set, our own faults show where they happened."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        summary: one line for the list of commands.
        target: "module:function"; the function takes the words after the command; "" when it is planned.
        extra: the extra of this package that brings what the command may need beyond the base.
    """

    summary: str
    target: str = ""
    extra: str = ""


COMMANDS: dict[str, Command] = {
    "play": Command(
        summary="play a world in the browser", target="paracosm.cli.commands_play:play", extra="video"
    ),
    "record": Command(
        summary="record episodes of a game", target="paracosm.cli.commands_data:record", extra="games"
    ),
    "import": Command(
        summary="bring videos or foreign recordings in",
        target="paracosm.cli.commands_data:import_recordings",
        extra="video",
    ),
    "curate": Command(
        summary="cut, score, choose and caption footage",
        target="paracosm.cli.commands_curate:curate",
        extra="curate",
    ),
    "train": Command(summary="train one stage", target="paracosm.cli.commands_train:train", extra="train"),
    "recipe": Command(
        summary="run a whole pipeline, from recording to report",
        target="paracosm.cli.commands_recipe:recipe",
        extra="all",
    ),
    "evaluate": Command(
        summary="measure a world against the true game",
        target="paracosm.cli.commands_evaluate:evaluate",
        extra="all",
    ),
    "agent": Command(summary="train an agent inside a world"),
    "export": Command(
        summary="make a world that plays without torch",
        target="paracosm.cli.commands_recipe:export",
        extra="all",
    ),
    "convert": Command(
        summary="bring weights of other projects in",
        target="paracosm.cli.commands_convert:convert",
        extra="weights",
    ),
    "plan": Command(
        summary="say what a recipe describes and what it would cost",
        target="paracosm.cli.commands_plan:plan",
        extra="all",
    ),
    "info": Command(
        summary="describe a world, a dataset or a model folder",
        target="paracosm.cli.commands_look:info",
        extra="video",
    ),
    "doctor": Command(
        summary="check this machine and install games", target="paracosm.cli.commands_look:doctor"
    ),
}


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl+C does: games are closed, workers ended, locks given back."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what stands after ``paracosm``; None takes the process's own.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("paracosm").setLevel(logging.INFO)
    try:
        with _terminated_like_interrupted():
            return _run(given)
    except ParacosmError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt as stop:
        _say("stopped")
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        # whoever read our output has gone; point it elsewhere, or Python complains again while it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        _say(
            f"our fault: {type(error).__name__}: {error}; "
            f"set {TRACEBACK_VARIABLE}=1 to see where, and please report it"
        )
        return 1


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    def end(*_: object) -> None:
        # Some send it twice, such as timeout(1); a second one would break into what the first one cleans up.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def overview() -> str:
    """Return the text of ``paracosm --help``."""
    width = max(map(len, COMMANDS))
    lines = [
        f"  {name.ljust(width)}  {command.summary}{'' if command.target else ' (planned)'}"
        for name, command in COMMANDS.items()
    ]
    return "\n".join(
        [
            "usage: paracosm COMMAND [OPTIONS]",
            "",
            "Record a game, train a neural network to take its place, and play it in the browser.",
            "",
            *lines,
            "",
            "paracosm COMMAND --help tells the options of a command; paracosm --version the version.",
        ]
    )


def load(command: Command) -> Callable[[list[str]], None]:
    """Import the function of a command."""
    module, _, function = command.target.partition(":")
    return getattr(importlib.import_module(module), function)


def _run(arguments: list[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h", "help"):
        print(overview())
        return 0
    if name == "--version":
        from paracosm import __version__

        print(__version__)
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(COMMANDS)}"
        _say(f'there is no command "{name}"; {hint}')
        return 2
    command = COMMANDS[name]
    if not command.target:
        _say(f"paracosm {name} is planned, not yet available; README.md tells what works today")
        return 2
    try:
        load(command)(rest)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except ModuleNotFoundError as error:
        if not command.extra or (error.name or "paracosm").startswith("paracosm"):
            raise
        raise MissingPackageError(
            f"paracosm {name} needs {error.name}, which is not installed; "
            f'run: pip install -e ".[{command.extra}]"'
        ) from error
    return 0


def _say(text: str) -> None:
    print(f"paracosm: {' '.join(text.split())}", file=sys.stderr)
