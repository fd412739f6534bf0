"""A base that draws what is asked hits always, one that does not listen hits as often as by chance."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.prompt_hits import (
    PROMPTS,
    Prompt,
    Real,
    count_together,
    measure,
    read_prompts,
    read_real,
    tell,
    verdicts,
)
from paracosm.core.errors import ConfigError
from paracosm.core.rng import stream
from tests.evaluate.coded_world import ShapeFacts, record_coded, stamp
from tests.shapes_world import State, picture

FRAMES = 6
ROOMS, LIGHTS = ("red", "blue"), ("day", "night")
SET = (
    *(Prompt(family="environment", prompt=f"a {room} room", facts={"room": room}) for room in ROOMS),
    *(Prompt(family="character", prompt=f"a square by {light}", facts={"light": light}) for light in LIGHTS),
    *(
        Prompt(family="open_domain", prompt=f"{room}, {light}", facts={"room": room, "light": light})
        for room in ROOMS
        for light in LIGHTS
    ),
    Prompt(family="event", prompt="a flash", facts={"event_flash": "yes"}),
    Prompt(family="action", prompt="it swims", facts={"key_swim": "yes"}),
    Prompt(
        family="open_domain",
        prompt="a flash in red at night",
        facts={"event_flash": "yes", "room": "red", "light": "night"},
        held_out=True,
    ),
)
FACTS = {one.prompt: one.facts for one in SET}


def show(facts: Mapping[str, str]) -> np.ndarray:
    image = picture(State(0, 0, 4, 4, facts["room"], facts["light"] == "day"))
    return np.stack([stamp(image, frozenset(), "event_flash" in facts)] * FRAMES)


def listen(prompt: str, seed: int) -> np.ndarray:
    draws = stream(seed, "listens")
    drawn = {"room": ROOMS[draws.integers(2)], "light": LIGHTS[draws.integers(2)]}
    return show(drawn | FACTS[prompt])


def ignore(prompt: str, seed: int) -> np.ndarray:
    return listen("it swims", seed)


def test_hits_are_1_for_a_base_that_listens_and_chance_for_one_that_does_not() -> None:
    figures = measure(SET, listen, ShapeFacts(), num_seeds=6)
    for group in ("environment", "character", "open_domain", "event", "all"):
        assert figures[f"prompts.hits.{group}"].value == 1.0
    assert figures["prompts.shuffled.environment"].value == 0.0
    assert figures["prompts.gain.open_domain"].n == 4
    lines = dict(line.split(": ", 1) for line in verdicts(figures))
    assert lines["environment"].endswith("2 prompts: intervals are separated")
    assert "no other prompt of the family can be judged" in lines["event"]
    deaf = measure(SET, ignore, ShapeFacts(), num_seeds=6)
    for group in ("environment", "character", "open_domain"):
        hits, mixed = deaf[f"prompts.hits.{group}"], deaf[f"prompts.shuffled.{group}"]
        assert hits.value == pytest.approx(mixed.value)
        assert hits.anchors["shuffled"] == mixed.value
    assert "NOT separated: this shows nothing" in verdicts(deaf)[1]


def test_facts_that_real_frames_cannot_judge_leave_their_prompts_out() -> None:
    poor = "read with F1 0.31 on held-out frames"
    figures = measure(SET, listen, ShapeFacts({"room": poor}), num_seeds=1)
    assert figures["prompts.hits.environment"].status == "undefined"
    assert figures["prompts.hits.environment"].reason == (
        f"none of its 2 prompts can be judged, e.g. room=red: {poor}"
    )
    assert figures["prompts.hits.open_domain"].status == "undefined"
    assert figures["prompts.hits.character"].value == 1.0
    assert figures["prompts.hits.action"].reason.endswith('e.g. key_swim=yes: tell no fact "key_swim"')
    lines = tell(SET, ShapeFacts({"room": poor}), figures, None, None)
    assert f'left out: "a red room": room=red: {poor}' in lines
    assert any(line.startswith("environment: not computed: none of its 2 prompts") for line in lines)


def test_a_held_out_prompt_counts_when_training_never_showed_it_and_real_clips_read_so() -> None:
    name = "a flash in red at night"
    well, seen = {name: Real(share=0.9, clips=7)}, {one.prompt: 0 for one in SET}

    def held_out(seen: Mapping[str, int] | None, real: Mapping[str, Real] | None):
        figures = measure(SET[-1:], listen, ShapeFacts(), num_seeds=1, seen=seen, real=real)
        return figures["prompts.hits.held_out"]

    counted = held_out(seen, well)
    assert (counted.value, counted.n, counted.anchors["true_game"]) == (1.0, 1, 0.9)
    assert "pass --train and --held-out" in held_out(None, well).reason
    assert "together in 3 clips" in held_out(seen | {name: 3}, well).reason
    assert (
        "2 real clips were found and 1.00 of them" in held_out(seen, {name: Real(share=1.0, clips=2)}).reason
    )
    assert "0 real clips were found" in held_out(seen, {}).reason


def test_training_and_real_clips_are_told_by_the_recordings_truth(tmp_path: Path) -> None:
    episodes = record_coded(tmp_path, 4, seed=2)
    counts = count_together(SET, ShapeFacts(), episodes, FRAMES)
    clips = sum(episode.num_frames - FRAMES + 1 for episode in episodes)
    assert counts["a red room"] + counts["a blue room"] == clips
    assert 0 < counts["red, day"] <= counts["a red room"]
    assert counts["it swims"] == 0
    real = read_real(SET, ShapeFacts(), episodes, FRAMES)
    assert real["a blue room"].share == 1.0
    assert "it swims" not in real


@pytest.mark.parametrize(("name", "held_out", "count"), [("doom-1", 6, 64), ("minetest-1", 3, 76)])
def test_a_set_has_all_families_and_held_out_combinations(name: str, held_out: int, count: int) -> None:
    found = read_prompts(PROMPTS / f"{name}.json")
    assert f"{found.name}-{found.version}" == name
    assert sum(one.held_out for one in found.prompts) == held_out
    assert len({one.prompt for one in found.prompts}) == len(found.prompts) == count


def test_a_set_without_a_family_or_with_a_prompt_twice_is_refused(tmp_path: Path) -> None:
    document = json.loads((PROMPTS / "doom-1.json").read_text())
    for change, message in (
        ([one for one in document["prompts"] if one["family"] != "event"], r"no prompts of \['event'\]"),
        (document["prompts"] + document["prompts"][:1], "stand twice in the set"),
    ):
        (tmp_path / "set.json").write_text(json.dumps(document | {"prompts": change}))
        with pytest.raises(ConfigError, match=message):
            read_prompts(tmp_path / "set.json")
