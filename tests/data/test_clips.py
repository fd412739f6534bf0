"""Clips are a function of seed, step, part and rank."""

import numpy as np
import pytest

from paracosm.core.errors import ConfigError, DataError
from paracosm.data.clips import ClipSampler


def test_two_samplers_of_one_seed_agree_and_other_seeds_ranks_and_steps_differ() -> None:
    def draw(seed: int = 0, rank: int = 0, step: int = 5, part: int = 0) -> list[tuple[int, int]]:
        return ClipSampler([50, 9, 30], 10, seed, rank).draw(step, part, 16)

    assert draw() == draw()
    assert all(draw() != other for other in (draw(seed=1), draw(rank=1), draw(step=6), draw(part=1)))


def test_every_clip_lies_whole_in_its_episode_and_every_place_is_drawn() -> None:
    sampler = ClipSampler([12, 9, 11], 10, seed=0)
    assert sampler.num_places == 5
    places = {place for step in range(40) for place in sampler.draw(step, 0, 8)}
    assert places == {(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)}


def test_places_are_drawn_evenly() -> None:
    places = ClipSampler([101, 301], 1, seed=3).draw(0, 0, 20_000)
    share = np.mean([episode == 0 for episode, _ in places])
    assert share == pytest.approx(101 / 402, abs=0.015)  # 5 standard errors of 20,000 draws


def test_a_share_of_clips_is_drawn_evenly_from_strata_whatever_their_size() -> None:
    rare, common = np.array([3]), np.arange(200, 300)
    sampler = ClipSampler([101, 301], 1, seed=3, strata=(rare, common), strata_share=0.5)
    drawn = [place for step in range(40) for place in sampler.draw(step, 0, 500)]
    assert drawn[:500] == ClipSampler([101, 301], 1, seed=3, strata=(rare, common), strata_share=0.5).draw(
        0, 0, 500
    )
    # 20,000 draws: a quarter from each stratum, and the evenly drawn half beside
    assert drawn.count((0, 3)) / len(drawn) == pytest.approx(0.25 + 0.5 / 402, abs=0.015)
    shown = sum(episode == 1 and 99 <= first < 199 for episode, first in drawn) / len(drawn)
    assert shown == pytest.approx(0.25 + 0.5 * 100 / 402, abs=0.016)
    assert ClipSampler([101, 301], 1, seed=3).draw(5, 0, 64) == ClipSampler(
        [101, 301], 1, seed=3, strata=(rare,)
    ).draw(5, 0, 64), "no share changes no draw"
    with pytest.raises(ConfigError, match=r"a share of 0\.5 .* and there are none"):
        ClipSampler([9], 2, seed=0, strata_share=0.5)


def test_places_are_drawn_in_proportion_to_the_weight_of_their_episode() -> None:
    sampler = ClipSampler([101, 5, 301], 10, seed=3, weights=[3.0, 9.0, 1.0])
    drawn = [place for step in range(40) for place in sampler.draw(step, 0, 500)]
    first = [start for episode, start in drawn if episode == 0]
    assert len(first) / len(drawn) == pytest.approx(3 * 92 / (3 * 92 + 292), abs=0.018)
    assert {episode for episode, _ in drawn} == {0, 2}, "episode 1 is too short for a clip"
    assert sorted(set(first)) == list(range(92))
    assert np.mean(first) == pytest.approx(45.5, abs=1.4)  # 5 standard errors
    assert {start for episode, start in drawn if episode == 2} == set(range(292))
    assert sampler.draw(7, 1, 16) == sampler.draw(7, 1, 16)


def test_equal_weights_change_no_draw() -> None:
    plain = ClipSampler([101, 301], 10, seed=3).draw(5, 0, 64)
    assert plain == ClipSampler([101, 301], 10, seed=3, weights=[1.0, 1.0]).draw(5, 0, 64)


def test_episodes_too_short_for_a_clip_are_refused_with_both_lengths() -> None:
    with pytest.raises(DataError, match=r"no episode has 10 frames \(the longest has 9\)"):
        ClipSampler([9, 3], 10, seed=0)
