"""A world of instructions plays clip after clip under keys, words and video prompts; others it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, DataError, WorldError
from paracosm.core.instruct_spec import InstructPlay, load_instruct_spec
from paracosm.core.rng import stream
from paracosm.core.world_spec import Starts
from paracosm.models.base import weights_hash
from paracosm.models.instruct import InstructNet
from paracosm.models.instruct_world import build_instruct_world
from paracosm.play.engine import open_model_world
from paracosm.play.instruct_world import InstructEngineConfig, InstructWorld
from tests import foreign, tiny, tiny_instruct
from tests.tiny import CONTROLS, HEIGHT, WIDTH, perturb

GIVEN, NEW = 2, 3
QUICK = InstructPlay(levels=(1.0, 0.5))


def make_models(root: Path) -> None:
    """Save a tokenizer, a base, and a branch that belongs to it."""
    tiny.tokenizer().save(root / "tokenizer")
    tiny_instruct.base().save(root / "base")
    branch = InstructNet(replace(tiny_instruct.branch_config(), base_weights=weights_hash(root / "base")))
    perturb(branch, 1)
    branch.save(root / "branch")


def build(root: Path, name: str = "world", branch: bool = True, **changes: object) -> Path:
    draws = stream(0, "starts")
    values = {
        "tokenizer": root / "tokenizer",
        "base": root / "base",
        "branch": root / "branch" if branch else None,
        "starts": Starts(
            frames=draws.integers(0, 256, (3, GIVEN, HEIGHT, WIDTH, 3), np.uint8),
            controls=np.zeros((3, GIVEN - 1, CONTROLS.width), np.float32),
        ),
        "name": "tiny-instruct",
        "description": "Random weights that answer to every word.",
        "fps": 10.0,
        "controls": CONTROLS,
        "encoder": "hashed_words",
        "given_frames": GIVEN,
        "new_frames": NEW,
        "unchanged": "maintain current state",
        "play": QUICK,
    }
    build_instruct_world(root / name, **values | changes)  # pyright: ignore[reportArgumentType]
    return root / name


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("instruct")
    make_models(root)
    return root


@pytest.fixture(scope="module")
def folder(models: Path) -> Path:
    return build(models)


def play(world: InstructWorld, controls: list[Control], seed: int = 0) -> np.ndarray:
    return np.stack([world.reset(seed).image, *(world.step(control).image for control in controls)])


IDLE = [Control()] * (2 * NEW)


def test_it_opens_by_its_folder_and_says_what_it_offers(folder: Path) -> None:
    world = open_model_world(str(folder))
    assert isinstance(world, InstructWorld)
    info = world.info
    assert info.controls.text
    assert info.controls.guide
    assert info.controls.keys == CONTROLS.keys
    assert info.starts == ("seed", "image", "clip", "prompt")
    assert info.details["frames_per_block"] == NEW
    world.close()
    with pytest.raises(WorldError, match="is closed; open it again"):
        world.step(Control())


def test_a_folder_of_others_is_not_replaced_by_a_world(models: Path) -> None:
    with foreign.refused(models / "mine") as mine:
        build(models, mine.name)


def test_it_goes_on_for_more_than_twenty_clips(folder: Path) -> None:
    world = InstructWorld(folder)
    frames = play(world, [Control(keys={"left"})] * (NEW * 21))
    assert frames.shape == (NEW * 21 + 1, HEIGHT, WIDTH, 3)
    assert len(np.unique(frames.reshape(len(frames), -1), axis=0)) == len(frames)


def test_keys_words_and_guide_each_change_the_next_clip_and_the_same_ones_give_the_same_bytes(
    folder: Path,
) -> None:
    world, again = InstructWorld(folder), InstructWorld(folder)
    guide = stream(3, "guide").integers(0, 256, (NEW, HEIGHT, WIDTH, 3), np.uint8)
    first = [
        Control(),
        Control(keys={"left"}),
        Control(look=(3.0, 0.0)),
        Control(text="open the door"),
        Control(text={"light": "make it dark"}),
        Control(guide=guide),
    ]
    played = [play(world, [control, *IDLE[1:]]) for control in first]
    for i, one in enumerate(played):
        assert np.array_equal(one, play(again, [first[i], *IDLE[1:]]))
        assert all(not np.array_equal(one[1 : NEW + 1], other[1 : NEW + 1]) for other in played[:i])


def test_words_stand_until_others_are_given_and_a_guide_holds_for_one_clip(folder: Path) -> None:
    world = InstructWorld(folder)
    spoken = play(world, [Control(text="open the door"), *IDLE[1:]])
    repeated = play(world, [Control(text="open the door")] * len(IDLE))
    assert np.array_equal(spoken, repeated)
    cleared = play(world, [Control(text="open the door"), *IDLE[1:NEW], Control(text=""), *IDLE[1:NEW]])
    assert np.array_equal(spoken[: NEW + 1], cleared[: NEW + 1])
    assert not np.array_equal(spoken[NEW + 1 :], cleared[NEW + 1 :])


def test_idle_hands_leave_a_clip_to_words_and_guide_and_else_stand_still(folder: Path) -> None:
    guide = np.zeros((NEW, HEIGHT, WIDTH, 3), np.uint8)
    cases = [
        (Control(), True),
        (Control(text="light: maintain current state"), True),
        (Control(text="open the door"), False),
        (Control(guide=guide), False),
        (Control(text="open the door", keys={"left"}), True),
        (Control(text="open the door", look=(3.0, 0.0)), True),
    ]
    world = InstructWorld(folder)
    for control, known in cases:
        world.reset(0)
        world.step(control)
        assert world.snapshot().payload.networks.known.tolist() == [known] * GIVEN, control


def test_a_press_between_two_clips_counts_for_the_next(folder: Path) -> None:
    world = InstructWorld(folder)
    tapped = play(world, [Control(), Control(keys={"jump"}), *IDLE[: NEW - 2], *IDLE[:NEW]])
    held = play(world, [*IDLE[:NEW], Control(keys={"jump"}), *IDLE[1:NEW]])
    idle = play(world, IDLE)
    assert np.array_equal(tapped, held)
    assert np.array_equal(tapped[: NEW + 1], idle[: NEW + 1])
    assert not np.array_equal(tapped[NEW + 1 :], idle[NEW + 1 :])


def test_a_snapshot_in_the_middle_of_a_clip_replays_the_same_bytes(folder: Path) -> None:
    world = InstructWorld(folder)
    play(world, [Control(text="light: dark"), Control(keys={"left"})])
    state = world.snapshot()
    first = [world.step(control).image for control in IDLE]
    other = InstructWorld(folder)
    other.restore(state)
    assert np.array_equal(first, [other.step(control).image for control in IDLE])
    world.restore(state)
    world.step(Control(text="open"))
    world.restore(state)
    assert np.array_equal(first, [world.step(control).image for control in IDLE])


def test_a_prompt_draws_the_start_and_other_words_draw_another(folder: Path) -> None:
    world = InstructWorld(folder)
    day, night = world.reset(1, prompt="a room by day").image, world.reset(1, prompt="a room by night").image
    assert day.shape == (HEIGHT, WIDTH, 3)
    assert not np.array_equal(day, night)
    assert np.array_equal(day, world.reset(1, prompt="a room by day").image)
    assert world.step(Control(keys={"left"})).index == 1
    fields = world.reset(1, prompt="summary: a room. atmosphere: night").image
    assert not np.array_equal(fields, night)
    with pytest.raises(WorldError, match="a prompt and a start were both given"):
        world.reset(0, start=day, prompt="night")


def test_it_begins_from_pictures_and_clips_of_any_length(folder: Path) -> None:
    world = InstructWorld(folder)
    picture = stream(1, "drawing").integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    from_picture = world.reset(0, start=picture).image
    assert np.array_equal(
        from_picture, world.reset(0, start=np.stack([picture] * 5), controls=IDLE[:4]).image
    )
    with pytest.raises(WorldError, match="is negative"):
        world.reset(-1)


def test_what_is_not_offered_is_refused_by_name(folder: Path, models: Path) -> None:
    world = InstructWorld(folder)
    world.reset()
    with pytest.raises(ControlError, match=r"fields \['sound'\] of the instruction are not known"):
        world.step(Control(text={"sound": "bang"}))
    with pytest.raises(
        ControlError, match=r"guide is uint8 \(9, 16, 24, 3\); this world takes .* from 1 to 3"
    ):
        world.step(Control(guide=np.zeros((9, HEIGHT, WIDTH, 3), np.uint8)))
    alone = InstructWorld(build(models, "alone", branch=False))
    assert alone.info.controls.keys == ()
    alone.reset()
    with pytest.raises(ControlError, match=r"keys \['left'\] are not offered"):
        alone.step(Control(keys={"left"}))
    with pytest.raises(ControlError, match="guide is not offered: this world follows no guide clip"):
        alone.step(Control(guide=np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)))
    spoken = [alone.step(Control(text="night")).image for _ in range(NEW)]
    alone.reset()
    assert not np.array_equal(spoken, [alone.step(Control()).image for _ in range(NEW)])


def test_without_its_branch_the_base_reads_the_instruction_and_keys_do_nothing(folder: Path) -> None:
    bare = InstructWorld(folder, InstructEngineConfig(branch="off"))
    assert np.array_equal(play(bare, [Control(keys={"left"})] * NEW), play(bare, IDLE[:NEW]))
    assert not np.array_equal(play(bare, [Control(text="night")] * NEW), play(bare, IDLE[:NEW]))


def test_parts_that_do_not_belong_together_are_refused(models: Path, tmp_path: Path) -> None:
    tiny_instruct.base(seed=5).save(tmp_path / "base")
    with pytest.raises(ConfigError, match="pass the base beside which it learnt"):
        build(models, "bad", base=tmp_path / "base")
    with pytest.raises(ConfigError, match="minilm makes token states of 384 numbers, the base takes 32"):
        build(models, "bad", encoder="minilm")
    with pytest.raises(
        DataError, match=r"start frames are uint8 \(3, 2, 16, 24, 3\); uint8 \(n, 4, 16, 24, 3\)"
    ):
        build(models, "bad", given_frames=4)
    assert not (models / "bad").exists()


def test_changed_weights_are_refused(models: Path) -> None:
    folder = build(models, "changed")
    weights = folder / "branch" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"branch/model\.safetensors has the hash .*the weights were changed"):
        load_instruct_spec(folder)
