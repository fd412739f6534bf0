"""The command that plays: opens the page, or measures what a simulated viewer sees."""

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import tyro

from paracosm.cli.arguments import File, command_line, full_name, parse, show, stderr_progress
from paracosm.cli.keep_takes import TakeKeeper
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ParacosmError, WorldError
from paracosm.core.figures import make_report
from paracosm.core.world import World, check_start
from paracosm.core.world_spec import WorldSpec, check_parts, kind_of, load_spec
from paracosm.play.bench import bench_world
from paracosm.play.engine import EngineConfig, open_model_world, refuse_place
from paracosm.play.painter import CommandPainter, paintable
from paracosm.play.server import Address, Offer, ServeConfig, open_browser, serve
from paracosm.play.steadiness import measure_steadiness
from paracosm.worlds import open_world
from paracosm.zoo import bundled_worlds

MODEL = "model:"


@dataclass(frozen=True, kw_only=True)
class PlayCommand:
    """Play a world in the browser; without a display, open the address that is printed.

    A plain name is a neural world: paracosm play coinrun. The real game: paracosm play game:doom.
    """

    world: tyro.conf.Positional[str] = "doom"
    """World to play: a bundled one, a world's folder, game:NAME, gym:ID or replay:PATH#N."""
    beside: bool = False
    """Show the true game and the dream side by side under the same controls."""
    bench: float = 0.0
    """Measure for so many seconds with a simulated viewer instead, unpaced and then paced."""
    chromium: bool = False
    """With --bench: measure through a real headless Chromium as well."""
    steady: float = 0.0
    """Play so many minutes without a page instead, as fast as it goes, and tell whether frame time and memory
    stay as they are."""
    json: File = None
    """With --bench or --steady: also write the figures to this file."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets in other machines of the network, with the token."""
    port: int = 8720
    """Port to listen on; 0 takes any free one."""
    allow_hosts: tuple[str, ...] = ()
    """Further names under which the page may be opened."""
    seed: int = 0
    """Seed of --bench and --steady; the page chooses its own."""
    no_browser: bool = False
    """Print the address and open no browser."""
    takes: Path = Path("recordings/played")
    """Where recordings made in the page are kept, a dataset for each world."""
    prompt: str = ""
    """Words from which the page begins the world, where the world begins from words."""
    painter: str = ""
    """Command that paints the first frame from words where the world reads none, e.g.
    "paint --prompt {prompt} --out {out}"; {width} and {height} are filled in too."""
    steps: int = 0
    """Denoising passes a frame of a neural world; 0 takes the world's own."""
    engine: tyro.conf.OmitArgPrefixes[EngineConfig] = field(default_factory=EngineConfig)
    """How a neural world is run."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if min(self.bench, self.steady, self.steps) < 0:
            raise ConfigError(
                f"--bench {self.bench:g}, --steady {self.steady:g} and --steps {self.steps} "
                "must not be negative"
            )
        if self.bench and self.steady:
            raise ConfigError("--bench and --steady both measure; give one of them")
        if self.steps and self.engine.levels:
            raise ConfigError("--steps and --levels both choose the denoising passes; give one of them")
        if self.json is not None and not (self.bench or self.steady):
            raise ConfigError("--json belongs to --bench and --steady; give --bench SECONDS as well")
        if self.chromium and not self.bench:
            raise ConfigError("--chromium belongs to --bench; give --bench SECONDS as well")


def play(arguments: list[str]) -> None:
    """Run ``paracosm play``."""
    command = parse(PlayCommand, arguments, "paracosm play")
    opener = WorldChooser(command)
    if not command.bench and not command.steady:
        _serve(command, opener)
        return
    with contextlib.closing(opener.offers()[0].open(opener)) as world:
        if command.steady:
            line = stderr_progress()
            figures = measure_steadiness(world, command.steady, seed=command.seed, progress=line)
        else:
            figures = bench_world(
                world,
                command.bench,
                seed=command.seed,
                started_s=process_started_s(),
                browser=command.chromium,
            )
    show(make_report(command_line("play", arguments), figures, [command.seed]), command.json)


class WorldChooser:
    """Opens worlds as the command asks: neural ones with its settings, true games to fit their dream."""

    def __init__(self, command: PlayCommand) -> None:
        """Read the options; opens nothing yet."""
        levels = tuple(1 - i / command.steps for i in range(command.steps)) or command.engine.levels
        self.engine = replace(command.engine, levels=levels)
        self.name = full_name(command.world)
        self.beside = command.beside
        self._spec = find_spec(self.name)
        if self.is_dream or not self.name.startswith(MODEL):
            refuse_place(self.engine, self.name)  # said here, and not first in the page

    @property
    def is_dream(self) -> bool:
        """Whether the chosen world is a neural one whose folder was found."""
        return self._spec is not None

    def __call__(self, name: str) -> World:
        """Open the world called ``name``."""
        if name.startswith(MODEL):
            # the page offers other worlds beside the chosen one, for which place and numbers were not meant
            own = name == self.name
            engine = self.engine if own else replace(self.engine, device="auto", dtype="auto")
            world = open_model_world(name.removeprefix(MODEL), engine)
            if self.compiles:
                # At the first use torch compiles for a minute: longer than a viewer waits for a frame.
                world.reset(seed=0)
                world.step(Control())
            return world
        config = self._spec.game_config if self._spec is not None and name == self._spec.game else None
        return open_world(name, config)

    @property
    def compiles(self) -> bool:
        """Whether torch compiles the neural worlds."""
        return self.engine.compile != "off"

    def offers(self) -> list[Offer]:
        """Return what the page offers: the chosen world first, then its true game and the other bundled ones.

        Raises:
            WorldError: when the true game is asked for and not known.
        """
        dreams = [self.name, *(f"{MODEL}{name}" for name in bundled_worlds())]
        found = [Offer(name=name, worlds=(name,), title=_title(name)) for name in dict.fromkeys(dreams)]
        if self._spec is None or not self._spec.game:
            if self.beside:
                raise WorldError(
                    f"{self.name} does not say which game it dreams of; play it without --beside"
                )
            return found
        game = self._spec.game
        pair = Offer(
            name=f"{game} | {self.name}",
            worlds=(game, self.name),
            title=f"{_title(self.name)} beside the true game",
        )
        true_game = Offer(name=game, worlds=(game,), title=f"{_title(game)}, the true game")
        if self.beside:
            return [pair, *found, true_game]
        # a game that is not installed here is not offered, so that the page has no entry that only fails
        return [*found, pair, true_game] if self._can_open(game) else found

    def _can_open(self, name: str) -> bool:
        try:
            self(name).close()
        except ParacosmError:
            return False
        return True


def process_started_s() -> float:
    """Return when this process began, in seconds since 1970; the wait for the first frame begins there."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()
    return time.time() - uptime_s + ticks / os.sysconf("SC_CLK_TCK")


