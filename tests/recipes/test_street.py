import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.games.counting import CountingConfig
from paracosm.collect.record import RecordConfig, record
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.data.reader import Dataset
from paracosm.data.video import VideoWriter
from paracosm.play.engine import open_model_world
from paracosm.recipes import coinrun, doom, minetest, own, small
from paracosm.recipes.street import START_FRAMES, Street, build, choose_starts, run_street
from paracosm.recipes.street import shorten as shorten_street
from paracosm.worlds import make_policy, open_world
from tests.recipes.streets import NUM_STEPS, shorten
from tests.train.datasets import HEIGHT, WIDTH, record_counting

STAGES = ("tokenizer", "dynamics", "inverse_dynamics")


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings that somebody made by themselves: own takes them as they lie."""
    folder = tmp_path_factory.mktemp("own") / "steps"
    record_counting(folder, num_episodes=4, max_steps=20)
    return folder


@pytest.fixture(scope="module")
def walked(counting: Path) -> Street:
    """The street of these recordings, walked once."""
    street = shorten(own.street(counting.parent / "run", str(counting)))
    assert run_street(street) == street.world
    return street


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its bytes."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def logged_steps(street: Street, stage: str) -> list[int]:
    return [json.loads(line)["step"] for line in (street.run / stage / "log.jsonl").read_text().splitlines()]


def play(folder: Path, controls: list[Control]) -> np.ndarray:
    """Frames of a world folder from its first start."""
    world = open_model_world(str(folder))
    frames = [world.reset(seed=3).image, *(world.step(control).image for control in controls)]
    world.close()
    return np.stack(frames)


def test_the_street_leads_from_recordings_to_a_world_that_plays(walked: Street) -> None:
    assert [logged_steps(walked, stage) for stage in STAGES] == [[1, 2, 3]] * 3
    space = Dataset(walked.dynamics.data).info.controls
    keys = [Control({key}) for key in space.keys]
    frames = play(walked.world, keys)
    assert frames.shape == (1 + len(keys), HEIGHT, WIDTH, 3)
    assert frames.dtype == np.uint8
    world = open_model_world(str(walked.world))
    assert world.info.controls == space
    world.close()


def test_the_world_knows_its_game_and_carries_its_starts(walked: Street) -> None:
    spec = json.loads((walked.world / "world.json").read_text())
    assert spec["name"] == "steps-tiny"
    assert spec["game"] == "game:counting"
    assert spec["game_config"]["height"] == HEIGHT
    assert (walked.world / spec["starts"]).is_file()


def test_walking_again_trains_nothing_and_gives_the_same_bytes(walked: Street) -> None:
    before, data = hashes(walked.run), hashes(walked.dynamics.data)
    run_street(walked)
    assert hashes(walked.run) == before
    assert hashes(walked.dynamics.data) == data


def test_a_longer_street_goes_on_where_the_shorter_one_ended(walked: Street, tmp_path: Path) -> None:
    street = own.street(tmp_path, str(walked.dynamics.data))
    street = replace(shorten(street), reader=None)
    run_street(street)
    longer = replace(
        street, dynamics=replace(street.dynamics, loop=replace(street.dynamics.loop, num_steps=NUM_STEPS + 2))
    )
    run_street(longer)
    assert logged_steps(street, "dynamics") == [1, 2, 3, 4, 5]
    assert logged_steps(street, "tokenizer") == [1, 2, 3]


def test_a_checkpoint_builds_a_world_before_training_has_ended(walked: Street, tmp_path: Path) -> None:
    out = build(walked, tmp_path / "early", dynamics="checkpoint")
    assert np.array_equal(play(out, [Control()]), play(walked.world, [Control()]))


def test_there_is_no_world_before_there_are_models(counting: Path, tmp_path: Path) -> None:
    street = shorten(own.street(tmp_path / "run", str(counting)))
    with pytest.raises(DataError, match="tokenizer is no model folder"):
        build(street, tmp_path / "world")


@pytest.mark.games("gym")
def test_an_environment_becomes_a_world(tmp_path: Path) -> None:
    street = shorten(own.street(tmp_path / "run", "gym:CartPole-v1"))
    folder = run_street(street)
    for split in ("train", "held_out"):
        dataset = Dataset(street.run / "data" / split)
        assert len(dataset.select(split)) == 3
    frames = play(folder, [Control({"left"})])
    assert frames.shape == (2, 48, 64, 3)
    assert json.loads((folder / "world.json").read_text())["game"] == "gym:CartPole-v1"
    before = hashes(street.run)
    run_street(street)
    assert hashes(street.run) == before


def test_videos_become_a_world_that_plays_without_controls(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("av")
    (tmp_path / "videos").mkdir()
    writer = VideoWriter(tmp_path / "videos" / "walk.mp4", own.VIDEO_FPS, 48, 64, "h264")
    for index in range(20):
        writer.add(np.full((48, 64, 3), index * 8, np.uint8))
    writer.close()
    street = shorten(own.street(tmp_path / "run", str(tmp_path / "videos")))
    assert "nothing in it can be steered" in caplog.text
    assert street.reader is None
    frames = play(run_street(street), [Control()] * 2)
    assert frames.shape == (3, 48, 64, 3)
    assert json.loads((street.world / "world.json").read_text())["game"] == ""


@pytest.mark.parametrize(
    ("size", "chosen"),
    [
        ((400, 600), (48, 64)),
        ((84, 84), (64, 64)),
        ((210, 160), (64, 48)),
        ((10, 1000), (16, 64)),
        ((48, 64), (48, 64)),
    ],
)
def test_frames_keep_their_shape_as_well_as_tokens_allow(
    size: tuple[int, int], chosen: tuple[int, int]
) -> None:
    assert own.frame_size(*size) == chosen


def test_frames_that_do_not_divide_into_tokens_are_refused() -> None:
    words = "frames of 40 x 60 do not divide into tokens; use multiples of 16, e.g. 48 x 64"
    with pytest.raises(ConfigError, match=words):
        small.Shape(height=40, width=60, controls=ControlSpace())


@pytest.mark.parametrize("recipe", [doom, coinrun, minetest])
def test_every_stage_of_a_street_has_the_game_s_sizes(recipe, tmp_path: Path) -> None:
    street: Street = recipe.street(tmp_path)
    shape: small.Shape = recipe.shape()
    for made in (street, shorten_street(street)):
        tokenizer, dynamics = made.tokenizer.model, made.dynamics.model
        assert (tokenizer.height, tokenizer.width) == (shape.height, shape.width)
        assert (tokenizer.latent_height, tokenizer.latent_width) == (
            dynamics.latent_height,
            dynamics.latent_width,
        )
        assert dynamics.control_width == shape.controls.width
        assert made.reader is not None
        assert made.reader.model.keys == shape.controls.keys
        assert made.recordings.keys() == made.games.keys()
        assert made.recordings["train"].out == made.tokenizer.data == made.dynamics.data == made.reader.data


@pytest.mark.parametrize("recipe", [doom, coinrun, minetest])
def test_splits_share_no_world_seed(recipe, tmp_path: Path) -> None:
    street: Street = recipe.street(tmp_path)
    train, held_out = street.recordings["train"], street.recordings["held_out"]
    assert train.first_world_seed + train.num_world_seeds <= held_out.first_world_seed
    assert held_out.split == "held_out"
    assert train.seed != held_out.seed


def test_the_toy_street_differs_in_length_and_size_only(tmp_path: Path) -> None:
    street = doom.street(tmp_path)
    toy = shorten_street(street)
    assert toy.name == "doom-tiny"
    assert toy.games == street.games
    for split, config in toy.recordings.items():
        whole = street.recordings[split]
        assert config == replace(whole, num_episodes=config.num_episodes, max_steps=config.max_steps)
        assert config.num_episodes < whole.num_episodes
    assert toy.dynamics.loop.num_steps < street.dynamics.loop.num_steps
    assert toy.dynamics.loop.compile == "off"


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    words = '"gmy:CartPole-v1" is neither gym:ID nor a folder; give e.g. gym:CartPole-v1 or a folder'
    with pytest.raises(DataError, match=words):
        own.street(tmp_path, "gmy:CartPole-v1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no video; put files ending in"):
        own.street(tmp_path / "run", str(tmp_path / "empty"))


def test_recordings_of_another_split_are_refused(tmp_path: Path) -> None:
    config = RecordConfig(
        world="game:counting",
        out=tmp_path / "data",
        num_episodes=1,
        max_steps=4,
        policy="sticky",
        workers=1,
        split="held_out",
    )
    record(config, open_world, make_policy, world_config=CountingConfig(height=HEIGHT, width=WIDTH))
    with pytest.raises(DataError, match="data has no episode of split train; record with --split train"):
        own.street(tmp_path / "run", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("source", "name"),
    [("gym:CartPole-v1", "CartPole-v1"), ("gym:ALE/Pong-v5", "Pong-v5"), ("recordings/look/", "look")],
)
def test_a_source_has_a_short_name(source: str, name: str) -> None:
    assert own.short_name(source) == name


def test_a_folder_seen_from_inside_has_its_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert own.short_name(".") == tmp_path.name


def test_starts_are_spread_over_the_episodes(counting: Path) -> None:
    episodes = Dataset(counting).select("train")
    starts = choose_starts(episodes, 2)
    assert starts.frames.shape == (2, START_FRAMES, HEIGHT, WIDTH, 3)
    assert starts.controls.shape == (2, START_FRAMES - 1, episodes[0].info.controls.width)
    for i, episode in enumerate((episodes[0], episodes[2])):
        first = episode.num_frames // 2
        assert np.array_equal(starts.frames[i], episode.read_frames(first, first + START_FRAMES))
        assert np.array_equal(starts.controls[i], episode.control_vectors[first : first + START_FRAMES - 1])


def test_starts_of_one_episode_all_differ(counting: Path) -> None:
    episodes = Dataset(counting).select("train")[:1]
    starts = choose_starts(episodes, 5)
    assert len({clip.tobytes() for clip in starts.frames}) == len(starts.frames) == 5
    assert len(choose_starts(episodes, 500).frames) <= episodes[0].num_frames


def test_episodes_too_short_for_a_start_are_refused(tmp_path: Path) -> None:
    dataset = record_counting(tmp_path / "short", num_episodes=2, max_steps=5)
    with pytest.raises(DataError, match="no episode has 8 frames, so none can give a start; record longer"):
        choose_starts(dataset.select("train"), 3)
