"""Scenes that ship are drawn again by the true game, whatever its player would do today, and checked."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import DataError, WorldError
from paracosm.core.figures import make_report
from paracosm.evaluate import interaction_cases
from paracosm.evaluate.bench import Bench, BenchConfig
from paracosm.evaluate.case_set import SETS, find_case_set, load_case_set
from paracosm.evaluate.interaction_cases import KINDS as ALL_KINDS
from paracosm.evaluate.interaction_cases import STRAFE, covered, find_scene
from paracosm.evaluate.part import SkippedUnitError
from paracosm.evaluate.parts.interaction import Interaction
from paracosm.evaluate.parts.phenomena import Phenomena
from paracosm.evaluate.report import Page, write_page
from paracosm.evaluate.rollouts import Subject
from paracosm.evaluate.runner import run_parts
from paracosm.evaluate.scenes import SceneSet, load_scenes, write_scenes

from .chamber import CONFIG, KINDS, NAME, SPACE, Chamber, open_chamber
from .test_interaction_part import NoCases

DOOR, JUMP = KINDS[:2]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> SceneSet:
    game, found = Chamber("true"), {}
    for kind in (DOOR, JUMP):
        for label, number, split in (
            ("0", 0, "seen_level"),
            ("1", 1, "seen_level"),
            ("unseen-0", 9, "unseen_level"),
        ):
            scene = find_scene(game, CONFIG, kind, number, 18)
            assert scene is not None
            found[f"{kind.name}/{label}"] = (kind, split, scene)
    return write_scenes(tmp_path_factory.mktemp("set"), SPACE, 1, found)


@pytest.fixture
def no_player(monkeypatch: pytest.MonkeyPatch) -> None:
    """The game's own player is gone: what ships must do without."""

    def refuse(*_: object) -> None:
        raise AssertionError("a shipped scene was searched for")

    monkeypatch.setattr("paracosm.evaluate.interaction_cases.make_policy", refuse)


@pytest.fixture
def kinds() -> Iterator[None]:
    interaction_cases.KINDS[NAME] = KINDS
    yield
    del interaction_cases.KINDS[NAME]


def bench_config(kind: str, shipped: SceneSet | None) -> BenchConfig:
    game = Subject(name=NAME, opener=open_chamber, config=CONFIG)
    subject = Subject(name=f"model:{kind}", opener=open_chamber)
    info = Chamber(kind).info
    return BenchConfig(subject=subject, game=game, info=info, source=NoCases(), scenes=shipped)  # pyright: ignore


def test_a_scene_is_drawn_from_what_was_kept_and_not_by_the_player(
    shipped: SceneSet, no_player: None
) -> None:
    game = Chamber("true")
    scene = shipped.draw(game, DOOR, "door/1", 18)
    assert DOOR.happened(scene.truths)
    assert not DOOR.happened(scene.idle_truths)
    assert scene.rollout.recipe.seed >= interaction_cases.FIRST_SEED
    short = shipped.draw(game, DOOR, "door/1", 10)
    assert np.array_equal(short.true_acted, scene.true_acted[:10])
    assert (len(short.truths), len(short.rollout.controls)) == (10, 10)


def test_a_scene_is_the_one_that_was_found(shipped: SceneSet) -> None:
    found = find_scene(Chamber("true"), CONFIG, JUMP, 1, 18)
    drawn = shipped.draw(Chamber("true"), JUMP, "jump/1", 18)
    assert found is not None
    assert drawn.rollout.past == found.rollout.past
    assert np.array_equal(drawn.true_acted, found.true_acted)


