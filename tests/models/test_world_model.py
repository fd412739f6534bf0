"""A world folder: written whole, read back, and refused when its parts do not fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.world_spec import PlayDefaults, Starts, load_spec
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.storage import Storage, from_disk, to_disk
from paracosm.models.world_model import WorldModel, assemble_world, build_world
from tests import foreign, tiny


def arguments(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "tiny",
        "description": "A test.",
        "fps": 15.0,
        "controls": tiny.CONTROLS,
        "play": PlayDefaults(),
    }
    return given | changes


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_a_saved_world_comes_back_as_it_was_stored(storage: Storage, tmp_path: Path) -> None:
    made = tiny.world_model()
    spec = made.save(tmp_path / "world", storage)
    loaded = WorldModel.load(tmp_path / "world")
    assert loaded.spec == spec
    assert spec.arithmetic == ("int8" if storage == "int8" else "float32")
    assert replace(spec, parts=made.spec.parts, arithmetic=made.spec.arithmetic) == made.spec
    assert np.array_equal(loaded.starts.frames, made.starts.frames)
    kept = from_disk(to_disk(made.dynamics.state_dict(), storage))
    for name, tensor in loaded.dynamics.state_dict().items():
        assert torch.equal(tensor, kept[name].float())


def test_the_spec_on_disk_names_the_stored_weights(tmp_path: Path) -> None:
    spec = tiny.world_model().save(tmp_path / "world")
    assert load_spec(tmp_path / "world") == spec
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in (tmp_path / "world").rglob("*"))
    assert len(spec.parts.tokenizer.weights) == len(spec.parts.dynamics.weights) == 16


def test_a_world_is_built_from_two_model_folders(tmp_path: Path) -> None:
    tiny.tokenizer().save(tmp_path / "a")
    tiny.dynamics().save(tmp_path / "b")
    spec = build_world(
        tmp_path / "world",
        tokenizer=tmp_path / "a",
        dynamics=tmp_path / "b",
        starts=tiny.starts(),
        **arguments(),
    )
    assert spec.sizes.tokens_per_frame == 6
    assert spec.parts == load_spec(tiny.shared_tiny_world()).parts


def test_saving_replaces_an_older_world_only_when_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.world_model(seed=1).save(tmp_path / "world")
    before = load_spec(tmp_path / "world")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("paracosm.models.world_model.save_starts", fail)
    with pytest.raises(DataError, match=r"could not be written \(No space left on device\); free some space"):
        tiny.world_model(seed=2).save(tmp_path / "world")
    assert load_spec(tmp_path / "world") == before
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


def test_a_folder_of_others_is_not_replaced_by_a_world(tmp_path: Path) -> None:
    with foreign.refused(tmp_path / "mine") as mine:
        tiny.world_model().save(mine)


def test_a_tokenizer_of_another_grid_is_refused() -> None:
    other = FlowDynamics(replace(tiny.dynamics_config(), latent_width=8))
    text = (
        r"the tokenizer makes latents \(4, 4, 6\), the dynamics was made for \(4, 4, 8\); pass the tokenizer"
    )
    with pytest.raises(ConfigError, match=text):
        assemble_world(tiny.tokenizer(), other, tiny.starts(), **arguments())


def test_controls_of_another_width_are_refused() -> None:
    given = arguments(controls=ControlSpace(keys=("jump",)))
    with pytest.raises(
        ConfigError, match=r"takes 5 control numbers, the controls \['jump'\] .* make 3; pass the"
    ):
        assemble_world(tiny.tokenizer(), tiny.dynamics(), tiny.starts(), **given)


def test_levels_that_do_not_fall_are_refused() -> None:
    given = arguments(play=PlayDefaults(levels=(0.5, 1.0)))
    with pytest.raises(ConfigError, match="do not fall from 1 to above 0"):
        assemble_world(tiny.tokenizer(), tiny.dynamics(), tiny.starts(), **given)


@pytest.mark.parametrize(
    ("frames", "controls", "text"),
    [
        ((2, 3, 16, 25), (2, 2, 5), r"start frames are uint8 \(2, 3, 16, 25, 3\); uint8 \(n, t, 16, 24, 3\)"),
        ((0, 3, 16, 24), (0, 2, 5), r"start frames are .* with n and t >= 1 is needed"),
        ((2, 3, 16, 24), (2, 3, 5), r"start controls are float32 \(2, 3, 5\); float32 \(2, 2, 5\) is needed"),
    ],
)
def test_starts_that_do_not_fit_are_refused(
    frames: tuple[int, ...], controls: tuple[int, ...], text: str
) -> None:
    starts = Starts(frames=np.zeros((*frames, 3), np.uint8), controls=np.zeros(controls, np.float32))
    with pytest.raises(DataError, match=text):
        assemble_world(tiny.tokenizer(), tiny.dynamics(), starts, **arguments())
