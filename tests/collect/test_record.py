import dataclasses
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paracosm.collect.games.counting import CountingConfig, CountingWorld
from paracosm.collect.record import LOCK_FILE, RecordConfig, _is_alive, _lock, record, rerender
from paracosm.core.controls import Control
from paracosm.core.errors import BusyError, ConfigError, ControlError, DataError, LostWorldError, WorldError
from paracosm.core.locks import lock_folder
from paracosm.core.world import Frame, World, WorldInfo
from paracosm.data import Dataset
from paracosm.worlds import make_policy, open_world

SCRIPT = """
import subprocess, sys, time
from pathlib import Path
from paracosm.collect.games.counting import CountingWorld
from paracosm.collect.record import RecordConfig, record
from paracosm.worlds import make_policy

class Helped(CountingWorld):
    def __init__(self):
        super().__init__()
        self.helper = subprocess.Popen(["sleep", "300"])

    def step(self, control):
        time.sleep(float(sys.argv[3]))
        return super().step(control)

    def close(self):
        self.helper.kill()

def open_world(name, config=None):
    return Helped()

if __name__ == "__main__":
    config = RecordConfig(world="game:counting", out=Path(sys.argv[1]), num_episodes=int(sys.argv[2]),
                          max_steps=150, policy="sticky", seed=5, workers=2)
    record(config, open_world, make_policy)
"""


def make_config(out: Path, **changes: Any) -> RecordConfig:
    config = RecordConfig(
        world="game:counting", out=out, num_episodes=3, max_steps=20, policy="sticky", seed=5, workers=1
    )
    return dataclasses.replace(config, **changes)


def read_all(path: Path) -> dict[str, bytes]:
    folder = path / "episodes"
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def test_episodes_depend_only_on_config_and_number(tmp_path: Path) -> None:
    record(make_config(tmp_path / "straight"), open_world, make_policy)
    record(make_config(tmp_path / "bits", num_episodes=1), open_world, make_policy)
    record(make_config(tmp_path / "bits", num_episodes=3), open_world, make_policy)
    assert read_all(tmp_path / "bits") == read_all(tmp_path / "straight")


def test_two_processes_record_the_same_bytes_as_one(tmp_path: Path) -> None:
    record(make_config(tmp_path / "one"), open_world, make_policy)
    record(make_config(tmp_path / "two", workers=2), open_world, make_policy)
    assert read_all(tmp_path / "two") == read_all(tmp_path / "one")


def test_shards_share_a_folder_and_leave_the_same_bytes_as_one_machine(tmp_path: Path) -> None:
    straight = record(make_config(tmp_path / "straight", num_episodes=5), open_world, make_policy)
    out = tmp_path / "shards"
    shards = [make_config(out, num_episodes=5, shard=shard, num_shards=2) for shard in (1, 0)]
    assert [len(record(shard, open_world, make_policy)) for shard in shards] == [2, 5]
    assert read_all(out) == read_all(tmp_path / "straight")
    assert len(Dataset(out)) == len(straight)


def test_a_shard_lets_in_other_shards_only_and_leaves_their_half_written_episodes(tmp_path: Path) -> None:
    out = tmp_path / "shards"
    first = make_config(out, num_shards=2)
    record(first, open_world, make_policy)
    own, other = (out / "episodes" / f".partial-999999999-episode-00000{number}" for number in (2, 1))
    own.mkdir()
    other.mkdir()
    with _lock(dataclasses.replace(first, shard=1)):
        record(first, open_world, make_policy)
        with pytest.raises(BusyError, match="or choose another folder"):
            record(make_config(out), open_world, make_policy)
        with pytest.raises(BusyError, match="or choose another shard"):
            record(dataclasses.replace(first, shard=1), open_world, make_policy)
    assert (own.exists(), other.exists()) == (False, True)
    with pytest.raises(ConfigError, match="shard 2 of 2 is none; use 0 to 1"):
        make_config(out, shard=2, num_shards=2)


