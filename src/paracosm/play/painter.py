"""An outside command that paints a picture from words, as the first frame of a world that reads no words.

The command is the player's own: a diffusion model, an artist's script, a call to a service. It is run without
a shell, so words of a page stay words. This file does NOT know worlds' networks or pages.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from paracosm.core.errors import ConfigError, WorldError
from paracosm.core.extras import need
from paracosm.core.world import WorldInfo

PLACES: tuple[str, ...] = ("{prompt}", "{out}", "{width}", "{height}")
"""What is filled in: the words, the file to write (PNG or JPEG), and the size that is shown, in pixels."""
MOST_SECONDS = 600.0
"""After so long a command counts as hung."""


def paintable(info: WorldInfo) -> bool:
    """Whether a world begins from a picture but not from words."""
    return "image" in info.starts and "prompt" not in info.starts


class Painter(Protocol):
    """Makes first frames from words."""

    def __call__(self, prompt: str, height: int, width: int) -> np.ndarray:
        """Return a picture uint8 (height, width, 3)."""
        ...


@dataclass(frozen=True)
class CommandPainter:
    """Paints by a command such as "paint --prompt {prompt} --out {out}".

    Raises:
        ConfigError: when the command cannot be split into words, or names no {prompt} or no {out}.
    """

    command: str

    def __post_init__(self) -> None:
        """Refuse commands that would not hear the words or could not hand a picture over."""
        missing = [place for place in PLACES[:2] if place not in self.command]
        if missing or not self._parts():
            raise ConfigError(
                f'the painter "{self.command}" names no {" and no ".join(missing) or "program"}; write e.g. '
                '"paint --prompt {prompt} --out {out}", also {width} and {height} are filled in'
            )

    def __call__(self, prompt: str, height: int, width: int) -> np.ndarray:
        """Run the command and fit its picture into the frame: scaled to fill it, what stands out is cut off.

        Raises:
            WorldError: when the command is missing, fails, hangs or leaves no picture.
            MissingPackageError: without Pillow.
        """
        image = need("PIL.Image", "train")
        ops = need("PIL.ImageOps", "train")
        with tempfile.TemporaryDirectory(prefix="paracosm-painter-") as place:
            out = Path(place) / "first.png"
            self._run([self._fill(part, prompt, out, height, width) for part in self._parts()])
            try:
                with image.open(out) as picture:
                    return np.array(
                        ops.fit(picture.convert("RGB"), (width, height), image.Resampling.LANCZOS)
                    )
            except OSError as error:
                raise WorldError(
                    f"the painter {self._parts()[0]} ended well but left no picture at {{out}} ({error}); "
                    "it must write that file, as PNG or JPEG"
                ) from None

    def _parts(self) -> list[str]:
        try:
            return shlex.split(self.command)
        except ValueError as error:
            raise ConfigError(
                f'the painter "{self.command}" cannot be read: {error}; mend its quotes'
            ) from None

    @staticmethod
    def _fill(part: str, prompt: str, out: Path, height: int, width: int) -> str:
        given = dict(zip(PLACES, (prompt, str(out), str(width), str(height)), strict=True))
        # all places at once, so that words which look like a place stay words
        return re.sub("|".join(map(re.escape, PLACES)), lambda found: given[found.group()], part)

    def _run(self, words: list[str]) -> None:
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
        except OSError as error:
            raise WorldError(f"the painter cannot be run ({error}); give the path of a program") from None
        except subprocess.TimeoutExpired:
            raise WorldError(
                f"the painter {words[0]} was still at work after {MOST_SECONDS:g} s and was stopped"
            ) from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
            raise WorldError(f"the painter {words[0]} failed with exit code {done.returncode}: {said[:300]}")
