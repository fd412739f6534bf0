"""A world folder with a fault is refused when it is opened, with the file and what to do."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, DataError
from paracosm.models.storage import Storage
from paracosm.play.engine import EngineConfig, NeuralWorld, open_model_world
from paracosm.zoo import bundled_worlds
from tests import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(tiny.shared_tiny_world(), tmp_path / "world")


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "world.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def open_world(folder: Path) -> NeuralWorld:
    return NeuralWorld(folder, EngineConfig(num_threads=1))


@pytest.mark.parametrize(
    "file",
    [
        "world.json",
        "starts.safetensors",
        "tokenizer/model.safetensors",
        "dynamics/model.safetensors",
        "tokenizer/encode.onnx",
        "tokenizer/decode.onnx",
        "dynamics/condition.onnx",
        "dynamics/step.onnx",
        "dynamics/write.onnx",
    ],
)
def test_each_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(DataError, match=f"{file} is missing; ".replace(".", r"\.")):
        open_world(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no folder; a neural world is a folder with world\.json"):
        open_world(tmp_path / "none")


def test_a_newer_format_is_refused(folder: Path) -> None:
    edit(folder, format_version=7)
    with pytest.raises(
        ConfigError, match="has format_version 7, this version reads up to 2; upgrade paracosm"
    ):
        open_world(folder)


def test_a_file_of_another_kind_is_refused(folder: Path) -> None:
    (folder / "world.json").write_text("{}")
    with pytest.raises(ConfigError, match="has no format_version; it is no neural world of this project"):
        open_world(folder)


def test_an_unknown_key_is_refused_with_file_and_key(folder: Path) -> None:
    edit(folder, fsp=12)
    with pytest.raises(ConfigError, match=r"world\.json: fsp: WorldSpec has no such key; did you mean fps"):
        open_world(folder)


def test_a_rate_of_nothing_is_refused(folder: Path) -> None:
    edit(folder, fps=0.0)
    with pytest.raises(ConfigError, match="16 x 24 at 0 fps is no picture; use sizes above 0"):
        open_world(folder)


def test_changed_weights_are_refused_because_graphs_point_into_them(folder: Path) -> None:
    shutil.copy(folder / "tokenizer/model.safetensors", folder / "dynamics/model.safetensors")
    with pytest.raises(
        DataError, match=r"the weights were changed or cut off; copy .* or run paracosm export"
    ):
        open_world(folder)


def test_a_broken_graph_is_refused(folder: Path) -> None:
    (folder / "dynamics/step.onnx").write_bytes(b"not a graph")
    with pytest.raises(
        DataError, match=r"step\.onnx cannot be run \(.*\); run paracosm export to write it anew"
    ):
        open_world(folder)


def test_truncated_starts_are_refused(folder: Path) -> None:
    path = folder / "starts.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"starts\.safetensors is corrupt or truncated"):
        open_world(folder)


def test_starts_of_another_size_are_refused(folder: Path) -> None:
    starts = {"frames": np.zeros((1, 1, 8, 8, 3), np.uint8), "controls": np.zeros((1, 0, 5), np.float32)}
    save_file(starts, folder / "starts.safetensors")
    with pytest.raises(
        DataError, match=r"start frames are uint8 \(1, 1, 8, 8, 3\); uint8 \(n, t, 16, 24, 3\)"
    ):
        open_world(folder)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_backends_agree_whatever_the_storage(storage: Storage, tmp_path: Path) -> None:
    tiny.world_model().save(tmp_path / "world", storage)
    worlds = [
        NeuralWorld(tmp_path / "world", EngineConfig(backend=kind, num_threads=1))
        for kind in ("onnx", "torch")
    ]
    for world in worlds:
        world.reset(seed=2)
    for _ in range(8):
        frames = [world.step(Control(keys={"left"})).image.astype(int) for world in worlds]
        assert np.abs(frames[0] - frames[1]).max() <= 1


@pytest.mark.parametrize("name", sorted(bundled_worlds()))
def test_bundled_worlds_open_play_and_keep_their_size(name: str) -> None:
    folder = bundled_worlds()[name]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size <= 25e6
    world = open_model_world(name)
    world.reset(seed=0)
    assert world.step(Control()).index == 1
    world.close()