def test_a_killed_recording_goes_on_and_equals_a_straight_one(tmp_path: Path) -> None:
    out, num_episodes = tmp_path / "killed", 24
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(out), str(num_episodes), "0"], start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("episodes/episode-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # The workers and what they started die with the recorder, so that nobody writes without the lock.
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _members(process.pid)
    finished = len(list(out.glob("episodes/episode-*")))
    assert 3 <= finished < num_episodes
    (out / "episodes" / ".partial-999999999-episode-000023").mkdir()

    config = make_config(out, num_episodes=num_episodes, max_steps=150)
    dataset = record(config, open_world, make_policy)
    record(dataclasses.replace(config, out=tmp_path / "straight"), open_world, make_policy)
    assert len(dataset) == num_episodes
    assert read_all(out) == read_all(tmp_path / "straight")


def test_an_interrupted_recording_does_not_wait_for_its_episodes(tmp_path: Path) -> None:
    out, script = tmp_path / "slow", tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(out), "4", "1"], start_new_session=True, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("episodes/.partial*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)  # an episode takes two and a half minutes
    process.communicate(timeout=20)
    while _members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _members(process.pid)


def _members(group: int) -> list[int]:
    """Live processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_recording_plays_again_from_its_recipe(tmp_path: Path) -> None:
    dataset = record(make_config(tmp_path), open_world, make_policy)
    for episode in dataset.episodes:
        rerender(episode, open_world)


def test_the_recipe_holds_the_whole_config(tmp_path: Path) -> None:
    world_config = CountingConfig(width=80, length=12)
    dataset = record(make_config(tmp_path), open_world, make_policy, world_config=world_config)
    recipe = dataset.episodes[0].recipe
    assert recipe.config == dataclasses.asdict(world_config)
    assert dataset.episodes[0].num_frames == 13
    rerender(dataset.episodes[0], open_world)


def test_a_world_that_does_not_repeat_itself_is_not_played_again(tmp_path: Path) -> None:
    class Wavering(CountingWorld):
        @property
        def info(self) -> WorldInfo:
            return dataclasses.replace(super().info, details={"repeats": "no"})

    episode = record(make_config(tmp_path), open_world, make_policy).episodes[0]
    with pytest.raises(DataError, match=r"game:counting does not repeat itself; its frames are the data"):
        rerender(episode, lambda name, config=None: Wavering())


def test_a_frame_that_plays_differently_is_found(tmp_path: Path) -> None:
    class Other(CountingWorld):
        def step(self, control: Control) -> Frame:
            frame = super().step(control)
            return dataclasses.replace(frame, image=frame.image ^ (frame.index == 7))

    episode = record(make_config(tmp_path), open_world, make_policy).episodes[0]
    with pytest.raises(
        DataError, match=r"does not play again: frame 7 differs; record it anew with this engine"
    ):
        rerender(episode, lambda name, config=None: Other())
    shutil.copytree(tmp_path, tmp_path / "old")
    text = (tmp_path / "old/episodes/episode-000000/episode.json").read_text()
    (tmp_path / "old/episodes/episode-000000/episode.json").write_text(
        text.replace("counting 1", "counting 0")
    )
    with pytest.raises(
        DataError, match=r"was recorded with counting 0, here is counting 1; install that version"
    ):
        rerender(Dataset(tmp_path / "old").episodes[0], open_world)


def test_other_settings_for_finished_episodes_are_refused(tmp_path: Path) -> None:
    record(make_config(tmp_path), open_world, make_policy)
    with pytest.raises(
        DataError, match=r"was recorded with policy sticky, now it is idle; choose another name or folder"
    ):
        record(make_config(tmp_path, policy="idle"), open_world, make_policy)
    dataset = record(make_config(tmp_path, policy="idle", name="idle"), open_world, make_policy)
    assert [episode.name for episode in dataset.episodes][3:] == ["idle-000000", "idle-000001", "idle-000002"]


def test_two_recorders_in_one_folder_are_refused(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path, "being recorded into", name=LOCK_FILE),
        pytest.raises(
            BusyError, match=rf"is being recorded into by process {os.getpid()}; wait for it, stop it"
        ),
    ):
        record(make_config(tmp_path), open_world, make_policy)
    record(make_config(tmp_path), open_world, make_policy)


def test_what_a_living_writer_writes_is_let_be(tmp_path: Path) -> None:
    living = tmp_path / "episodes" / f".partial-{os.getpid()}-person-000000"
    living.mkdir(parents=True)
    (tmp_path / "episodes" / ".partial-999999999-episode-000000").mkdir()
    shutil.rmtree(living)
    record(make_config(tmp_path), open_world, make_policy)
    living.mkdir()
    record(make_config(tmp_path, num_episodes=4), open_world, make_policy)
    assert [part.name for part in (tmp_path / "episodes").glob(".partial*")] == [living.name]


def test_splits_draw_their_worlds_from_ranges_that_are_apart(tmp_path: Path) -> None:
    config = make_config(tmp_path, num_episodes=12, max_steps=1, first_world_seed=100, num_world_seeds=5)
    dataset = record(config, open_world, make_policy)
    seeds = {episode.recipe.seed for episode in dataset.episodes}
    assert seeds <= set(range(100, 105))
    assert len(seeds) > 1
    held_out = dataclasses.replace(config, split="unseen", name="unseen", first_world_seed=105)
    dataset = record(held_out, open_world, make_policy)
    assert seeds.isdisjoint(episode.recipe.seed for episode in dataset.select("unseen"))
    assert len(dataset.select("train")) == 12


def test_an_episode_ends_when_the_game_ends_it(tmp_path: Path) -> None:
    dataset = record(make_config(tmp_path), open_world, make_policy, world_config=CountingConfig(length=4))
    assert [episode.num_frames for episode in dataset.episodes] == [5, 5, 5]
    assert dataset.episodes[0].truth("ended").tolist() == [False] * 4 + [True]


def _open_dying(name: str, config: Any = None) -> World:
    class Dying(CountingWorld):
        def step(self, control: Control) -> Frame:
            os._exit(9)

    if multiprocessing.parent_process() is not None:
        (config / str(subprocess.Popen(["sleep", "300"]).pid)).touch()
    return Dying()


def _open_tidy(name: str, config: Any = None) -> World:
    class Tidy(CountingWorld):
        def close(self) -> None:
            (config / str(os.getpid())).touch()

    return Tidy()


def test_a_worker_closes_its_world_when_all_is_done(tmp_path: Path) -> None:
    config = make_config(tmp_path / "out", workers=2)
    (tmp_path / "closed").mkdir()
    record(config, _open_tidy, make_policy, world_config=tmp_path / "closed")
    # This process asked for the world's size; a second worker may have come too late to play.
    closed = {int(file.name) for file in (tmp_path / "closed").iterdir()}
    assert os.getpid() in closed
    assert len(closed) >= 2


def test_a_worker_that_dies_is_told_and_nothing_half_is_left(tmp_path: Path) -> None:
    helpers = tmp_path / "helpers"
    helpers.mkdir()
    with pytest.raises(
        WorldError, match=r"a recording process of game:counting died .*; run the same command again"
    ):
        record(make_config(tmp_path, workers=2), _open_dying, make_policy, world_config=helpers)
    started = [int(file.name) for file in helpers.iterdir()]
    assert started
    deadline = time.monotonic() + 20
    while any(_is_alive(process) for process in started) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(_is_alive(process) for process in started)
    assert len(record(make_config(tmp_path), open_world, make_policy)) == 3
    assert not list((tmp_path / "episodes").glob(".partial*"))


def _open_breaking(name: str, config: Any = None) -> World:
    class Breaking(CountingWorld):
        """Breaks in its fifth step for as long as the folder holds tokens, of which each time takes one."""

        def __init__(self) -> None:
            super().__init__()
            self.steps = 0

        def step(self, control: Control) -> Frame:
            self.steps += 1
            if self.steps == 5 and (left := sorted(config.iterdir())):
                left[0].unlink()
                raise LostWorldError("the window went away; open the world again")
            return super().step(control)

    return Breaking()


@pytest.mark.parametrize(("breaks", "goes_on"), [(2, True), (3, False)])
def test_an_episode_whose_world_breaks_begins_anew(
    tmp_path: Path, breaks: int, goes_on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    for token in range(breaks):
        (tokens / str(token)).touch()
    config = make_config(tmp_path / "broken")
    if not goes_on:
        with pytest.raises(LostWorldError, match="open the world again"):
            record(config, _open_breaking, make_policy, world_config=tokens)
        return
    record(config, _open_breaking, make_policy, world_config=tokens)
    record(make_config(tmp_path / "straight"), _open_breaking, make_policy, world_config=tokens)
    assert read_all(tmp_path / "broken") == read_all(tmp_path / "straight")
    assert caplog.text.count("episode 0 begins anew: the window went away") == breaks


def test_an_error_in_a_worker_keeps_its_text(tmp_path: Path) -> None:
    with pytest.raises(
        ControlError,
        match=r'there is no policy "explorer" for this world; choose one of sticky, random, idle',
    ):
        record(make_config(tmp_path, workers=2, policy="explorer"), open_world, make_policy)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"num_episodes": 0}, "num_episodes 0 is too small; use 1 or more"),
        ({"workers": 0}, "workers 0 is too small; use 1 or more"),
        ({"split": "test"}, "split test is not known; choose one of train, held_out, unseen"),
        ({"seed": -1}, "seed -1 is negative; use 0 or more"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_config(tmp_path, **changes)


def test_progress_counts_what_was_there_before(tmp_path: Path) -> None:
    calls: list[Any] = []

    class Progress:
        def __init__(self, what: str, total: int, unit: str = "step", start: int = 0) -> None:
            calls.append((what, total, unit, start))

        def update(self, done: int, metrics: Any = None) -> None:
            calls.append((done, dict(metrics)))

        def close(self) -> None:
            calls.append("closed")

    record(make_config(tmp_path, num_episodes=1), open_world, make_policy)
    record(make_config(tmp_path), open_world, make_policy, progress=Progress)
    assert calls == [
        ("record game:counting", 3, "episode", 1),
        (2, {"frames": 21}),
        (3, {"frames": 42}),
        "closed",
    ]


def test_a_video_for_people_is_written_on_request(tmp_path: Path) -> None:
    dataset = record(
        make_config(tmp_path, num_episodes=1, video=True, frames="ffv1"), open_world, make_policy
    )
    episode = dataset.episodes[0]
    assert episode.video is not None
    episode.verify()
    assert np.array_equal(episode.frames[3], episode.read_frames(3, 4)[0])