def find_spec(name: str) -> WorldSpec | None:
    """Return what a neural world's folder says of it, after a look at its files.

    Returns:
        None for other kinds of worlds, for neural ones that dream of no game, and for names that no folder
        has.

    Raises:
        ConfigError: when world.json does not fit or is of a newer format.
        DataError: when a file of the world is missing or has changed.
    """
    if not name.startswith(MODEL):
        return None
    where = name.removeprefix(MODEL)
    folder = bundled_worlds().get(where, Path(where))
    if not folder.is_dir() or kind_of(folder):
        return None
    spec = load_spec(folder)
    check_parts(folder, spec)
    return spec


def _title(name: str) -> str:
    """A word for a world; recipes put worlds into folders called "world", told apart by the folder above."""
    path = Path(name.rpartition(":")[2])
    if path.name == "world" and path.parent.name:
        path = path.parent
    return path.name.capitalize()


def _serve(command: PlayCommand, opener: WorldChooser) -> None:
    painter = CommandPainter(command.painter) if command.painter else None
    config = ServeConfig(
        host=command.host, port=command.port, allow_hosts=command.allow_hosts, painter=painter
    )
    offers = opener.offers()
    words = f"&prompt={quote(command.prompt)}" if command.prompt else ""

    def ready(address: Address) -> None:
        print(f"{offers[0].name} is played at {address.url}{words}")
        for url in address.network_urls:
            print(f"from other machines: {url}{words}")
        if not command.no_browser and not open_browser(f"{address.url}{words}"):
            print("no browser was found here: open the address above in one")
        print("Ctrl+C stops it", flush=True)

    with contextlib.ExitStack() as kept:
        if opener.compiles:
            # Compiled networks are shared with the page's world as long as one is open.
            print(f"{opener.name} is being compiled, which takes a minute", flush=True)
            kept.enter_context(contextlib.closing(opener(opener.name)))
        if not opener.is_dream or command.prompt:
            # what cannot be opened is said here, in the terminal, and not first in the page
            with contextlib.closing(opener(opener.name)) as world:
                painted = painter is not None and paintable(world.info)
                check_start(world.info, None, (), None if painted else command.prompt or None)
        serve(config, opener, offers, recorder=TakeKeeper(command.takes), ready=ready)
