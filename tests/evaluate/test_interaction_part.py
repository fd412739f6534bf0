"""The parts of interaction on a toy game: the oracle at the ceiling, faulty dreams at what they earn."""

import functools
import itertools
import re
from pathlib import Path

import pytest

from paracosm.core.figures import Figure
from paracosm.evaluate import interaction_cases
from paracosm.evaluate.bench import BenchConfig
from paracosm.evaluate.interaction_cases import covered, find_scene
from paracosm.evaluate.interaction_score import DIMENSIONS
from paracosm.evaluate.judge_client import JudgeConfig, Reply
from paracosm.evaluate.judge_clips import judge_clip
from paracosm.evaluate.parts import judged
from paracosm.evaluate.parts.interaction import Interaction
from paracosm.evaluate.parts.judged import JudgedInteraction, with_judge
from paracosm.evaluate.parts.phenomena import Phenomena
from paracosm.evaluate.rollouts import Subject
from paracosm.evaluate.runner import run_parts

from .chamber import CONFIG, KINDS, NAME, Chamber, open_chamber

DOCS = Path(__file__).parents[2] / "docs"


class NoCases:
    """A source without cases: interactions bring their own."""

    def cases(self, count: int, steps: int, near: bool) -> list:
        return []

    def runs(self, count: int, steps: int) -> list:
        return []


@pytest.fixture(scope="module")
def measure():
    interaction_cases.KINDS[NAME] = KINDS
    game = Subject(name=NAME, opener=open_chamber, config=CONFIG)

    @functools.cache
    def of(kind: str) -> dict[str, Figure]:
        subject = game if kind == "true" else Subject(name=f"model:{kind}", opener=open_chamber)
        config = BenchConfig(subject=subject, game=game, info=Chamber(kind).info, source=NoCases())  # pyright: ignore
        parts = [Interaction(num_cases=2, steps=18, num_seeds=2), Phenomena(num_cases=1), JudgedInteraction()]
        outcome = run_parts(parts, config)
        assert outcome.coverage == 1.0, [one.reason for part in outcome.results.values() for one in part]
        return outcome.figures

    yield of
    del interaction_cases.KINDS[NAME]


def value(figures: dict[str, Figure], name: str) -> float:
    found = figures[name].value
    assert found is not None, (name, figures[name].reason)
    return float(found)


@pytest.mark.parametrize("kind", ["true", "oracle"])
def test_the_oracle_reaches_every_ceiling_of_interaction_and_phenomena(measure, kind: str) -> None:
    figures = measure(kind)
    for name in ("trigger_rate", "trigger_rate.actor", "trigger_rate.door", "trigger_rate.jump"):
        assert value(figures, f"interaction.{name}") == 1.0
    assert value(figures, "interaction.overall") == 5.0
    for name in DIMENSIONS:
        assert (
            value(figures, f"interaction.{name}")
            == value(figures, f"interaction.{name}.given_trigger")
            == 5.0
        )
    assert value(figures, "interaction.delay_steps") == 0.0
    assert (
        value(figures, "interaction.wrong_effect_rate") == value(figures, "interaction.unasked_rate") == 0.0
    )
    for name in ("door_opens", "jump_explained", "jump_height_share", "jump_gravity_share"):
        assert value(figures, f"phenomena.{name}") == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["frozen", "unasked", "swapped", "wild"])
def test_a_world_whose_keys_do_nothing_right_is_at_the_anchors(measure, kind: str) -> None:
    figures = measure(kind)
    anchors = figures["interaction.overall"].anchors
    assert anchors["true_game"] == 5.0
    assert anchors["no_control"] == anchors["copy_last"] == 0.0
    if kind == "unasked":
        assert value(figures, "interaction.trigger_rate.door") == 0.0
        assert value(figures, "interaction.unasked_rate") >= 0.5
        return
    assert value(figures, "interaction.overall") == 0.0
    assert figures["interaction.alignment.given_trigger"].status == "undefined"
    assert figures["interaction.alignment.given_trigger"].reason == "no clip was triggered"


def test_swapped_keys_and_wild_pictures_are_told_from_dead_ones(measure) -> None:
    assert value(measure("frozen"), "interaction.wrong_effect_rate") == 0.0
    assert value(measure("swapped"), "interaction.wrong_effect_rate") >= 0.5
    assert value(measure("wild"), "interaction.wrong_effect_rate") == 1.0


