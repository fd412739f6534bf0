"""Starts unlike the training data: ``python -m benchmarks.genie_far_starts WORLD --json FILE``.

Drawings made by code, the user's own photos (``--photos FOLDER``; no licence travels with them) and first
frames of other games (``--games gym:ALE/Pong-v5 ...``) begin a world of learnt actions; reported is the share
of them from which two opposite actions still move the picture in opposite directions, beside the same share
from the world's own starts. ``--sheet FILE`` draws what was played.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from paracosm.collect.pictures import crop_centre, shrink
from paracosm.core.figures import make_report, write_report
from paracosm.evaluate.drawings import KINDS, NUM_DRAWINGS, make_drawings
from paracosm.evaluate.far_starts import FarStart, far_figures, find_opposites, play_starts
from paracosm.train.previews import contact_sheet
from paracosm.worlds import open_world

PHOTOS, GAMES = "photo", "other_game"
"""Kinds of starts beside the drawings."""
GAME_STARTS = 4
"""First frames taken of each other game."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("world")
    parser.add_argument("--drawings", type=int, default=NUM_DRAWINGS)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--games", nargs="*", default=[])
    parser.add_argument("--sheet", type=Path, help="picture of all starts")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    world = open_world(f"model:{given.world}" if Path(given.world).is_dir() else given.world)
    height, width = world.info.height, world.info.width
    starts = make_drawings(height, width, given.drawings)
    starts += read_photos(given.photos, height, width) if given.photos else []
    for name in given.games:
        starts += first_frames(name, height, width)
    if given.sheet:
        rows = [np.stack([start.picture for start in starts[i : i + 10]]) for i in range(0, len(starts), 10)]
        Image.fromarray(contact_sheet(rows, scale=1)).save(given.sheet)
    pair = find_opposites(world)
    results = play_starts(world, pair, starts) if pair else []
    figures = far_figures(results, [*KINDS, PHOTOS, GAMES])
    if pair:
        print(f"actions {pair.one + 1} and {pair.other + 1} are opposite along {pair.axis}: {pair.motions}")
    for name, figure in figures.items():
        print(f"{name:44} {figure.value if figure.status == 'ok' else figure.reason} (n = {figure.n})")
    if given.json:
        words = [f"python -m benchmarks.genie_far_starts {given.world}"]
        words += [f"--photos {given.photos}"] if given.photos else []
        words += [f"--games {' '.join(given.games)}"] if given.games else []
        write_report(make_report(" ".join(words), figures), given.json)
    world.close()


def read_photos(folder: Path, height: int, width: int) -> list[FarStart]:
    """Pictures of a folder, cut to the world's shape and made small."""
    found = []
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"}:
            with Image.open(file) as image:
                picture = np.asarray(image.convert("RGB"))
            found.append(FarStart(kind=PHOTOS, name=file.name, picture=_fit(picture, height, width)))
    return found


def first_frames(name: str, height: int, width: int) -> list[FarStart]:
    """First frames of another game, cut and made small as photos are."""
    game = open_world(name)
    frames = [game.reset(seed=seed).image for seed in range(GAME_STARTS)]
    game.close()
    return [
        FarStart(kind=GAMES, name=f"{name} seed {seed}", picture=_fit(frame, height, width))
        for seed, frame in enumerate(frames)
    ]


def _fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return shrink(crop_centre(picture, height, width), height, width)


if __name__ == "__main__":
    main()
