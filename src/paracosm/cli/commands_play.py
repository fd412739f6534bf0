"""The command that plays: opens the page, or measures what a simulated viewer sees."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from paracosm.cli.arguments import File, full_name, parse
from paracosm.cli.keep_takes import TakeKeeper
from paracosm.core.errors import ConfigError
from paracosm.play.server import Address, ServeConfig, open_browser, serve
from paracosm.worlds import open_world


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
    json: File = None
    """Also write the figures of --bench to this file."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets in other machines of the network, with the token."""
    port: int = 8720
    """Port to listen on; 0 takes any free one."""
    allow_hosts: tuple[str, ...] = ()
    """Further names under which the page may be opened."""
    seed: int = 0
    """Seed of --bench; the page chooses its own."""
    no_browser: bool = False
    """Print the address and open no browser."""
    takes: Path = Path("recordings/played")
    """Where recordings made in the page are kept, a dataset for each world."""


def play(arguments: list[str]) -> None:
    """Run ``paracosm play``."""
    command = parse(PlayCommand, arguments, "paracosm play")
    if command.json is not None and not command.bench:
        raise ConfigError("--json writes the figures of --bench; give --bench SECONDS as well")
    _serve(command)


def _serve(command: PlayCommand) -> None:
    config = ServeConfig(host=command.host, port=command.port, allow_hosts=command.allow_hosts)

    def ready(address: Address) -> None:
        print(f"{full_name(command.world)} is played at {address.url}")
        for url in address.network_urls:
            print(f"from other machines: {url}")
        if not command.no_browser and not open_browser(address.url):
            print("no browser was found here: open the address above in one")
        print("Ctrl+C stops it", flush=True)

    serve(config, open_world, [full_name(command.world)], recorder=TakeKeeper(command.takes), ready=ready)
