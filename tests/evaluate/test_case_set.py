import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import DataError, WorldError
from paracosm.data.reader import Dataset
from paracosm.evaluate.case_set import SETS, CaseSet, find_case_set, load_case_set, render_case_set
from paracosm.evaluate.case_set_maker import CaseSetConfig, make_case_set
from paracosm.evaluate.cases import START_FRAMES
from paracosm.evaluate.sources import RecordedCases, ShippedCases
from tests import foreign

from .toys import open_toy, record_toy

SHIPPED = sorted(path for path in SETS.glob("*-*") if (path / "cases.json").is_file())
LARGEST_MB = 3.5
"""What one case set may weigh in the package: start clips, a reader, controls and scenes."""


@pytest.fixture(scope="module")
def main_episodes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return record_toy(tmp_path_factory.mktemp("main"), range(10, 16), 120, "held_out", level=1)


@pytest.fixture(scope="module")
def toy_set(main_episodes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> CaseSet:
    folder = tmp_path_factory.mktemp("sets")
    config = CaseSetConfig(
        name="toy",
        version=1,
        data=main_episodes.path,
        reference=record_toy(folder / "train", range(30, 34), 60, "train", level=1).path,
        unseen=record_toy(folder / "unseen", range(50, 52), 60, "unseen", level=2).path,
        out=folder / "toy-1",
        num_places=6,
        most_steps=10,
        run_steps=300,
    )
    return make_case_set(config)


def source(case_set: CaseSet, cache: Path) -> ShippedCases:
    main, unseen = render_case_set(case_set, open_toy, cache=cache, workers=1)
    return ShippedCases(
        main=main, unseen=unseen, split=case_set.split, places=case_set.places, whole=case_set.whole,
        most_steps=case_set.most_steps, seed=case_set.seed,
    )  # fmt: skip


def test_a_set_holds_no_frames_but_the_starts_and_the_game_draws_the_rest(
    toy_set: CaseSet, main_episodes: Dataset, tmp_path: Path
) -> None:
    cases = source(toy_set, tmp_path).cases(4, 10, near=False)
    assert [case.split for case in cases] == ["seen_level"] * 4 + ["unseen_level"] * 2
    assert np.array_equal(np.stack([case.rollout.start for case in cases[:4]]), toy_set.starts()[:4])
    name, _, row = cases[0].name.partition("@")
    recorded = main_episodes.episodes[int(name[-3:])]
    assert np.array_equal(cases[0].truth, recorded.frames[int(row) + 1 : int(row) + 11])
    assert cases[0].rollout.controls == tuple(recorded.controls[int(row) : int(row) + 10])


def test_the_second_time_nothing_is_drawn(toy_set: CaseSet, tmp_path: Path) -> None:
    render_case_set(toy_set, open_toy, cache=tmp_path, workers=1)
    main, unseen = render_case_set(toy_set, refuse, cache=tmp_path, workers=1)
    assert (len(main), len(unseen)) == (6, 2)


def refuse(name: str, config: object = None):
    raise AssertionError(name)


def test_more_cases_than_are_listed_are_drawn_by_the_sets_seed(toy_set: CaseSet, tmp_path: Path) -> None:
    shipped = source(toy_set, tmp_path)
    listed, more = (
        [case.name for case in shipped.cases(count, 10, near=True) if case.split == "seen_level"]
        for count in (6, 9)
    )
    assert more[:6] == listed
    assert len(set(more)) == 9


def test_cases_that_the_true_game_plays_on_are_of_both_splits(
    toy_set: CaseSet, main_episodes: Dataset, tmp_path: Path
) -> None:
    drawn = RecordedCases(main=main_episodes.episodes[:4], unseen=main_episodes.episodes[4:])
    for cases in (source(toy_set, tmp_path).cases(4, 10, near=True), drawn.cases(4, 10, near=True)):
        assert [case.split for case in cases] == ["seen_level"] * 4 + ["unseen_level"] * 2


def test_long_runs_are_made_of_whole_episodes_and_the_others_end_after_their_last_place(
    toy_set: CaseSet, tmp_path: Path
) -> None:
    whole = {name for name in toy_set.whole if name.startswith("held-out")}
    assert len(whole) == 3
    assert all(toy_set.episodes[name]["num_frames"] == 121 for name in whole)
    run = source(toy_set, tmp_path).runs(1, 200)[0]
    assert {part.episode.name for part in run.segments} <= whole
    assert all(episode["num_frames"] >= START_FRAMES + 10 for episode in toy_set.episodes.values())


def test_a_game_that_draws_other_pixels_is_refused(toy_set: CaseSet, tmp_path: Path) -> None:
    episodes = {name: dict(one, frames_sha256="0" * 64) for name, one in toy_set.episodes.items()}
    text = "game:toy does not repeat held-out-000 of the case set toy 1, made with toy 1; install"
    with pytest.raises(WorldError, match=text):
        render_case_set(replace(toy_set, episodes=episodes), open_toy, cache=tmp_path, workers=1)


def test_starts_that_are_not_those_of_the_places_are_refused(toy_set: CaseSet, tmp_path: Path) -> None:
    places = (replace(toy_set.places[0], row=toy_set.places[0].row + 1), *toy_set.places[1:])
    with pytest.raises(WorldError, match=r"starts.png shows another start than held-out-\d+ at row \d+;"):
        render_case_set(replace(toy_set, places=places), open_toy, cache=tmp_path, workers=1)


def test_a_set_of_a_newer_format_is_refused(toy_set: CaseSet, tmp_path: Path) -> None:
    shutil.copytree(toy_set.folder, tmp_path / "toy-1")
    file = tmp_path / "toy-1" / "cases.json"
    file.write_text(file.read_text().replace('"format_version": 1', '"format_version": 9', 1))
    with pytest.raises(DataError, match="has format version 9, this version reads 1; upgrade paracosm"):
        load_case_set(tmp_path / "toy-1")


def test_held_out_episodes_with_training_seeds_make_no_set(held_out: Dataset, tmp_path: Path) -> None:
    met = record_toy(tmp_path / "met", [12], 60, "train")
    config = CaseSetConfig(
        name="toy", version=1, data=held_out.path, reference=met.path, out=tmp_path / "set", most_steps=10
    )
    with pytest.raises(DataError, match="has seed 12, which is a training seed; record held-out episodes"):
        make_case_set(config)


def test_a_folder_of_others_is_not_replaced_by_a_set(main_episodes: Dataset, tmp_path: Path) -> None:
    learnt = record_toy(tmp_path / "train", range(30, 34), 60, "train", level=1)
    with foreign.refused(tmp_path / "mine") as mine:
        make_case_set(
            CaseSetConfig(
                name="toy",
                version=1,
                data=main_episodes.path,
                reference=learnt.path,
                out=mine,
                num_places=6,
                most_steps=10,
                run_steps=300,
            )
        )


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_shipped_sets_are_small_and_whole(folder: Path) -> None:
    case_set = load_case_set(folder)
    assert folder.name == f"{case_set.name}-{case_set.version}"
    assert find_case_set(f"game:{case_set.name}") is not None
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < LARGEST_MB * 1e6
    controls = case_set.controls()
    assert all(len(controls[name]) == one["num_frames"] - 1 for name, one in case_set.episodes.items())
    assert case_set.starts().shape == (len(case_set.places), START_FRAMES, *_size(case_set), 3)
    assert len(case_set.real.band.low) == 6


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_training_and_case_seeds_never_meet_within_a_split(folder: Path) -> None:
    case_set = load_case_set(folder)
    seeds, levels = set(case_set.training["seeds"]), set(case_set.training["level_seeds"])
    assert len(seeds) >= 100
    for episode in case_set.episodes.values():
        assert episode["recipe"]["seed"] not in seeds
        assert episode["recipe"]["split"] != "train"
        assert (episode["recipe"]["level_seed"] in levels) == (episode["split"] == "seen_level")
    shown = {case_set.episodes[place.episode]["split"] for place in case_set.places}
    assert shown == {episode["split"] for episode in case_set.episodes.values()}


def test_the_files_of_a_set_read_line_by_line(toy_set: CaseSet) -> None:
    text = (toy_set.folder / "cases.json").read_text()
    assert len(text.splitlines()) > len(toy_set.episodes)
    assert json.loads(text)["name"] == "toy"


def _size(case_set: CaseSet) -> tuple[int, int]:
    return case_set.info.height, case_set.info.width
