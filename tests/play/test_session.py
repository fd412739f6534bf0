"""A session undoes, repeats and records exactly; run with: pytest tests/play/test_session.py."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from paracosm.core.controls import Control
from paracosm.core.errors import DataError, WorldError
from paracosm.play.inputs import Hands
from paracosm.play.replay import Verdict
from paracosm.play.session import Notice, Session, Shown
from paracosm.play.states import EDGES, IllegalStateError, SessionState, check_edge
from paracosm.play.takes import Take
from paracosm.play.timeline import Timeline, TimelineConfig, count_bytes
from tests.play.little_worlds import (
    FailingWorld,
    FakeClock,
    InexactWorld,
    RoomWorld,
    ShowingWorld,
    opener,
)


def make_session(world: type = ShowingWorld, **kwargs: object) -> tuple[Session, FakeClock]:
    clock = FakeClock()
    session = Session(opener(showing=world, room=RoomWorld), clock=clock, **kwargs)  # type: ignore[arg-type]
    session.open("showing", seed=5)
    return session, clock


def drive(session: Session, num_steps: int, *codes: str, first_seq: int = 0) -> list[Shown]:
    session.play()
    shown = []
    for number in range(num_steps):
        yaw = float(number % 4)
        seq = max(first_seq, session.input._hands.seq) + 1
        session.input.post(Hands(seq=seq, held=frozenset(codes), look=(yaw, 0.0)))
        one = session.tick()
        assert one is not None
        shown.append(one)
    return shown


def images(shown: list[Shown]) -> list[bytes]:
    return [one.frame.image.tobytes() for one in shown]


# Input and pace


def test_an_instruction_is_given_with_one_step() -> None:
    session, _ = make_session()
    session.input.instruct("it rains")
    shown = drive(session, 2)
    assert [one.control.text for one in shown] == ["it rains", None]


def test_unpaced_play_never_waits() -> None:
    session, _ = make_session()
    session.set_pace(0)
    drive(session, 3)
    assert session.wait_s() == 0.0


# Control law and states


def test_the_input_of_a_tick_is_seen_in_the_frame_of_that_tick() -> None:
    session, _ = make_session()
    session.play()
    session.input.post(Hands(seq=1, held=frozenset({"KeyW"}), look=(3.0, -2.0)))
    shown = session.tick()
    assert shown is not None
    assert shown.frame.image[0, :5, 0].tolist() == [1, 0, 1, 131, 126]
    assert (shown.seq, shown.index) == (1, 1)


def test_every_pair_of_states_is_either_an_edge_or_refused() -> None:
    for before, after in itertools.product(SessionState, SessionState):
        if after in EDGES[before]:
            check_edge(before, after)
        else:
            with pytest.raises(
                IllegalStateError, match=f"a session that is {before} cannot become {after}; allowed"
            ):
                check_edge(before, after)


def test_an_ended_episode_can_be_rewound_but_not_played_on() -> None:
    session, _ = make_session(lambda name: ShowingWorld(name, ends_at=4))
    drive(session, 4)
    assert session.state is SessionState.ENDED
    with pytest.raises(WorldError, match="cannot be done while the session is ended; rewind or begin again"):
        session.play()
    session.seek(0, 2)
    assert session.state is SessionState.PAUSED
    drive(session, 2)
    assert session.state is SessionState.ENDED


def test_a_world_that_breaks_fails_its_session_with_words_and_another_can_be_opened() -> None:
    session, _ = make_session(FailingWorld)
    drive(session, 2)
    assert session.tick() is None
    assert session.state is SessionState.FAILED
    (notice,) = session.events()
    assert isinstance(notice, Notice)
    assert (
        notice.text == "the world failed (RuntimeError: the engine is gone); begin it again or choose another"
    )
    session.open("room")
    assert session.state is SessionState.PAUSED


def test_a_world_that_does_not_exist_leaves_the_session_where_it_was() -> None:
    session, _ = make_session()
    drive(session, 3)
    with pytest.raises(WorldError, match="there is no world nowhere"):
        session.open("nowhere")
    assert (session.state, session.timeline.index, session.name) == (SessionState.PAUSED, 3, "showing")
    assert drive(session, 1)[0].index == 4


def test_an_upload_of_the_wrong_size_leaves_the_session_where_it_was() -> None:
    session, _ = make_session()
    drive(session, 3)
    with pytest.raises(
        DataError, match="the upload of 9 bytes is not a picture for showing; send a JPEG of 32 x 24"
    ):
        session.open("showing", picture=b"no image!")
    assert drive(session, 1)[0].frame.image[0, 0, 0] == 4


def test_a_negative_seed_is_refused() -> None:
    session, _ = make_session()
    with pytest.raises(WorldError, match="seed -1 is negative; use a whole number from 0 up"):
        session.open("showing", seed=-1)


def test_closing_twice_closes_the_world_once_and_does_no_harm() -> None:
    session, _ = make_session()
    session.close()
    session.close()
    assert session.state is SessionState.CLOSED


# Rewinding


@pytest.mark.parametrize("index", [0, 1, 7, 8, 9, 39, 40])
def test_rewinding_to_any_moment_restores_it_exactly(index: int) -> None:
    session, _ = make_session(RoomWorld, timeline=TimelineConfig(snapshot_every=8))
    first = session._need_frame().image.tobytes()
    straight = [first, *images(drive(session, 40, "KeyW"))]
    shown = session.seek(0, index)
    assert shown is not None
    assert shown.frame.image.tobytes() == straight[index]
    assert (shown.index, session.state) == (index, SessionState.PAUSED)
    assert not session.events()


def test_playing_on_from_an_earlier_moment_with_the_same_controls_gives_the_same_bytes() -> None:
    session, _ = make_session(RoomWorld)
    straight = images(drive(session, 24, "KeyW"))
    session.seek(0, 12)
    assert images(drive(session, 12, "KeyW")) == straight[12:]


def test_new_controls_in_the_past_make_a_branch_and_the_old_one_stays() -> None:
    session, _ = make_session(RoomWorld)
    old = images(drive(session, 20, "KeyW"))
    session.seek(0, 8)
    new = images(drive(session, 5, "KeyS"))
    branch = session.timeline.current
    assert (branch.id, branch.fork, branch.length) == (1, 8, 13)
    for number, expected in ((0, old), (1, old[:8] + new)):
        for index in (3, 8, 9, 12):
            shown = session.seek(number, index)
            assert shown is not None
            assert shown.frame.image.tobytes() == expected[index - 1]


def test_a_branch_of_a_branch_knows_its_whole_path() -> None:
    session, _ = make_session()
    drive(session, 10, "KeyW")
    session.seek(0, 6)
    drive(session, 6, "KeyS")
    session.seek(1, 9)
    drive(session, 2, "KeyA")
    keys = ["".join(control.keys) for control in session.timeline.current.path()]
    assert keys == ["forward"] * 6 + ["back"] * 3 + ["left"] * 2
    session.seek(2, 6)
    drive(session, 1, "KeyD")
    assert session.timeline.current.parent is session.timeline.branches[0]


def test_a_moment_that_never_was_is_refused() -> None:
    session, _ = make_session()
    drive(session, 3)
    with pytest.raises(WorldError, match="moment 9 does not exist; branch 0 goes from 0 to 3"):
        session.seek(0, 9)
    with pytest.raises(WorldError, match=r"branch 4 does not exist; there are \[0\]"):
        session.seek(4, 0)


def test_a_world_that_does_not_come_back_the_same_is_named() -> None:
    session, _ = make_session(InexactWorld, timeline=TimelineConfig(snapshot_every=100))
    drive(session, 5)
    session.seek(0, 3)
    assert session.events() == [
        Notice(text="moment 1 came out differently than before: this world is not exact")
    ]


def test_keys_held_before_a_rewind_do_not_act_after_it() -> None:
    session, _ = make_session()
    drive(session, 3, "KeyW")
    session.seek(0, 1)
    session.play()
    shown = session.tick()
    assert shown is not None
    assert shown.control == Control()


def test_an_interrupted_rewind_stands_at_a_true_moment() -> None:
    session, _ = make_session(RoomWorld, timeline=TimelineConfig(snapshot_every=100))
    straight = images(drive(session, 20, "KeyW"))
    world = session._world
    assert world is not None
    step, steps = world.step, itertools.count(1)

    def interrupting(control: Control) -> object:
        if next(steps) == 6:
            session.interrupt()
        return step(control)

    world.step = interrupting  # type: ignore[method-assign]
    shown = session.seek(0, 18)
    assert shown is not None
    assert shown.index == 6
    assert shown.frame.image.tobytes() == straight[5]


# Memory


def test_snapshots_stay_within_their_number_and_are_dense_near_the_present() -> None:
    config = TimelineConfig(snapshot_every=4, max_snapshots=12)
    session, _ = make_session(timeline=config)
    drive(session, 1200)
    at = sorted(index for _, index in session.timeline._snapshots)
    assert len(at) <= 12
    assert at[0] == 0
    assert at[-1] == 1200
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert max(gaps) <= 0.75 * 1200
    assert gaps[-1] <= 16


def test_pictures_stay_within_their_memory_and_the_oldest_go_first() -> None:
    session, _ = make_session(timeline=TimelineConfig(picture_mb=0.02))
    drive(session, 200)
    timeline = session.timeline
    assert sum(map(len, timeline._pictures.values())) <= 20_000
    assert timeline.picture(0, 200) is not None
    assert timeline.picture(0, 3) is None
    assert 0 < timeline.oldest_picture() < 200


def test_a_full_history_ends_the_session_with_words() -> None:
    session, _ = make_session(timeline=TimelineConfig(max_steps=5))
    drive(session, 5)
    assert session.tick() is None
    assert session.state is SessionState.ENDED
    assert session.events() == [Notice(text="5 steps are kept and no more; begin again")]


def test_shared_arrays_are_counted_once() -> None:
    array = np.zeros(1000, np.uint8)
    assert 2000 <= count_bytes({"a": array, "b": [array, np.zeros(1000, np.uint8)]}) < 2200


# Replays


def test_a_replay_file_plays_back_to_the_same_bytes() -> None:
    session, _ = make_session(RoomWorld)
    first = session._need_frame().image.tobytes()
    straight = [first, *images(drive(session, 30, "KeyW", "Space"))]
    saved = session.save()

    other, _ = make_session()
    shown = [other.load(saved.replace(b'"showing"', b'"room"'))]
    while other.state is SessionState.PLAYING:
        one = other.tick()
        assert one is not None
        shown.append(one)
    assert images(shown) == straight
    assert other.events() == [Verdict(compared=31, different=0, first_difference=None)]
    assert other.save() == saved.replace(b'"showing"', b'"room"')


def test_a_replay_keeps_turns_instructions_and_the_start_picture() -> None:
    session, _ = make_session()
    picture = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    session.open("showing", seed=9, picture=picture.tobytes())
    session.input.instruct("fog")
    drive(session, 6, "KeyA")
    saved = session.save()
    controls = session.timeline.current.path()
    other, _ = make_session()
    other.load(saved)
    assert other.timeline.current.path() == controls
    assert other.seed == 9
    assert other.start is not None
    assert (other.start == picture).all()


def test_a_playback_that_differs_says_where() -> None:
    session, _ = make_session()
    drive(session, 6)
    saved = json.loads(session.save())
    saved["hashes"][4] = "0" * 16
    session.load(json.dumps(saved).encode())
    while session.state is SessionState.PLAYING:
        session.tick()
    assert session.events() == [Verdict(compared=7, different=1, first_difference=4)]


def test_a_playback_can_be_taken_over_and_becomes_a_branch() -> None:
    session, _ = make_session()
    drive(session, 10, "KeyW")
    session.load(session.save())
    for _ in range(4):
        session.tick()
    session.play("player")
    drive(session, 1, "KeyS")
    assert (session.timeline.current.fork, session.timeline.current.length) == (4, 5)
    assert session.timeline.branches[0].length == 10


def test_a_replay_of_another_engine_says_so() -> None:
    session, _ = make_session()
    drive(session, 2)
    session.load(session.save().replace(b"showing 1", b"showing 0"))
    assert session.events()[0] == Notice(
        text="recorded with showing 0, played with showing 1: pictures may differ"
    )


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda saved: saved[:100], "this file is not a replay"),
        (lambda saved: b"[]", 'its kind is not "paracosm-replay"'),
        (
            lambda saved: saved.replace(b'"format_version":2', b'"format_version":3'),
            "has format 3, this player reads up to 2",
        ),
        (
            lambda saved: saved.replace(b'"steps":3', b'"steps":4'),
            "says 4 steps but holds 3 controls and 4 hashes",
        ),
        (lambda saved: saved.replace(b'"seed":5,', b""), "the replay is damaged \\('seed' is missing\\)"),
        (lambda saved: saved.replace(b'"keys":', b'"kezs":'), "unknown entries \\['kezs'\\] in a control"),
        (lambda saved: saved.replace(b'"times":3', b'"times":999999999'), "more than 200000 steps"),
    ],
)
def test_a_damaged_replay_is_refused_and_the_session_goes_on(damage, text: str) -> None:
    session, _ = make_session()
    session.play()
    for seq in (1, 2, 3):
        session.input.post(Hands(seq=seq, held=frozenset({"KeyW"})))
        session.tick()
    with pytest.raises(DataError, match=text):
        session.load(damage(session.save()))
    assert session.timeline.index == 3
    assert session.tick() is not None


# Recording


class Shelf:
    def __init__(self) -> None:
        self.takes: list[Take] = []
        self.full = False

    def __call__(self, take: Take) -> str:
        if self.full:
            raise DataError("the disk is full; free some space")
        self.takes.append(take)
        return "on the shelf"


def test_a_take_holds_every_frame_and_the_control_that_led_on() -> None:
    shelf = Shelf()
    session, _ = make_session(recorder=shelf)
    drive(session, 4, "KeyW")
    session.record(True)
    shown = drive(session, 6, "KeyS")
    session.record(False)
    (take,) = shelf.takes
    assert [frame.index for frame in take.frames] == [4, 5, 6, 7, 8, 9, 10]
    assert list(take.controls) == [one.control for one in shown]
    assert len(take.before) == 4
    assert session.events() == [Notice(text="recorded 6 steps: on the shelf", good=True)]


def test_rewinding_while_recording_ends_one_take_and_begins_the_next() -> None:
    shelf = Shelf()
    session, _ = make_session(recorder=shelf)
    session.record(True)
    drive(session, 6, "KeyW")
    session.seek(0, 2)
    drive(session, 3, "KeyS")
    session.close()
    assert [len(take.controls) for take in shelf.takes] == [6, 3]
    assert shelf.takes[1].frames[0].index == 2


def test_a_take_that_cannot_be_stored_is_kept_and_offered_again() -> None:
    shelf = Shelf()
    session, _ = make_session(recorder=shelf)
    shelf.full = True
    session.record(True)
    drive(session, 3)
    session.record(False)
    assert session.events() == [
        Notice(text="the recording is kept but could not be stored: the disk is full; free some space")
    ]
    shelf.full = False
    session.record(False)
    assert len(shelf.takes) == 1


def test_recording_without_a_recorder_is_refused() -> None:
    session, _ = make_session()
    with pytest.raises(
        WorldError, match="recording is not offered; start the player with a folder to record to"
    ):
        session.record(True)


# An agent, and worlds side by side


class Runner:
    def reset(self, world, frame, seed: int) -> None:
        pass

    def act(self, frame) -> Control:
        return Control({"forward"})


def test_an_agent_can_take_over_and_give_back() -> None:
    session, _ = make_session(open_policy=lambda name: Runner())
    session.play("agent")
    shown = session.tick()
    assert shown is not None
    assert shown.control.keys == {"forward"}
    session.play("player")
    shown = session.tick()
    assert shown is not None
    assert shown.control.keys == set()


def test_an_agent_that_fails_hands_back_to_the_player() -> None:
    class Broken(Runner):
        def act(self, frame) -> Control:
            raise RuntimeError("no idea")

    session, _ = make_session(open_policy=lambda name: Broken())
    session.play("agent")
    assert session.tick() is None
    assert (session.state, session.driver) == (SessionState.PAUSED, "player")
    assert session.events() == [Notice(text="the agent failed (RuntimeError: no idea); play it yourself")]
    assert drive(session, 1)[0].index == 1


def test_an_empty_timeline_knows_its_first_moment() -> None:
    timeline = Timeline(TimelineConfig())
    assert timeline.at_end
    assert timeline.hashes() == [""]
