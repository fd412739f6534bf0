"""Keeps what players record in the page: each take becomes an episode of a dataset that the trainer reads."""

import re
import time
from dataclasses import asdict, replace
from pathlib import Path

from paracosm.core.controls import Control
from paracosm.core.episode import Recipe
from paracosm.core.extras import need
from paracosm.play.takes import Take


class TakeKeeper:
    """A recorder for the server; one dataset for each world, one episode for each take."""

    def __init__(self, folder: Path) -> None:
        """Name the folder of the datasets; it is made when the first take comes."""
        self._folder = folder
        self._count = 0

    def __call__(self, take: Take) -> str:
        """Store a take.

        Raises:
            MissingPackageError: when pyarrow is not installed, which players need not have.
            DataError: when the disk is full or the folder holds recordings of another size.
        """
        need("pyarrow", "video")
        from paracosm.data.writer import EpisodeWriter, prepare_dataset

        dataset = self._folder / re.sub(r"[^\w.-]+", "-", take.info.name).strip("-.")
        prepare_dataset(dataset, take.info)
        self._count += 1
        name = f"person-{time.strftime('%Y%m%d-%H%M%S')}-{self._count:03d}"
        recipe = Recipe(
            world=take.info.name,
            engine=take.info.engine,
            seed=take.seed,
            level_seed=take.seed,
            policy="person",
            prompt=take.prompt,
            start=None if take.start is None else take.start[None],
        )
        with EpisodeWriter(dataset, name, take.info, recipe) as writer:
            if take.before:
                # the take begins after the reset: without these steps its first frame cannot be made again
                writer.add_input(
                    {"kind": "before", "controls": [_to_json(control) for control in take.before]}
                )
            for at, tuning in take.tuned:
                # counted from the reset: with these the world makes the same pictures again
                writer.add_input({"kind": "tuned", "at": at, **asdict(tuning)})
            # rows count from the take's first frame, whatever was played before it
            first, *rest = (replace(frame, index=row) for row, frame in enumerate(take.frames))
            writer.begin(first)
            for control, frame in zip(take.controls, rest, strict=True):
                writer.step(control, frame)
        return f"{len(take.controls)} steps are in {dataset / 'episodes' / name}"


def _to_json(control: Control) -> dict[str, object]:
    return {
        "keys": sorted(control.keys),
        "look": list(control.look),
        "text": control.text,
        "latent": control.latent,
    }