def test_a_late_door_and_one_that_vanishes_lose_what_they_should(measure) -> None:
    late, fades = measure("late"), measure("fades")
    assert value(late, "interaction.delay_steps") == 2.0
    assert value(late, "interaction.alignment.given_trigger") == 3.0
    assert value(late, "interaction.end_state.given_trigger") == 5.0
    assert value(fades, "interaction.trigger_rate") == 1.0
    assert value(fades, "interaction.end_state") < 5.0
    assert value(fades, "phenomena.door_opens") < 0.8


def test_what_the_game_never_shows_reads_not_covered(measure) -> None:
    figures = measure("oracle")
    for name in ("interaction.trigger_rate.hit", "phenomena.creature_reacts", "phenomena.creature_moves"):
        assert figures[name].status == "undefined"
        assert figures[name].reason == "not covered: the game has monsters 0"
    assert figures["interaction.trigger_rate.environment"].reason.startswith("not covered: no key of")
    assert "does not tell how far things are" in figures["phenomena.parallax_gain"].reason


def test_without_a_judge_its_figures_are_skipped_and_say_what_to_give(measure) -> None:
    figure = measure("oracle")["judged.trigger_rate"]
    assert (figure.status, figure.reason) == (
        "skipped",
        "no judge was named; give --judge-url and --judge-model",
    )


@pytest.mark.parametrize(("honest", "status"), [(True, "ok"), (False, "undefined")])
def test_a_named_judge_is_calibrated_first_and_shown_only_when_it_can_see(
    monkeypatch: pytest.MonkeyPatch, honest: bool, status: str
) -> None:
    def look(config: JudgeConfig, prompt: str, frames, vote: int) -> Reply:
        green = [bool((image == (40, 220, 60)).all(-1).any()) for image in frames]
        moved = [bool((image != frames[0]).any()) for image in frames]
        falls = sum(one and not two for one, two in itertools.pairwise(moved))
        question = prompt.partition("Question: ")[2]
        said = {
            "Does the scene": not any(moved),
            "At some moment": any(green) if "door" in question else any(moved),
            "Does the picture": falls > 1,
            "Does the change": "door" in question and not green[-1],
        }
        yes = next((value for begin, value in said.items() if question.startswith(begin)), False)
        text = f"ANSWER: {'yes' if yes or not honest else 'no'}"
        return Reply(text=text, judge="looker", fingerprint="", tokens=1, key="", kept=False)

    monkeypatch.setattr(judged, "judge_clip", functools.partial(judge_clip, asker=look))
    monkeypatch.setitem(interaction_cases.KINDS, NAME, KINDS[:1])
    game = Subject(name=NAME, opener=open_chamber, config=CONFIG)
    subject = Subject(name="model:oracle", opener=open_chamber)
    config = BenchConfig(subject=subject, game=game, info=Chamber("oracle").info, source=NoCases())  # pyright: ignore
    asked = JudgeConfig(url="http://unused", model="looker")
    parts = with_judge([Interaction(num_cases=2, steps=18, num_seeds=1), JudgedInteraction(votes=1)], asked)
    figures = run_parts(parts, config).figures
    assert figures["judged.trigger_rate"].status == status
    if honest:
        assert value(figures, "judged.calibration_accuracy") == 1.0
        assert value(figures, "judged.trigger_rate") == 1.0
        assert value(figures, "judged.end_state.given_trigger") == 5.0
    else:
        assert "of the known answers; at least 0.8 is needed" in figures["judged.trigger_rate"].reason


def test_every_figure_has_its_card(measure) -> None:
    text = (DOCS / "interaction.md").read_text()
    shown = set(re.findall(r"`((?:interaction|phenomena|judged)\.[A-Za-z_.]+)`", text))
    patterns = [re.compile(re.sub(r"[A-Z]+", "[a-z_]+", re.escape(name))) for name in shown]
    for name in measure("oracle"):
        assert any(pattern.fullmatch(name) for pattern in patterns), name


def test_scenes_repeat_and_the_game_confirms_them() -> None:
    game = Chamber("true")
    one, two = (find_scene(game, CONFIG, KINDS[0], 3, 18) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (one.true_acted == two.true_acted).all()
    assert KINDS[0].happened(one.truths)
    assert not KINDS[0].happened(one.idle_truths)
    assert one.rollout.recipe.seed >= 1_500_000_000
    assert one.rollout.recipe.split == "held_out"


def test_a_game_without_the_event_has_no_scene() -> None:
    never = KINDS[2]
    assert find_scene(Chamber("true"), CONFIG, never, 0, 18) is None
    assert not covered(never, CONFIG)
    assert covered(never, {"monsters": 3})
    assert not covered(never, None)
