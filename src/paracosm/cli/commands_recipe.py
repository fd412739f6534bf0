"""Commands that walk a whole street, from recording to a world that plays: recipe and export."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from paracosm.cli.arguments import File, Folder, command_line, parse, show, stderr_progress
from paracosm.cli.commands_play import play
from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker
from paracosm.evaluate.suite import SuiteConfig, run_suite
from paracosm.models.rollout import check_window
from paracosm.recipes.street import Street, begin_with_world, build, run_street, shorten
from paracosm.zoo import bundled_worlds

if TYPE_CHECKING:
    from paracosm.recipes.genie import GenieRecipe

logger = logging.getLogger(__name__)

STREETS: dict[str, str] = {name: f"paracosm.recipes.{name}" for name in ("doom", "coinrun", "minetest")}
"""Recipes that record a game of their own; "own" takes any other."""
OPTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(STREETS, ("source", "begin_with", "tiny", "evaluate", "json")),
    "own": ("source", "begin_with", "tiny", "evaluate", "then", "json"),
    "genie": ("source", "keys_from", "tiny"),
    "gamegen_o": ("source", "tokenizer", "dynamics"),
    "matrix_game2": ("source", "parts", "base", "tiny"),
}
"""Options that recipes of a family heed, beside --run, or refuse with advice of their own."""


@dataclass(frozen=True, kw_only=True)
class RecipeCommand:
    """Record, train, evaluate and build a world; run it again to go on where it was stopped.

    Your own game: paracosm recipe own --from gym:CartPole-v1, or --from a folder of recordings or videos.
    """

    recipe: Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(
            metavar="{doom,coinrun,minetest,own,genie,genie.NAME,gamegen_o.NAME,matrix_game2.NAME}"
        ),
    ]
    """Which pipeline; genie learns its actions from pictures alone, gamegen_o follows words, matrix_game2
    streams several frames at once."""
    source: Annotated[str, tyro.conf.arg(name="from", aliases=["--data"])] = ""
    """For own: gym:ID, or a folder of recordings or videos; for genie: such a folder; for genie.NAME,
    gamegen_o.NAME and matrix_game2.NAME: recordings to take in place of its own."""
    keys_from: Folder = None
    """For genie: recordings with keys, 200 steps of which tell the learnt action that each key stands for."""
    parts: Folder = None
    """For matrix_game2.NAME: folder with vae/ and image_encoder/, e.g. a converted world; tiny trains its
    own."""
    tokenizer: Folder = None
    """For gamegen_o.NAME: model folder of a finished tokenizer, in place of the recipe's own."""
    dynamics: Folder = None
    """For gamegen_o.NAME with --tokenizer: model folder of a dynamics over that tokenizer to begin with;
    random weights without it."""
    base: File = None
    """For matrix_game2.NAME: safetensors file of an image-to-video model of the Wan family to begin from."""
    begin_with: str = ""
    """For own, doom, coinrun and minetest: a bundled world, or the folder of a world of these sizes, whose
    networks the training begins with; a tokenizer then takes a third of the steps."""
    run: Folder = None
    """Run folder; runs/NAME without it."""
    tiny: bool = False
    """Toy sizes: the whole street in a few minutes, to see every stretch work."""
    evaluate: Literal["first", "quick", "none"] = "first"
    """Which evaluation follows; quick is a look, and what --tiny takes instead of first."""
    then: Literal["play", "stop"] = "play"
    """Whether own opens the page at the end; the bundled recipes never do."""
    json: File = None
    """Also write the figures of the evaluation to this file."""


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Build the world that plays without torch from the models of a recipe's run folder.

    While the dynamics is still being trained, --checkpoint takes its running average as it is now; --dynamics
    takes another model of the same sizes, such as a student of few passes.
    """

    recipe: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="{doom,coinrun,minetest,own}")]
    """Which pipeline made the models."""
    source: Annotated[str, tyro.conf.arg(name="from")] = ""
    """For own: what the recipe was run with."""
    run: Folder = None
    """Run folder; runs/NAME without it."""
    out: Folder = None
    """Folder of the world; RUN/world without it."""
    tiny: bool = False
    """The run was made with --tiny."""
    checkpoint: bool = False
    """Take the dynamics from its newest checkpoint."""
    dynamics: Folder = None
    """Take this model folder as the dynamics, e.g. RUN/students/forcing/dynamics."""
    levels: tuple[float, ...] = ()
    """Noise levels of the passes of a frame, falling from 1; those of the recipe without it."""
    window: int = -1
    """Past frames that are kept in play, 0 for all that the network takes; -1: as the recipe says."""
    sink: int = -1
    """First frames that stay in the window for good; -1: as the recipe says."""


def recipe(arguments: list[str]) -> None:
    """Run ``paracosm recipe``."""
    command = parse(RecipeCommand, arguments, "paracosm recipe")
    check_options(command)
    progress = stderr_progress()
    if is_genie(command.recipe):
        _walk_genie(command, progress)
        return
    if command.recipe.startswith("gamegen_o."):
        from paracosm.recipes import gamegen_o, gamegen_street

        found = gamegen_o.find_recipe(command.recipe, command.run)
        data = Path(command.source) if command.source else None
        found = gamegen_o.on_finished(
            found, data=data, tokenizer=command.tokenizer, dynamics=command.dynamics
        )
        world = gamegen_street.run_recipe(found, progress)
        print(f"{world} plays: paracosm play {world}")
        return
    if command.recipe.startswith("matrix_game2."):
        world = _walk_video(command, progress)
        print(f"{world} plays: paracosm play {world}")
        return
    street = find_street(command.recipe, command.source, command.run, tiny=command.tiny, progress=progress)
    if command.begin_with:
        street = begin_with_world(street, _find_beginning(command))
    world = run_street(street, progress)
    print(f"{world} plays: paracosm play {world}")
    suite = _suite(street, command)
    if suite is not None:
        report = run_suite(
            suite, street.run / "report", progress=progress, command=command_line("recipe", arguments)
        )
        show(report, command.json)
    if command.recipe == "own" and command.then == "play":
        play([str(world)])


def check_options(command: RecipeCommand) -> None:
    """Refuse options that the recipe would not heed: whoever passes one expects it to count.

    Raises:
        ConfigError: names the option and those that the recipe takes.
    """
    family = command.recipe.partition(".")[0]
    taken = OPTIONS.get(family)
    if taken is None:
        return  # there is no such recipe, which is said elsewhere
    for option in fields(command):
        value = getattr(command, option.name)
        if option.name in ("recipe", "run", *taken) or value in (option.default, "none", "stop"):
            continue
        allowed = ", ".join(_flag(name) for name in (*taken, "run"))
        given = _flag(option.name) if value is True else f"{_flag(option.name)} {value}"
        raise ConfigError(f"{command.recipe} does not take {given}; it takes {allowed}")


def _flag(name: str) -> str:
    return "--from" if name == "source" else "--" + name.replace("_", "-")


def export(arguments: list[str]) -> None:
    """Run ``paracosm export``."""
    command = parse(ExportCommand, arguments, "paracosm export")
    street = find_street(
        command.recipe, command.source, command.run, tiny=command.tiny, progress=stderr_progress()
    )
    if command.checkpoint and command.dynamics is not None:
        raise ConfigError(
            f"--checkpoint and --dynamics {command.dynamics} each name a dynamics; give one of them"
        )
    taken = command.dynamics or ("checkpoint" if command.checkpoint else "finished")
    play = street.play
    play = replace(
        play,
        levels=command.levels or play.levels,
        window=play.window if command.window < 0 else command.window,
        sink=play.sink if command.sink < 0 else command.sink,
    )
    check_window(street.dynamics.model.window, play.window, play.sink)
    print(build(street, command.out or street.world, taken, play))


def find_street(name: str, source: str, run: Path | None, *, tiny: bool, progress: ProgressMaker) -> Street:
    """Describe the street of a recipe.

    Raises:
        ConfigError: for an unknown recipe, a source where none is taken, or none where one is needed.
    """
    if name == "own":
        if not source:
            raise ConfigError("own needs a game: --from gym:ID, or --from a folder of recordings or videos")
        from paracosm.recipes import own

        street = own.street(run or _run_folder(own.short_name(source), tiny), source, progress)
    elif name in STREETS:
        if source:
            raise ConfigError(
                f'{name} records its own game, --from "{source}" is not taken; use recipe own for yours'
            )
        describe: Callable[[Path], Street] = importlib.import_module(STREETS[name]).street
        street = describe(run or _run_folder(name, tiny))
    else:
        raise ConfigError(f'there is no recipe "{name}"; choose one of {", ".join([*STREETS, "own"])}')
    return shorten(street) if tiny else street


def _find_beginning(command: RecipeCommand) -> Path:
    """Folder of the world that the training begins with."""
    if command.tiny:
        raise ConfigError(
            f"networks of toy sizes cannot begin with {command.begin_with}; leave out --tiny or --begin-with"
        )
    bundled = bundled_worlds()
    folder = bundled.get(command.begin_with, Path(command.begin_with))
    if not (folder / "world.json").is_file():
        raise ConfigError(
            f'--begin-with "{command.begin_with}" is neither a bundled world ({", ".join(bundled)}) nor the '
            "folder of one; pass a name or a path"
        )
    return folder


def is_genie(name: str) -> bool:
    """Whether a recipe is one of genie's: genie alone, for a folder of pictures, or genie.NAME."""
    return name.partition(".")[0] == "genie"


