import json
from pathlib import Path

import numpy as np
import pytest

from paracosm.collect.games.counting import CountingConfig
from paracosm.collect.record import RecordConfig, record
from paracosm.collect.report import describe_dataset, show_description
from paracosm.core.controls import Control
from paracosm.core.episode import Recipe
from paracosm.core.errors import DataError
from paracosm.core.world import WorldInfo
from paracosm.data import Dataset, EpisodeWriter, prepare_dataset
from paracosm.worlds import make_policy, open_world


def test_shares_are_those_of_the_recording(tmp_path: Path) -> None:
    world = open_world("game:counting", CountingConfig(length=4))
    prepare_dataset(tmp_path, world.info)
    script = [
        Control({"forward", "attack"}, (30, 0)),
        Control({"forward"}, (-30, 0)),
        Control({"right"}),
        Control(),
    ]
    with EpisodeWriter(tmp_path, "one", world.info, Recipe(world="game:counting", policy="script")) as writer:
        writer.begin(world.reset())
        for control in script:
            writer.step(control, world.step(control))
    found = describe_dataset(tmp_path)
    assert found["keys"]["forward"] == 0.5
    assert found["keys"]["attack"] == found["idle"] == 0.25
    assert found["key_pairs"] == {"forward+attack": 0.25}
    assert found["yaw"]["turned"] == 0.5
    assert (found["yaw"]["shares"][0], found["yaw"]["shares"][4], found["yaw"]["shares"][-1]) == (
        0.25,
        0.5,
        0.25,
    )
    assert found["events"] == {"shot": 1}
    assert found["ends"] == 1
    assert found["lengths"] == {"least": 5, "mean": 5, "most": 5}
    assert found["places"]["visited"] == 2
    frames = Dataset(tmp_path).episodes[0].frames.astype(int)
    assert found["change"]["mean"] == pytest.approx(np.abs(np.diff(frames, axis=0)).mean())
    json.dumps(found)


def test_it_reads_as_text(tmp_path: Path) -> None:
    config = RecordConfig(
        world="game:counting", out=tmp_path, num_episodes=2, max_steps=30, policy="sticky", workers=1
    )
    record(config, open_world, make_policy)
    text = show_description(describe_dataset(tmp_path))
    assert text.startswith("game:counting: 2 episodes, 62 frames")
    for part in ("forward", "degrees a step", "places", "between neighbouring frames"):
        assert part in text
    assert max(len(line) for line in text.splitlines()) < 160


def test_what_is_not_known_is_not_zero(tmp_path: Path) -> None:
    info = WorldInfo(
        name="video:test", fps=10, height=4, width=4, controls=open_world("game:counting").info.controls
    )
    prepare_dataset(tmp_path, info)
    with pytest.raises(DataError, match=r"holds no episode yet; record some first"):
        describe_dataset(tmp_path)
    from paracosm.core.world import Frame

    with EpisodeWriter(tmp_path, "one", info, Recipe(world=info.name)) as writer:
        writer.begin(Frame(image=np.zeros((4, 4, 3), np.uint8), index=0))
        writer.step(None, Frame(image=np.ones((4, 4, 3), np.uint8), index=1))
    found = describe_dataset(tmp_path)
    assert found["keys"] is found["places"] is found["ends"] is found["yaw"] is None
    assert found["change"]["mean"] == 1
    assert "not known" in show_description(found)
