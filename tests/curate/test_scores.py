"""What the stages say of videos whose content is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.curate.duplicates import DuplicatesConfig, Hashed, find_duplicates, find_similar, near_pairs
from paracosm.curate.hashing import count_different, perceptual_hash
from paracosm.curate.motion import CAMERAS, MotionConfig, name_move
from paracosm.curate.motion_field import aligned_residual, flow_between
from paracosm.curate.overlay import OverlayConfig, find_display, paused_share
from paracosm.curate.scores import read_scores
from tests.curate.made import FPS, WIDTH, pan, texture, with_display

LOOSE = 0.2
"""Share by which codec vectors of a made pan may miss the true motion: blocks at the border have no match."""


def grey(frame: np.ndarray) -> np.ndarray:
    return frame.mean(axis=-1).astype(np.uint8)


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    return {row["clip"]: row for row in read_scores(out).clips.to_pylist()}


def test_a_cut_is_found_at_its_frame_and_nowhere_else(curated):
    rows = rows_of(curated)
    assert [name for name in rows if name.startswith("game/a")] == ["game/a.mp4#0-40", "game/a.mp4#40-80"]
    assert rows["game/a.mp4#40-80"]["begins"] == "cut"


def test_motion_is_measured_in_picture_widths_a_second(curated):
    row = rows_of(curated)["game/b.mp4#0-40"]
    assert row["motion"] == pytest.approx(4 * FPS / WIDTH, rel=LOOSE)
    assert row["pan"] == pytest.approx(4 * FPS / WIDTH, rel=LOOSE)
    assert (row["camera"], row["view"]) == ("pan-right", "first")


def test_the_camera_turns_the_other_way_than_the_picture(curated):
    assert rows_of(curated)["game/a.mp4#40-80"]["camera"] == "pan-left"


def test_a_standstill_is_frozen_paused_and_has_no_known_display(curated):
    row = rows_of(curated)["other/c.mp4#0-40"]
    assert (row["camera"], row["frozen"], row["paused"]) == ("still", 1.0, 1.0)
    assert row["hud"] is None, "what stays in place cannot be told where nothing moves"
    assert row["view"] == "unknown"


def test_a_display_is_told_from_the_world_behind_it(curated):
    rows = rows_of(curated)
    assert rows["game/b.mp4#0-40"]["hud"] < 0.03
    assert rows["game/a.mp4#40-80"]["hud"] > 0.1
    assert rows["game/a.mp4#40-80"]["hud_area"] > rows["game/b.mp4#0-40"]["hud_area"]


def test_a_copy_names_its_original_and_other_games_are_not_compared(curated):
    rows = rows_of(curated)
    assert rows["game/b.mp4#0-40"]["duplicate_of"] == "game/a.mp4#0-40"
    assert rows["game/a.mp4#0-40"]["duplicate_of"] is None
    assert rows["other/c.mp4#0-40"]["duplicate_of"] is None


def test_what_a_video_cannot_tell_is_null(curated):
    row = rows_of(curated)["game/b.mp4#0-40"]
    for name in ("stratum", "idle", "events", "reversible", "align_lag", "text"):
        assert row[name] is None


def test_a_folder_that_was_not_curated_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="was not curated yet; run: paracosm curate run FOLDER --out"):
        read_scores(tmp_path)


def test_motion_explains_a_turn_but_not_a_cut():
    one, two = grey(pan(4, 2, step=30)[0]), grey(pan(4, 2, step=30)[1])
    other = grey(pan(5, 1)[0])
    assert aligned_residual(one, two) < 0.3
    assert aligned_residual(one, other) > 0.8


def test_dense_flow_follows_a_fast_turn():
    frames = pan(6, 2, step=25)
    flow = flow_between(grey(frames[0]), grey(frames[1]))
    assert flow.x == pytest.approx(-25 / WIDTH, rel=0.1)
    assert flow.y == pytest.approx(0, abs=0.01)


def test_growth_is_a_zoom():
    import cv2

    big = texture(7, 144, 256)
    near = cv2.resize(big[7:137, 13:243], (256, 144), interpolation=cv2.INTER_AREA)
    assert flow_between(grey(big), grey(near)).zoom == pytest.approx(256 / 230 - 1, rel=0.3)


@pytest.mark.parametrize(
    ("move", "name"),
    [((0.3, 0, 0), "pan-right"), ((-0.3, 0.1, 0), "pan-left"), ((0, 0.3, 0), "tilt-up"),
     ((0, 0, 0.5), "zoom-in"), ((0, 0, -0.5), "zoom-out"), ((0.01, 0, 0), "still")],
)  # fmt: skip
def test_moves_have_names(move, name):
    assert name_move(*move, MotionConfig()) == name
    assert name in CAMERAS


def test_a_display_needs_enough_pictures():
    assert find_display(pan(8, 3), OverlayConfig()) == (None, None)
    with_one, _ = find_display(with_display(pan(8, 8, step=20)), OverlayConfig())
    without, _ = find_display(pan(8, 8, step=20), OverlayConfig())
    assert with_one is not None
    assert without is not None
    assert with_one > 5 * without


def test_short_standstills_are_no_pause():
    moved = np.array([0.5] * 5 + [0.0] * 8 + [0.5] * 5 + [0.0] * 12)
    dark = np.zeros(31)
    assert paused_share(moved, dark, 10.0, OverlayConfig()) == pytest.approx(12 / 30)


def test_hashes_of_near_pictures_are_near_and_of_others_far():
    frame, other = grey(texture(9, 90, 160)), grey(texture(10, 90, 160))
    noisy = np.clip(frame.astype(int) + 3, 0, 255).astype(np.uint8)
    one, near, far = (np.uint64(perceptual_hash(picture) or 0) for picture in (frame, noisy, other))
    assert count_different(one, near) <= 4
    assert count_different(one, far) > 12
    assert perceptual_hash(np.full((90, 160), 80, np.uint8)) is None


def test_no_near_pair_is_missed():
    generator = np.random.Generator(np.random.Philox(0))
    hashes = generator.integers(0, 2**63, 60, np.uint64)
    hashes = np.concatenate([hashes, hashes[:20] ^ np.uint64(0b10100001000001000001)])
    found = set(near_pairs(hashes, 6))
    exact = {
        (later, earlier)
        for later in range(len(hashes))
        for earlier in range(later)
        if count_different(hashes[later], hashes[earlier]) <= 6
    }
    assert found == exact
    assert len(exact) >= 20


def test_the_first_of_several_alike_is_the_original_of_all():
    same = np.arange(5, dtype=np.uint64) * np.uint64(0x0123456789ABCDEF)
    clips = [Hashed(name=name, game="g", hashes=same) for name in "abc"]
    clips.append(Hashed(name="d", game="g", hashes=np.empty(0, np.uint64)))
    rows = find_duplicates(clips, DuplicatesConfig()).to_pylist()
    assert [row["duplicate_of"] for row in rows] == [None, "a", "a", None]
    assert rows[3]["duplicate"] is None


def test_likeness_is_sought_within_a_game():
    vectors = np.array([[1, 0], [0, 1], [1, 0.1], [1, 0]], np.float32)
    rows = find_similar(["a", "b", "c", "d"], ["g", "g", "g", "h"], vectors).to_pylist()
    assert [row["similar_to"] for row in rows] == [None, "a", "a", None]
    assert rows[2]["similar"] > 0.99