def find_genie(name: str, run: Path | None, *, tiny: bool) -> GenieRecipe:
    """Describe a recipe of genie by name, as in "genie.tiny".

    Raises:
        ConfigError: for an unknown name; says which there are.
    """
    from paracosm.recipes.genie import RECIPES, shorten

    size = name.partition(".")[2]
    if size not in RECIPES:
        known = ", ".join(f"genie.{known}" for known in RECIPES)
        raise ConfigError(f'there is no recipe "{name}"; choose one of {known}')
    recipe = RECIPES[size](run or _run_folder(name, tiny))
    return shorten(recipe) if tiny else recipe


def _walk_genie(command: RecipeCommand, progress: ProgressMaker) -> None:
    """Walk a street of genie: of a name, or from a folder of pictures."""
    from paracosm.recipes.genie import shorten
    from paracosm.recipes.genie_street import draw_actions, from_folder, name_keys, on_recordings, run_genie

    if command.recipe == "genie":
        if not command.source:
            raise ConfigError("genie needs pictures: --data with a folder of recordings or videos")
        folder = Path(command.source)
        run = command.run or _run_folder(f"genie-{folder.resolve().name}", command.tiny)
        recipe = from_folder(run, folder, progress)
        recipe = shorten(recipe) if command.tiny else recipe
    else:
        recipe = find_genie(command.recipe, command.run, tiny=command.tiny)
        recipe = on_recordings(recipe, Path(command.source)) if command.source else recipe
    world = run_genie(recipe, progress)
    print(f"what each action does: {draw_actions(world)}")
    if command.keys_from is not None:
        chosen = name_keys(recipe, world, command.keys_from)
        print("keys: " + ", ".join(f"{key} is action {action + 1}" for key, action in chosen.items()))
    print(f"{world} plays under {recipe.dynamics.model.num_actions} learnt actions: paracosm play {world}")


