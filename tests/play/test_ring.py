"""The player's ring keeps a window and a sink just as the trainer's cache does."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.rng import stream
from paracosm.core.world_spec import load_spec
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.nn.space_time import AttentionKind
from paracosm.play.backends.ring import Entry, Ring
from paracosm.play.engine import EngineConfig, NeuralWorld
from tests import tiny

from .test_engine import open_tiny, some_controls

TOLERANCE = 1e-4
"""Two orders of the same float32 sums, over eight frames."""


def ask(world: NeuralWorld, latents: np.ndarray, index: int, vector: np.ndarray) -> np.ndarray:
    """Write a frame as play does, and return what the network says of the next one from nothing."""
    plan = world._plan(index, vector, (1.0,))
    clean = world._denoise(np.zeros_like(latents), 1.0, plan, world._ring)
    world._write(latents, plan, world._ring)
    return clean


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Worlds whose weights are kept whole, so that play multiplies what training does."""
    root = tmp_path_factory.mktemp("exact")
    for attention in ("joint", "factorised"):
        tiny.world_model(attention=attention).save(root / attention, "float32")
    return {"joint": root / "joint", "factorised": root / "factorised"}


@pytest.mark.parametrize("attention", ["joint", "factorised"])
@pytest.mark.parametrize(("window", "sink"), [(4, 0), (3, 0), (3, 1), (4, 2)])
def test_play_sees_the_past_that_training_saw(
    exact: dict[str, Path], attention: AttentionKind, window: int, sink: int
) -> None:
    folder = exact[attention]
    world = open_tiny("torch", folder, window=window, sink=sink)
    dynamics = FlowDynamics.load(folder / load_spec(folder).parts.dynamics.folder)
    cache = dynamics.empty_cache(window=window, sink=sink)
    draws = stream(0, "ring test")
    known = torch.ones(1, 1, dtype=torch.bool)
    for index in range(9):
        latents = draws.standard_normal(world._spec.sizes.latent_shape, np.float32)
        vector = draws.uniform(0, 1, tiny.CONTROLS.width).astype(np.float32)
        made = ask(world, latents, index, vector)
        x, led_by = torch.from_numpy(latents)[None, None], torch.from_numpy(vector)[None, None]
        with torch.no_grad():
            expected = dynamics.step(torch.zeros_like(x), torch.ones(1, 1), led_by, known, cache)
            cache = dynamics.write(x, torch.zeros(1, 1), led_by, known, cache)
        np.testing.assert_allclose(made, expected[0, 0].numpy(), atol=TOLERANCE)


def test_a_graph_that_takes_its_past_in_an_older_way_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    shutil.copytree(tiny.shared_tiny_world(), folder)
    file = folder / "dynamics" / "step.onnx"
    model = onnx.load(file, load_external_data=False)
    del model.metadata_props[:]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=r"step\.onnx takes its past in an older way; export or build"):
        open_tiny("onnx", folder)
    open_tiny("torch", folder)  # needs no graph


def test_a_sink_stays_and_the_others_go() -> None:
    spec = load_spec(tiny.shared_tiny_world())
    ring = Ring(spec.sizes, window=3, sink=1)
    shape = (spec.sizes.layers, spec.sizes.heads, spec.sizes.tokens_per_frame, spec.sizes.head_width)
    for index in range(-1, 6):
        ones = np.ones(shape, np.float32)
        ring.write(Entry(index=index, keys=ones, values=ones, latents=ones, control=None))
    assert [entry.index for entry in ring.entries] == [-1, 4, 5]
    assert int((ring.mask == 1).sum()) == 3 * spec.sizes.tokens_per_frame
    ring.clear()
    assert not ring.mask.any()
    assert not any(values.any() for values in ring.values)


def test_a_snapshot_with_a_sink_replays_the_same_bytes() -> None:
    world = open_tiny("torch", window=3, sink=1)
    world.reset(seed=3)
    controls = some_controls(8)
    for control in controls[:5]:
        world.step(control)
    saved = world.snapshot()
    first = [world.step(control).image.tobytes() for control in controls[5:]]
    world.set_window(2)
    world.restore(saved)
    assert world.settings.sink == 1
    assert [world.step(control).image.tobytes() for control in controls[5:]] == first


def test_fewer_past_frames_make_other_pictures() -> None:
    pictures = []
    for window in (0, 1):
        world = open_tiny("torch", window=window)
        world.reset(seed=0)
        pictures.append(np.stack([world.step(control).image for control in some_controls(4)]))
    assert not np.array_equal(*pictures)


def test_fresh_noise_is_a_function_of_the_seed() -> None:
    def pictures(kind: str) -> np.ndarray:
        world = open_tiny("torch")
        world._settings = replace(world._settings, renoise=kind)  # pyright: ignore[reportArgumentType]
        world.reset(seed=0)
        return np.stack([world.step(control).image for control in some_controls(4)])

    assert np.array_equal(pictures("fresh"), pictures("fresh"))
    assert not np.array_equal(pictures("fresh"), pictures("euler"))


def test_a_window_that_the_network_never_saw_is_refused() -> None:
    with pytest.raises(ConfigError, match="window 99 is outside 1 to 4"):
        NeuralWorld(tiny.shared_tiny_world(), EngineConfig(backend="torch", window=99))
    world = open_tiny("torch")
    with pytest.raises(ConfigError, match="sink 4 leaves no room in a window of 4"):
        world.set_window(0, 4)
