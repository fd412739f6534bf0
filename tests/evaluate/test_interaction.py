"""Dreams whose interactions have known faults get the marks that the faults earn."""

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.core.rng import stream
from paracosm.evaluate.interaction_effect import (
    Effect,
    Quartet,
    delay,
    measure_effect,
    placebo_gain,
    to_cells,
    widen,
)
from paracosm.evaluate.interaction_score import Marks, mark

STEPS, HEIGHT, WIDTH, LATEST = 24, 48, 64, 8
ROOM = stream(0, "room").integers(40, 120, (HEIGHT // 4, WIDTH // 4, 3)).repeat(4, 0).repeat(4, 1)
IDLE = np.repeat(ROOM[None].astype(np.uint8), STEPS, axis=0)


def door() -> np.ndarray:
    """A bright patch that slides open over steps 1 to 5 and stays: a lasting effect."""
    clip = IDLE.copy()
    for step in range(1, STEPS):
        bottom = 8 + 6 * min(step, 5)
        clip[step, 8:bottom, 20:44] = (30, 200, 60)
    return clip


def flash() -> np.ndarray:
    """A bright patch at steps 2 to 5 only: a passing effect."""
    clip = IDLE.copy()
    clip[2:6, 30:40, 28:36] = (250, 240, 160)
    return clip


EFFECTS = {"door": door(), "flash": flash()}


def marks_of(acted: np.ndarray, idle: np.ndarray, kind: str = "door", other_idle=()) -> Marks:
    clips = Quartet(acted=acted, idle=idle, true_acted=EFFECTS[kind], true_idle=IDLE)
    return mark(clips, LATEST, other_idle)


def later(clip: np.ndarray, steps: int) -> np.ndarray:
    return np.concatenate([IDLE[:steps], clip[:-steps]])


def noise(seed: int, level: float = 12.0) -> np.ndarray:
    return stream(seed, "noise").normal(0, level, IDLE.shape)


def add(clip: np.ndarray, change: np.ndarray | float) -> np.ndarray:
    return np.clip(clip + change, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", EFFECTS)
def test_the_true_game_gets_full_marks(kind: str) -> None:
    marks = marks_of(EFFECTS[kind], IDLE, kind)
    assert marks.overall == 5.0
    assert (marks.gain, marks.lag, marks.unasked) == (pytest.approx(1.0), 0, pytest.approx(0.0))


@pytest.mark.parametrize("kind", EFFECTS)
@pytest.mark.parametrize("shown", ["idle", "first frame"])
def test_a_world_in_which_nothing_happens_gets_no_marks(kind: str, shown: str) -> None:
    clip = IDLE if shown == "idle" else np.repeat(IDLE[:1], STEPS, axis=0)
    assert marks_of(clip, clip, kind).overall == 0.0


@pytest.mark.parametrize("kind", EFFECTS)
def test_an_effect_that_comes_without_the_key_is_no_trigger_but_is_told(kind: str) -> None:
    marks = marks_of(EFFECTS[kind], EFFECTS[kind], kind)
    assert marks.overall == 0.0
    assert marks.unasked > 0.5


@pytest.mark.parametrize("kind", EFFECTS)
@pytest.mark.parametrize(("steps", "alignment"), [(1, 5), (3, 3), (6, 1)])
def test_a_late_effect_loses_alignment_by_its_delay(kind: str, steps: int, alignment: int) -> None:
    marks = marks_of(later(EFFECTS[kind], steps), IDLE, kind)
    assert (marks.trigger, marks.lag, marks.alignment) == (1, steps, alignment)
    assert (marks.fluency, marks.scope, marks.end_state, marks.physics) == (5, 5, 5, 5)


def test_an_effect_later_than_counted_is_none() -> None:
    assert marks_of(later(EFFECTS["flash"], 15), IDLE, "flash").trigger == 0


@pytest.mark.parametrize("kind", EFFECTS)
def test_another_effect_is_no_trigger_but_is_told_as_wrong(kind: str) -> None:
    other = EFFECTS["flash" if kind == "door" else "door"]
    everywhere = add(IDLE, 45.0)
    opposite = add(2.0 * IDLE - EFFECTS[kind], 0.0)
    for clip in (other, everywhere, opposite):
        assert marks_of(clip, IDLE, kind).overall == 0.0
    assert marks_of(everywhere, IDLE, kind).wrong


def test_a_lasting_effect_that_fades_loses_its_end_state() -> None:
    clip = EFFECTS["door"].copy()
    clip[12:] = IDLE[12:]
    marks = marks_of(clip, IDLE)
    assert (marks.trigger, marks.alignment, marks.fluency, marks.end_state) == (1, 5, 5, 1)


def test_a_passing_effect_that_stays_loses_its_end_state() -> None:
    clip = EFFECTS["flash"].copy()
    clip[6:] = clip[5]
    marks = marks_of(clip, IDLE, "flash")
    assert (marks.trigger, marks.alignment, marks.end_state) == (1, 5, 1)


def test_a_flickering_effect_loses_fluency() -> None:
    once, often = EFFECTS["door"].copy(), EFFECTS["door"].copy()
    once[10:12] = IDLE[10:12]
    often[7:20:3] = IDLE[7:20:3]
    assert marks_of(once, IDLE).fluency == 3
    assert marks_of(often, IDLE).fluency == 1
    assert marks_of(often, IDLE).alignment == 5


def test_an_effect_that_spreads_beyond_its_place_loses_scope_and_physics() -> None:
    clip = EFFECTS["door"].copy()
    clip[2:, :, :16] = add(clip[2:, :, :16], 60.0)
    clip[2:, :, 48:] = add(clip[2:, :, 48:], 60.0)
    marks = marks_of(clip, IDLE)
    assert (marks.trigger, marks.alignment) == (1, 5)
    assert marks.scope < 5
    assert marks.physics < 5


def test_what_a_dream_gets_wrong_anyway_cancels() -> None:
    """A grey, tinted dream opens its door as well: differences of differences see the door only."""

    def dull(clip: np.ndarray) -> np.ndarray:
        return (clip * 0.6 + np.array([70, 40, 40])).astype(np.uint8)

    marks = marks_of(dull(EFFECTS["door"]), dull(IDLE))
    assert (marks.trigger, marks.alignment, marks.scope, marks.end_state) == (1, 5, 5, 5)
    assert marks.gain == pytest.approx(0.6, abs=0.02)


def test_shared_noise_cancels_and_other_noise_is_what_a_gain_must_beat() -> None:
    shared = marks_of(add(EFFECTS["door"], noise(1)), add(IDLE, noise(1)))
    assert (shared.trigger, shared.alignment) == (1, 5)
    # a dream blind to the key whose noise is not shared: a gain as large as noise alone makes is no trigger
    wild = stream(3, "wild")
    blobs = [add(IDLE, np.repeat(wild.normal(0, 60, (1, 1, 1, 3)), STEPS, axis=0)) for _ in range(5)]
    acted, idle, *others = blobs
    marks = marks_of(acted, idle, "door", others)
    assert marks.placebo > 0
    assert marks.trigger == 0


def test_marks_without_a_trigger_are_all_zero_and_overall_is_interbenchs() -> None:
    assert Marks(trigger=0).overall == 0
    marks = Marks(trigger=1, alignment=5, fluency=3, scope=5, end_state=1, physics=3)
    assert marks.overall == pytest.approx((5 + 5 + 3 + 5 + 1 + 3) / 6)
    assert marks.to_json()["overall"] == marks.overall


def test_the_delay_is_the_one_that_explains_the_effect_best_not_the_largest_gain() -> None:
    clips = Quartet(acted=EFFECTS["door"], idle=IDLE, true_acted=EFFECTS["door"], true_idle=IDLE)
    assert measure_effect(clips, LATEST).lag == 0


def test_gain_agreement_and_standing_on_hand_computed_cells() -> None:
    true = np.zeros((2, 1, 2, 3), np.float32)
    true[1, 0, 0] = (40, 0, 0)
    own = np.zeros_like(true)
    own[1, 0, 0] = (20, 0, 0)
    own[1, 0, 1] = (0, 15, 0)
    effect = Effect(lag=0, own=own, true=true, idle_gap=np.broadcast_to(true[1] / 4, true.shape))
    assert effect.active.tolist() == [False, True]
    assert effect.best_window() == (0.5, slice(1, 2))
    assert effect.agreement(slice(1, 2), "region") == pytest.approx(1.0)
    assert effect.agreement(slice(1, 2), "picture") == pytest.approx(20 / 25)
    assert effect.unasked() == 0.25


def test_cells_average_frames_and_widen_by_one() -> None:
    frames = np.zeros((1, 48, 64, 3), np.uint8)
    frames[0, 0, 0] = 40
    assert to_cells(frames)[0, 0, 0, 0] == 10
    assert to_cells(frames).shape == (1, 24, 32, 3)
    marked = np.zeros((1, 5, 5), bool)
    marked[0, 0, 0] = True
    assert widen(marked)[0].sum() == 4


def test_a_delayed_effect_begins_with_nothing() -> None:
    change = np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1) + 1
    assert delay(change, 2).ravel().tolist() == [0, 0, 1, 2]


def test_a_placebo_without_other_seeds_is_zero() -> None:
    clips = Quartet(acted=EFFECTS["door"], idle=IDLE, true_acted=EFFECTS["door"], true_idle=IDLE)
    assert placebo_gain(measure_effect(clips, LATEST), IDLE, []) == 0.0


def test_a_moment_without_a_true_effect_is_refused() -> None:
    clips = Quartet(acted=IDLE, idle=IDLE, true_acted=IDLE, true_idle=IDLE)
    with pytest.raises(
        DataError, match="the true game shows no effect of the key here; choose another moment"
    ):
        mark(clips, LATEST)


def test_clips_of_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"the four clips have shapes .*; give four of one shape"):
        Quartet(acted=IDLE[:3], idle=IDLE, true_acted=IDLE, true_idle=IDLE)
