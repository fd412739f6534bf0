"""Passes, guidance and the cache change in play, and replays and rewinds still give the same bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, DataError, WorldError
from paracosm.core.tuning import Dials, Tuning
from paracosm.play.beside import Beside
from paracosm.play.engine import EngineConfig, NeuralWorld, open_model_world
from paracosm.play.neural_base import spread_levels
from paracosm.play.replay import Verdict, load_replay
from paracosm.play.session import Session
from paracosm.play.takes import Take
from tests import tiny
from tests.play.little_worlds import FakeClock, ShowingWorld, TunedWorld, opener
from tests.play.test_session import drive, images


def make_session(**kwargs: object) -> Session:
    session = Session(opener(showing=TunedWorld, plain=ShowingWorld), clock=FakeClock(), **kwargs)  # type: ignore[arg-type]
    session.open("showing", seed=5)
    return session


def play_and_tune(session: Session) -> list[bytes]:
    made = images(drive(session, 3))
    session.tune(Tuning(passes=4))
    session.tune(Tuning(cache="drop"))
    made += images(drive(session, 20))
    session.pause()
    session.tune(Tuning(guidance=2.0, cache="rebuild"))
    return made + images(drive(session, 3))


def verdicts(session: Session) -> list[Verdict]:
    return [event for event in session.events() if isinstance(event, Verdict)]


def test_a_replay_with_tunings_plays_back_to_the_same_bytes() -> None:
    session = make_session()
    play_and_tune(session)
    saved = session.save()
    assert [at for at, _ in load_replay(saved).tunings] == [0, 3, 3, 23]
    other = make_session()
    other.tune(Tuning(passes=1))  # what a player chose before does not reach the replay
    other.load(saved)
    while other.driver == "replay":
        other.tick()
    assert verdicts(other) == [Verdict(compared=27, different=0, first_difference=None)]


def test_a_rewind_over_tunings_comes_out_the_same_and_goes_on_under_those_of_its_moment() -> None:
    session = make_session()
    made = play_and_tune(session)
    for index in (2, 4, 24, 26, 3):
        shown = session.seek(0, index)
        assert shown is not None
        assert shown.frame.image.tobytes() == made[index - 1]
    assert not [event for event in session.events() if "differently" in getattr(event, "text", "")]
    assert session.dials.now == Tuning(passes=2, guidance=1.0), "the change at 3 belongs to the step after it"
    session.play("replay")
    assert session.tick().frame.image.tobytes() == made[3]  # type: ignore[union-attr]
    session.seek(0, 3)
    assert drive(session, 1)[0].frame.image[3, 0, 2] == 2, "another way from here knows nothing of the change"


def test_a_change_in_the_midst_of_a_recording_leaves_it_on_a_branch() -> None:
    session = make_session()
    drive(session, 6)
    session.seek(0, 3)
    session.tune(Tuning(passes=1))
    assert session.timeline.current.id == 1
    assert drive(session, 1)[0].frame.image[3, 0, 2] == 1
    session.seek(0, 6)
    assert session.dials.now.passes == 2


def test_what_is_not_on_offer_is_refused() -> None:
    session = make_session()
    with pytest.raises(WorldError, match="passes 3 is not on offer; this world takes 1, 2, 4"):
        session.tune(Tuning(passes=3))
    drive(session, 2)
    session.seek(0, 0)
    session.play("replay")
    with pytest.raises(WorldError, match="a recording is being played; take over"):
        session.tune(Tuning(passes=1))
    session.open("plain")
    assert session.dials == Dials()
    with pytest.raises(WorldError, match="passes 1 is not on offer; this world takes none"):
        session.tune(Tuning(passes=1))


def test_a_replay_with_tunings_stops_in_a_world_that_has_none() -> None:
    session = make_session()
    drive(session, 2)
    file = json.loads(session.save())
    session.load(json.dumps({**file, "world": "plain"}).encode())
    assert session.tick() is None
    assert "has nothing to tune" in session.events()[-1].text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tuning", "text"),
    [
        ({"at": 1, "colour": 3}, "unknown entries"),
        ({"at": -1}, "out of order"),
        ({"at": 0, "cache": "burn"}, 'cache is "burn"'),
        ({"at": 0, "passes": -2}, "must be above 0"),
        ({"at": 0, "passes": 3, "levels": [1.0]}, "1 levels make 1 passes, not 3"),
    ],
)
def test_a_damaged_tuning_is_refused(tuning: dict[str, object], text: str) -> None:
    session = make_session()
    drive(session, 1)
    file = json.loads(session.save())
    with pytest.raises(DataError, match=text):
        load_replay(json.dumps({**file, "tunings": [tuning]}).encode())


def test_a_replay_of_before_plays_with_the_world_as_it_opens() -> None:
    session = make_session()
    drive(session, 2)
    file = json.loads(session.save())
    del file["tunings"]
    session.tune(Tuning(passes=4))
    session.load(json.dumps({**file, "format_version": 1}).encode())
    while session.driver == "replay":
        session.tick()
    assert verdicts(session)[-1].different == 0


def test_a_take_says_what_was_tuned() -> None:
    takes: list[Take] = []
    session = make_session(recorder=lambda take: takes.append(take) or "kept")
    session.record(True)
    play_and_tune(session)
    session.record(False)
    assert [at for at, _ in takes[0].tuned] == [0, 3, 3, 23]


def test_side_by_side_the_one_world_that_can_be_tuned_is() -> None:
    pair = Beside([ShowingWorld(), TunedWorld()])
    pair.tune(Tuning(passes=4))
    assert pair.dials.now.passes == 4
    two = Beside([TunedWorld(), TunedWorld()])
    assert two.dials == Dials()
    with pytest.raises(WorldError, match="2 of these worlds can be tuned"):
        two.tune(Tuning(passes=4))


# The neural engine


def play(world: object, seed: int = 3) -> list[bytes]:
    made = [world.reset(seed=seed).image.tobytes()]  # type: ignore[attr-defined]
    for index in range(8):
        made.append(world.step(Control(keys={"left"} if index % 3 else ())).image.tobytes())  # type: ignore[attr-defined]
        if index == 2:
            world.tune(Tuning(passes=4, guidance=2.0))  # type: ignore[attr-defined]
        if index == 4:
            world.tune(Tuning(passes=1, guidance=1.0, cache="rebuild"))  # type: ignore[attr-defined]
        if index == 6:
            world.tune(Tuning(cache="drop"))  # type: ignore[attr-defined]
    return made


def test_what_runs_behind_the_shown_frame_changes_no_byte() -> None:
    folder = str(tiny.shared_tiny_world())
    plain, behind = (open_model_world(folder, EngineConfig(overlap=kind)) for kind in ("none", "behind"))
    assert play(plain) == play(behind)
    state = behind.snapshot()
    after = [world.step(Control()).image.tobytes() for world in (plain, behind)]
    assert after[0] == after[1]
    behind.restore(state)
    assert behind.step(Control()).image.tobytes() == after[0], "a snapshot waits for what runs behind"
    for world in (plain, behind):
        world.close()


def test_the_past_of_the_engine_is_dropped_and_rebuilt() -> None:
    world = open_model_world(str(tiny.shared_tiny_world()))
    assert isinstance(world, NeuralWorld)
    world.reset(seed=0)
    state = world.snapshot()
    assert len(state.payload.entries) > 1
    plain = world.step(Control()).image
    world.restore(state)
    world.rebuild_cache()
    assert np.array_equal(world.step(Control()).image, plain), "nothing was evicted, so nothing changes"
    world.restore(state)
    world.drop_cache()
    assert len(world.snapshot().payload.entries) == 1
    assert not np.array_equal(world.step(Control()).image, plain)
    world.close()
    with pytest.raises(WorldError, match="is closed"):
        world.drop_cache()


def test_levels_of_any_number_lie_on_the_worlds_own_curve() -> None:
    assert spread_levels((1.0, 0.5), 4) == (1.0, 0.75, 0.5, 0.25)
    published = (1.0, 0.9088, 0.714)  # 3 steps under a shift of 5
    assert spread_levels(published, 3) == published
    assert spread_levels(published, 4) == pytest.approx((1.0, 0.9375, 0.8333, 0.625), abs=2e-3)
    assert spread_levels((1.0,), 2) == (1.0, 0.5)


def test_compilation_that_cannot_be_is_refused() -> None:
    folder = str(tiny.shared_tiny_world())
    with pytest.raises(ConfigError, match="backend onnx is compiled already"):
        open_model_world(folder, EngineConfig(compile="default"))
    with pytest.raises(ConfigError, match="graphs need a graphics card"):
        open_model_world(folder, EngineConfig(backend="torch", compile="graphs"))
