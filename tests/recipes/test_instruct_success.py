"""A world that obeys scores 1, one that ignores scores at its anchor; a bad reader leaves it undefined."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fact_reader, instruct_success, prompt_hits, word_reach
from benchmarks.instruct_success import (
    FULL,
    OFF,
    Setup,
    as_markdown,
    measure_rows,
    parse_player,
    set_up,
    verdicts,
)
from paracosm.collect.record import RecordConfig, record
from paracosm.core.errors import ConfigError
from paracosm.core.figures import read_report
from paracosm.data.reader import EpisodeRef
from paracosm.evaluate.instruct_cases import TELLINGS, InstructCase, Judges
from paracosm.recipes import doom
from paracosm.worlds import make_policy, open_world
from tests.evaluate.coded_world import CodeReader, ShapeFacts, record_coded, stamp
from tests.recipes.toy_instruct_world import build_toy_world
from tests.shapes_world import KEYS

NEW, COUNT = 6, 64


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Sequence[EpisodeRef]:
    return record_coded(tmp_path_factory.mktemp("coded"), 8, seed=1)


@pytest.fixture(scope="module")
def setup(episodes: Sequence[EpisodeRef]) -> Setup:
    return set_up(episodes, Judges(controls=CodeReader(), facts=ShapeFacts()), COUNT, NEW)


def obeys(case: InstructCase) -> np.ndarray:
    """What the told control, or the event as it truly came about, looks like."""
    if case.real is not None:
        return case.real
    return np.stack([stamp(case.rollout.start[-1], frozenset({case.ask.kind}))] * NEW)


def ignores(case: InstructCase) -> np.ndarray:
    """The last picture stays, and the player always walks to the right."""
    return np.stack([stamp(case.rollout.start[-1], frozenset({"right"}))] * NEW)


def test_cases_tell_every_control_and_event_in_words_and_by_keys(setup: Setup) -> None:
    controls = [case for case in setup.cases if case.ask.rate == "control"]
    events = [case for case in setup.cases if case.ask.rate == "event"]
    assert len(controls) == COUNT
    for kind in KEYS:
        told = [case for case in controls if case.ask.kind == kind]
        assert [sum(case.telling == one for case in told) for one in TELLINGS] == [8, 8]
        for case in told:
            first = case.rollout.controls[0]
            assert first.text == ({"action": f"move {kind}"} if case.telling == "text" else None)
            assert first.keys == ({kind} if case.telling == "keys" else frozenset())
    assert {case.ask.kind for case in events} == {"light=day", "light=night", "event_flash=yes"}
    spoken = [case for case in events if case.telling == "text"]
    assert 0 < len(spoken) < len(events)
    for case in spoken:
        text = case.rollout.controls[0].text
        assert isinstance(text, dict)
        name, _, value = case.ask.kind.partition("=")
        words = f"change to light {value}" if name == "light" else "let flash"
        assert any(words in one for one in text.values())
    assert len({case.name for case in setup.cases}) == len(setup.cases)


def test_a_world_that_obeys_scores_1_and_one_that_ignores_scores_at_its_anchor(setup: Setup) -> None:
    played = {
        name: np.stack([act(case) for case in setup.cases]) for name, act in ((FULL, obeys), (OFF, ignores))
    }
    rows = measure_rows(setup, played)
    for rate in ("sr_c", "sr_e"):
        for level in ("clip", "frame", "clip.text", "clip.keys"):
            assert rows[FULL][f"instruct.{rate}.{level}"].value == 1.0
        full, off = (rows[name][f"instruct.{rate}.clip"] for name in (FULL, OFF))
        assert full.anchors["true_game"] == 1.0
        assert off.value == pytest.approx(off.anchors["shuffled"], abs=0.02)
        shuffled = full.anchors["shuffled"]
        assert shuffled is not None
        assert shuffled < 0.5
    assert rows[OFF]["instruct.sr_c.clip"].value == 0.25, "one key of four is the one that it always holds"
    assert rows[OFF]["instruct.sr_c.gain"].value == pytest.approx(0.75)
    assert rows[OFF]["instruct.sr_e.gain"].value == pytest.approx(1.0)
    assert rows[FULL]["instruct.sr_c.clip.left"].n == 16
    assert f"{COUNT} cases are too few, 300 are needed" in verdicts(rows)[0]
    assert "missed" in verdicts(rows)[0]
    table = as_markdown(rows, setup, "command")
    assert "| light=night |" in table
    assert "1.000 [1.000, 1.000], n 64" in table


def test_what_the_readers_cannot_read_is_undefined_and_says_why(episodes: Sequence[EpisodeRef]) -> None:
    poor = "read with F1 0.40 on held-out frames; at least 0.8 is needed to judge"
    facts = ShapeFacts({"light": poor})
    some = set_up(episodes, Judges(controls=CodeReader(blind=True), facts=facts), COUNT, NEW)
    assert {case.ask.kind for case in some.cases} == {"event_flash=yes"}
    assert some.left_out["light=day"] == poor
    played = np.stack([obeys(case) for case in some.cases])
    rows = measure_rows(some, {FULL: played, OFF: played})
    control = rows[FULL]["instruct.sr_c.clip"]
    assert control.status == "undefined"
    assert "left: read with F1 0.00 on real frames" in control.reason
    assert rows[FULL]["instruct.sr_e.clip"].value == 1.0
    assert "not computed" in verdicts(rows)[0]
    assert f"- not judged: light=day: {poor}" in as_markdown(rows, some, "command")


def test_rows_are_named_with_their_folder_and_form() -> None:
    found = parse_player("no captions=runs/a/world@joined")
    assert (found.name, found.folder, found.form) == ("no captions", Path("runs/a/world"), "joined")
    assert parse_player("b=runs/b").form == "fields"
    for text in ("runs/b", "b=", "full=runs/b", "b=runs/b@fields"):
        with pytest.raises(ConfigError, match="is no row; write NAME=FOLDER"):
            parse_player(text)


def test_clips_too_short_to_be_read_are_refused(episodes: Sequence[EpisodeRef]) -> None:
    with pytest.raises(ConfigError, match="clips of 2 new frames cannot be read; 3 or more"):
        set_up(episodes, Judges(controls=CodeReader(), facts=ShapeFacts()), 4, 2)


@pytest.mark.slow
@pytest.mark.games("doom")
@pytest.mark.timeout(600)
def test_the_commands_run_on_a_small_doom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random networks on five short episodes: every stretch, no figure."""
    for split, first, count in (("train", 0, 2), ("held_out", 10**9, 3)):
        config = RecordConfig(
            world="game:doom", out=tmp_path / split, num_episodes=count, max_steps=60, workers=1,
            first_world_seed=first, split=split,
        )  # fmt: skip
        dataset = record(config, open_world, make_policy, world_config=doom.games()["train"])
    world, alone = (build_toy_world(tmp_path / name, dataset, name == "world") for name in ("world", "alone"))

    def call(command: object, *words: object) -> None:
        monkeypatch.setattr(sys, "argv", ["it", *map(str, words)])
        command.main()  # pyright: ignore[reportAttributeAccessIssue]

    train, held_out, run = tmp_path / "train", tmp_path / "held_out", tmp_path / "run"
    call(
        fact_reader, train, "--held-out", held_out, "--run", run, "--steps", 2, "--json", tmp_path / "f.json"
    )
    facts = run / "facts"
    call(
        instruct_success, world, "--facts", facts, "--held-out", held_out, "--cases", 4,
        "--world", f"words alone={alone}", "--world", f"joined={world}@joined",
        "--out", tmp_path / "out", "--json", tmp_path / "s.json",
    )  # fmt: skip
    call(
        prompt_hits, world, "--facts", facts, "--train", train, "--held-out", held_out, "--seeds", 1,
        "--json", tmp_path / "p.json",
    )  # fmt: skip
    call(word_reach, world, "--json", tmp_path / "w.json")
    heard = read_report(tmp_path / "w.json").figures
    assert {name.partition(".")[2] for name in heard} == {"keys", "theme", "turn"}
    figures = read_report(tmp_path / "s.json").figures
    assert {name.partition(".")[0] for name in figures} == {"full", "branch_off", "words_alone", "joined"}
    assert figures["full.instruct.sr_c.clip"].n == 4
    assert figures["branch_off.instruct.sr_c.gain"].n == 4
    assert (tmp_path / "s.md").read_text().startswith("`python -m benchmarks.instruct_success")
    assert len(list((tmp_path / "out" / "played").glob("*.npy"))) == 4
    hits = read_report(tmp_path / "p.json").figures
    assert hits["prompts.hits.held_out"].status == "undefined"
    assert {name for name in hits if name.startswith("prompts.hits.")} == {
        f"prompts.hits.{one}"
        for one in ("character", "environment", "action", "event", "open_domain", "all", "held_out")
    }
