"""The command that brings weights of other projects in: convert."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from paracosm.cli.arguments import File, command_line, parse, show
from paracosm.core.figures import Figure, make_report


@dataclass(frozen=True, kw_only=True)
class ConvertCommand:
    """Turn published weights into a world: paracosm convert matrix-game-2 FOLDER OUT.

    FOLDER holds config.json and one safetensors file, and, there or beside it, the picture codec (vae/ or
    Wan2.1_VAE.pth) and the image encoder (image_encoder/ or the published CLIP file); without these two only
    the transformer is converted. A pipeline.json beside config.json says how blocks are denoised, where that
    is not as published. Nothing is downloaded.
    """

    system: tyro.conf.Positional[Literal["matrix-game-2"]]
    """Whose weights they are."""
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Where they lie."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder of the world; an earlier conversion is replaced, any other folder must be new or empty."""
    variant: Literal["auto", "universal", "gta_drive", "templerun", "foundation"] = "auto"
    """Which variant; auto looks at its config."""
    height: int = 352
    """Rows of a frame; a multiple of 16."""
    width: int = 640
    """Columns of a frame; a multiple of 16."""
    steps: tuple[int, ...] = ()
    """Denoising steps of 1,000, falling from 1000; without it the variant's own."""
    start: tuple[Path, ...] = ()
    """Pictures to begin from; without one a plain landscape is drawn."""
    json: File = None
    """Also write the figures to this file."""


def convert(arguments: list[str]) -> None:
    """Run ``paracosm convert``."""
    command = parse(ConvertCommand, arguments, "paracosm convert")
    from paracosm.convert.matrix_game2_world import ConvertConfig, convert_matrix_game2

    made = convert_matrix_game2(
        ConvertConfig(
            source=command.folder,
            out=command.out,
            variant=command.variant,
            height=command.height,
            width=command.width,
            steps=command.steps,
            starts=command.start,
        )
    )
    if made.missing:
        print(
            f"{command.out}/dynamics holds the transformer ({made.variant}); it does not play: "
            f"{command.folder} has no {' and no '.join(made.missing)}"
        )
    else:
        print(f"{command.out} plays ({made.variant}): paracosm play {command.out}")
    figures = {
        "convert.tensors": Figure(value=made.tensors, higher_is_better=None),
        "convert.parameters": Figure(value=made.parameters, higher_is_better=None),
    }
    print()
    show(make_report(command_line("convert", arguments), figures), command.json)
