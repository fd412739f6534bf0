from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import DataError, WorldError
from paracosm.data.reader import Dataset
from paracosm.evaluate.cases import START_FRAMES, choose_cases, choose_runs
from paracosm.evaluate.rollouts import Subject, play, play_all

from .toys import ToyWorld, open_toy, record_toy


def test_a_case_is_the_recording_cut_by_the_control_law(held_out: Dataset) -> None:
    for case in choose_cases(held_out.episodes, 8, 10, seed=0):
        name, _, row = case.name.partition("@")
        episode, at = held_out.episode(name), int(row)
        assert np.array_equal(case.rollout.start, episode.frames[at - START_FRAMES + 1 : at + 1])
        assert case.rollout.start_controls == tuple(episode.controls[at - START_FRAMES + 1 : at])
        assert case.rollout.controls == tuple(episode.controls[at : at + 10])
        assert np.array_equal(case.truth, episode.frames[at + 1 : at + 11])


def test_the_same_seed_gives_the_same_cases_and_episodes_take_turns(held_out: Dataset) -> None:
    names = [[case.name for case in choose_cases(held_out.episodes, 12, 10, seed)] for seed in (3, 3, 4)]
    assert names[0] == names[1] != names[2]
    assert len({name.partition("@")[0] for name in names[0][:6]}) == 6


def test_cases_take_three_noise_seeds_in_turn(held_out: Dataset) -> None:
    assert [case.rollout.seed for case in choose_cases(held_out.episodes, 5, 10, 0)] == [0, 1, 2, 0, 1]


def test_a_run_goes_on_with_the_controls_of_further_episodes(held_out: Dataset) -> None:
    run = choose_runs(held_out.episodes, 1, 300, seed=0)[0]
    assert len(run.rollout.controls) == 300
    assert [part.count for part in run.segments] == [117, 120, 63]
    expected = [
        c for part in run.segments for c in part.episode.controls[part.first : part.first + part.count]
    ]
    assert list(run.rollout.controls) == expected


def test_too_short_episodes_are_refused_with_what_is_there(held_out: Dataset) -> None:
    with pytest.raises(DataError, match=r"no episode has 204 frames \(the longest has 121\); record longer"):
        choose_cases(held_out.episodes, 1, 200, seed=0)


def test_the_true_game_replayed_to_a_case_shows_the_recorded_frames(held_out: Dataset) -> None:
    case = choose_cases(held_out.episodes, 1, 10, seed=0)[0]
    assert np.array_equal(play(ToyWorld("true"), case.rollout), case.truth)


def test_a_dream_begins_from_the_start_clip(held_out: Dataset) -> None:
    case = choose_cases(held_out.episodes, 1, 10, seed=0)[0]
    assert np.array_equal(play(ToyWorld("oracle"), case.rollout), case.truth)


def test_a_game_that_draws_other_pixels_than_it_recorded_is_refused(held_out: Dataset) -> None:
    case = choose_cases(held_out.episodes, 1, 10, seed=0)[0]
    case.rollout.start[-1] += 1
    with pytest.raises(WorldError, match=r"game:toy \(toy 1\) does not repeat the recording made by toy 1"):
        play(ToyWorld("true"), case.rollout)


def test_a_game_that_did_not_make_the_recording_is_refused(held_out: Dataset) -> None:
    world = ToyWorld("true")
    world.info = type(world.info)(**{**vars(world.info), "name": "game:other"})
    case = choose_cases(held_out.episodes, 1, 10, seed=0)[0]
    with pytest.raises(
        WorldError, match=r"game:other cannot begin from a clip and did not record this one \(game:toy did\)"
    ):
        play(world, case.rollout)


def test_two_workers_play_the_same_bytes_in_the_same_order_as_none(held_out: Dataset) -> None:
    subject = Subject(name="model:oracle", opener=open_toy)
    rollouts = [case.rollout for case in choose_cases(held_out.episodes, 4, 6, seed=0)]
    alone, together = play_all(subject, rollouts, 1), play_all(subject, rollouts, 2)
    assert all(np.array_equal(one, two) for one, two in zip(alone, together, strict=True))


def test_episodes_of_two_frames_begin_no_run(tmp_path: Path) -> None:
    short = record_toy(tmp_path, [1], 2, "held_out")
    with pytest.raises(DataError, match="no episode has 8 frames; record longer held-out episodes"):
        choose_runs(short.episodes, 1, 100, seed=0)