def _walk_video(command: RecipeCommand, progress: ProgressMaker) -> Path:
    """Walk a street of matrix_game2."""
    if command.tiny:
        raise ConfigError("--tiny is not taken: matrix_game2.tiny is the toy size")
    from paracosm.recipes import video_street

    street = video_street.street(
        command.recipe,
        command.run or _run_folder(command.recipe, tiny=False),
        Path(command.source) if command.source else None,
        command.parts,
        command.base,
    )
    return video_street.run_video_street(street, progress)


def _run_folder(name: str, tiny: bool) -> Path:
    """Where a run lies that was given no folder; toy runs lie apart, their sizes differ."""
    return Path("runs") / (f"{name}-tiny" if tiny else name)


def _suite(street: Street, command: RecipeCommand) -> SuiteConfig | None:
    """The evaluation that follows, or None when it was not asked for or cannot be."""
    if command.evaluate == "none":
        return None
    held_out = street.run / "data" / "held_out"
    if not held_out.is_dir():
        logger.warning("nothing is measured: %s holds no held-out recordings", held_out)
        return None
    if street.reader is None:
        logger.warning("nothing is measured: a world without controls has no reader of controls")
        return None
    unseen = street.run / "data" / "unseen"
    return SuiteConfig(
        world=f"model:{street.world}",
        data=held_out,
        reference=street.dynamics.data,
        unseen=unseen if unseen.is_dir() else None,
        reader=street.reader.run / "inverse_dynamics",
        tokenizer=street.tokenizer.run / "tokenizer",
        suite="first",
        size="quick" if command.tiny or command.evaluate == "quick" else "full",
        workers=2,
        seed=0,
    )