def test_a_game_that_answers_otherwise_is_refused(shipped: SceneSet) -> None:
    class Slow(Chamber):
        def step(self, control):
            frame = super().step(control)
            return replace(frame, image=frame.image // 2) if self.state[0] else frame

    with pytest.raises(WorldError, match=r"does not repeat the scene door/0 of .*: another acted; install"):
        shipped.draw(Slow("true"), DOOR, "door/0", 18)


@pytest.mark.parametrize(("part", "value"), [("start", "0" * 32), ("idle", "0" * 32), ("happened_at", 99)])
def test_another_start_outcome_or_moment_is_refused_by_name(
    shipped: SceneSet, part: str, value: object
) -> None:
    scenes = {name: dict(one) for name, one in shipped.scenes.items()}
    scenes["jump/0"][part] = value
    with pytest.raises(WorldError, match=rf"does not repeat the scene jump/0 of .*: another {part}; install"):
        replace(shipped, scenes=scenes).draw(Chamber("true"), JUMP, "jump/0", 18)


def test_more_steps_than_were_kept_are_refused(shipped: SceneSet) -> None:
    with pytest.raises(DataError, match="scenes were kept for 18 steps, 19 are wanted; take fewer"):
        shipped.draw(Chamber("true"), DOOR, "door/0", 19)


def test_files_of_another_format_or_not_whole_are_refused(shipped: SceneSet, tmp_path: Path) -> None:
    value = json.loads((shipped.folder / "scenes.json").read_text())
    file = tmp_path / "scenes.json"
    file.write_text(json.dumps(value | {"format_version": 9}))
    with pytest.raises(DataError, match="has format version 9, this version reads 1; upgrade paracosm"):
        load_scenes(tmp_path, SPACE)
    del value["scenes"]["door/0"]["idle"]
    file.write_text(json.dumps(value))
    with pytest.raises(DataError, match=r"holds no whole scenes \(\['door/0'\]\); restore it from a copy"):
        load_scenes(tmp_path, SPACE)
    assert load_scenes(tmp_path / "none", SPACE) is None


def test_both_splits_of_interaction_and_phenomena_stand_on_lines_of_their_own(
    shipped: SceneSet, no_player: None, kinds: None
) -> None:
    parts = [Interaction(num_cases=2, steps=18, num_seeds=2), Phenomena(num_cases=1)]
    outcome = run_parts(parts, bench_config("oracle", shipped))
    assert outcome.coverage == 1.0
    for name, count in (("interaction.trigger_rate", 4), ("unseen.interaction.trigger_rate", 2)):
        assert (outcome.figures[name].value, outcome.figures[name].n) == (1.0, count)
    assert outcome.figures["phenomena.door_opens"].n == 2
    assert outcome.figures["unseen.phenomena.door_opens"].n == 1


def test_scenes_of_interaction_are_shown_with_and_without_the_key(
    shipped: SceneSet, kinds: None, tmp_path: Path
) -> None:
    parts = [Interaction(num_cases=2, steps=18, num_seeds=2)]
    outcome = run_parts(parts, bench_config("late", shipped), tmp_path)
    report = make_report("paracosm evaluate toy", outcome.figures, [0])
    write_page(tmp_path / "report.html", Page(outcome=outcome, report=report))
    text = (tmp_path / "report.html").read_text()
    shown = re.findall(r"(door|jump)/[\w-]+, (?:un)?seen level: gain [\d.]+, triggered under (\d) of 2", text)
    assert [kind for kind, _ in shown] == ["door", "door", "jump", "jump"]
    assert "http" not in text


def test_a_quick_look_takes_one_scene_of_each_split_and_no_more_than_ship(shipped: SceneSet) -> None:
    bench = Bench(bench_config("oracle", shipped))
    assert list(bench.scenes(DOOR, 1)) == ["door/0", "door/unseen-0"]
    assert list(bench.scenes(DOOR, 50)) == ["door/0", "door/1", "door/unseen-0"]
    assert list(Bench(bench_config("oracle", None)).scenes(DOOR, 2)) == ["door/0", "door/1"]


def test_a_game_that_does_not_repeat_itself_is_not_asked_what_would_have_happened(
    shipped: SceneSet,
) -> None:
    captured = Chamber("true")
    captured.info = replace(captured.info, details={"repeats": "no"})
    rollout = shipped.draw(Chamber("true"), DOOR, "door/0", 18).rollout
    config = bench_config("oracle", None)
    assert len(Bench(config).play_true(rollout)[0]) == len(rollout.controls)
    game = Subject(name=NAME, opener=lambda name, config=None: captured, config=CONFIG)
    with pytest.raises(SkippedUnitError, match="does not repeat itself: it cannot be put into"):
        Bench(replace(config, game=game)).play_true(rollout)


@pytest.mark.parametrize("game", ["doom", "coinrun"])
def test_the_scenes_that_ship_cover_their_game_and_meet_no_training_seed(game: str) -> None:
    folder = find_case_set(f"game:{game}")
    assert folder is not None
    case_set = load_case_set(folder)
    scenes = case_set.scenes
    assert scenes is not None
    kinds = [kind for kind in ALL_KINDS[f"game:{game}"] if covered(kind, case_set.main_config)]
    kinds += [STRAFE] if game == "doom" else []
    for kind in kinds:
        splits = [place.split for place in scenes.places(kind.name, 8)]
        assert len(splits) >= 8, kind.name
        assert ("seen_level" in splits) == (game == "doom")
    seeds = {one["recipe"]["seed"] for one in scenes.scenes.values()}
    assert not seeds & set(case_set.training["seeds"])
    assert all(one["happened_at"] for one in scenes.scenes.values())
    assert {len(way) for way in scenes.ways.values()} == {one["way"] for one in scenes.scenes.values()}
    sizes = [(folder / name).stat().st_size for name in ("scenes.json", "scenes.parquet")]
    assert sum(sizes) < 1_000_000
    assert folder.parent == SETS


@pytest.mark.games("coinrun")
def test_a_scene_of_coinrun_that_ships_is_drawn_again() -> None:
    from paracosm.worlds import open_world

    folder = find_case_set("game:coinrun")
    assert folder is not None
    scenes = load_case_set(folder).scenes
    assert scenes is not None
    name = next(iter(scenes.scenes))
    world = open_world("game:coinrun", scenes.config(name))
    try:
        scene = scenes.draw(world, ALL_KINDS["game:coinrun"][0], name, scenes.steps)
    finally:
        world.close()
    assert scene.true_acted.shape == (scenes.steps, 64, 64, 3)
