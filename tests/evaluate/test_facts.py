"""Facts are those that recordings tell, a reader learns them, and its accuracy says what it may judge."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fact_reader import describe, train_reader
from paracosm.collect.record import RecordConfig, record
from paracosm.core.errors import ConfigError, DataError
from paracosm.data.reader import Dataset
from paracosm.evaluate.fact_reader import (
    FactReader,
    Readings,
    Score,
    fact_figures,
    key_names,
    load_facts,
    score_facts,
)
from paracosm.evaluate.facts import Fact, find_facts, label_frames, tell_frames
from paracosm.evaluate.facts_doom import tell_doom
from paracosm.models.inverse_dynamics import InverseDynamics, InverseDynamicsConfig
from paracosm.recipes import doom
from paracosm.worlds import make_policy, open_world
from tests.shapes_world import KEYS

from .coded_world import record_coded

LIGHT = Fact(name="light", values=("day", "night"), kind="state")
SHOT = Fact(name="event_shot", values=("no", "yes"), kind="event", rest="no")
TINY = InverseDynamicsConfig(
    height=16, width=24, keys=("a",), look=(), look_scale=1.0, channels=(8, 8, 8), blocks=1, features=16
)
HELD = Fact(name="key_jump", values=("no", "yes"), kind="control", rest="no")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("facts")
    record_coded(folder / "train", 6, seed=0)
    record_coded(folder / "held_out", 4, seed=1)
    return folder


def test_facts_come_from_truth_events_controls_and_the_picture(root: Path) -> None:
    episodes = Dataset(root / "train").episodes
    facts = {fact.name: fact for fact in find_facts(episodes)}
    assert facts["light"] == LIGHT
    assert facts["room"].values == ("blue", "red")
    assert facts["event_flash"] == replace(SHOT, name="event_flash")
    assert {f"key_{key}" for key in KEYS} < set(facts)
    assert {fact.kind for fact in facts.values()} == {"state", "event", "control", "picture"}
    assert "turn" not in facts, "this world has no camera"
    episode = episodes[0]
    labels = label_frames(tell_frames(episode), [facts["light"], facts["key_left"]], episode.num_frames)
    assert [LIGHT.values[one] for one in labels[:, 0]] == list(episode.truth("truth_light"))
    assert np.array_equal(labels[:-1, 1] == 1, episode.control_vectors[:, 0] > 0.5)
    assert labels[-1, 1] == -1, "nothing is known of what the last frame leads to"


def test_an_event_shows_once_a_control_in_some_frames_and_a_state_in_most() -> None:
    once = ["no"] * 9 + ["yes"]
    assert SHOT.is_shown(once, "yes")
    assert not SHOT.is_shown(once, "no")
    assert not HELD.is_shown(once, "yes")
    assert HELD.is_shown(once, "no")
    assert HELD.is_shown(["no"] * 7 + ["yes"] * 3, "yes")
    assert LIGHT.is_shown(["day"] * 5 + ["night"] * 5, "night")
    assert not LIGHT.is_shown(["day"] * 6 + ["night"] * 4, "night")


@pytest.mark.parametrize("fact", [LIGHT, SHOT, HELD])
def test_counting_clips_equals_asking_each(fact: Fact) -> None:
    draws = np.random.Generator(np.random.Philox(3))
    told = [fact.values[int(one)] for one in draws.random(40) < 0.3]
    for value in fact.values:
        shown = fact.shown_in_clips(told, value, 6)
        assert shown.tolist() == [fact.is_shown(told[i : i + 6], value) for i in range(35)]
        assert not len(fact.shown_in_clips(told[:4], value, 6))


def test_scores_are_those_computed_by_hand() -> None:
    labels = [np.array([[0]] * 20 + [[1]] * 10 + [[-1]] * 5)]
    read = [np.array([[0]] * 18 + [[1]] * 12 + [[0]] * 5)]
    scores = score_facts([LIGHT], Readings(labels=labels, read=read))
    assert scores["light"]["day"] == Score(f1=pytest.approx(36 / 38), seen=20, rows=30)
    assert scores["light"]["night"] == Score(f1=pytest.approx(20 / 22), seen=10, rows=30)
    figures = fact_figures([LIGHT], Readings(labels=labels * 2, read=read * 2))
    assert figures["facts.accuracy.light"].value == pytest.approx(28 / 30)
    assert figures["facts.accuracy.light"].n == 2
    rare = fact_figures([SHOT], Readings(labels=labels, read=read))["facts.f1.event_shot=yes"]
    assert rare.value == pytest.approx(20 / 22)


def test_a_value_that_is_read_badly_or_seldom_seen_is_not_judged() -> None:
    names = key_names([LIGHT])
    model = InverseDynamics(replace(TINY, keys=names))
    scores = {"light": {"day": Score(f1=0.79, seen=50, rows=100), "night": Score(f1=1.0, seen=9, rows=100)}}
    reader = FactReader(model, [LIGHT], scores)
    assert reader.why_undefined("light", "day").startswith(
        "read with F1 0.79 on held-out frames; at least 0.8"
    )
    assert "shown in 9 of 100 held-out rows; at least 10" in reader.why_undefined("light", "night")
    assert reader.why_undefined("light", "dusk") == '"dusk" of light was never seen'
    assert reader.why_undefined("weather", "rain") == 'the recordings tell no fact "weather"'
    with pytest.raises(ConfigError, match="the network was made for other facts"):
        FactReader(model, [SHOT], {})


@pytest.mark.slow
def test_a_reader_learns_facts_from_real_frames_and_travels_with_its_accuracy(root: Path) -> None:
    config = describe((root / "train",), root / "run", 120)
    config = replace(config, model=replace(config.model, channels=(16, 16, 16), features=32), batch_size=32)
    held_out = Dataset(root / "held_out").episodes
    reader, figures = train_reader(config, held_out)
    for fact in ("light", "room"):
        score = figures[f"facts.accuracy.{fact}"]
        assert score.value is not None
        assert score.value > 0.95
        assert score.n == 4
        assert not reader.why_undefined(fact, reader.facts[fact].values[0])
    loaded = load_facts(root / "run" / "facts")
    frames = held_out[0].read_frames(0, 12)
    assert loaded.read(frames) == reader.read(frames)
    assert loaded.scores == reader.scores
    with pytest.raises(DataError, match=r"held-out episodes .* are learnt from as well"):
        train_reader(config, Dataset(root / "train").episodes)
    InverseDynamics(loaded.model.config).save(root / "run" / "facts" / "reader")
    with pytest.raises(DataError, match="is another network than the one whose accuracy"):
        load_facts(root / "run" / "facts")


@pytest.mark.games("doom")
def test_doom_tells_theme_roof_and_the_door_ahead(tmp_path: Path) -> None:
    config = RecordConfig(world="game:doom", out=tmp_path, num_episodes=1, max_steps=40, workers=1)
    episode = record(config, open_world, make_policy, world_config=doom.games()["train"]).episodes[0]
    told = tell_doom(episode)
    rooms = episode.truth("truth_room").astype(int)
    themes = {0: "blue", 1: "orange", 2: "steel", 3: "tan", -1: "passage"}
    assert told["theme"] == [themes[room] for room in rooms]
    assert told["roof"] == [{-1: None, 3: "sky"}.get(room, "ceiling") for room in rooms]
    assert set(told["door"]) <= {"none", "shut", "open", None}
