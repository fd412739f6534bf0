"""The neural engine: a World like any other, the same through both backends, complete in its snapshots."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paracosm
from paracosm.core.controls import Control
from paracosm.core.errors import ConfigError, ControlError, WorldError
from paracosm.core.rng import stream
from paracosm.core.world import World
from paracosm.models.storage import Storage
from paracosm.nn.space_time import AttentionKind
from paracosm.play.backends import BackendKind
from paracosm.play.engine import EngineConfig, NeuralWorld, choose_overlap, open_model_world
from tests import tiny

PIXEL_TOLERANCE = 2
"""Grey levels of 255 between two backends after 64 steps: rounding in float32 moves a pixel to the next
level, and the rollout must not make more of it."""
LATENT_TOLERANCE = 1e-4
"""Cached keys of unit size after 64 steps on each backend's own frames."""
BYTE_PIXEL_TOLERANCE, BYTE_LATENT_TOLERANCE = 6, 0.1
"""The same where products take bytes: a number between two bytes may be rounded up here and down there."""


def open_tiny(backend: BackendKind = "onnx", folder: Path | None = None, **given: object) -> NeuralWorld:
    """Open the tiny world, which writes before it shows, so that its cache can be looked at after a step."""
    plain = EngineConfig(backend=backend, num_threads=1, overlap="none")
    config = replace(plain, **given)  # pyright: ignore[reportArgumentType]
    return NeuralWorld(folder or tiny.shared_tiny_world(), config, "model:tiny")


def some_controls(count: int, seed: int = 0) -> list[Control]:
    draws, keys = stream(seed, "engine test"), tiny.CONTROLS.keys
    return [
        Control({key for key in keys if draws.random() < 0.4}, draws.uniform(-3, 3, 2).tolist())
        for _ in range(count)
    ]


def count_passes(world: NeuralWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every network pass of the world from here on."""
    calls: list[str] = []
    backend = world._networks
    for name in ("encode", "decode", "condition", "step", "write"):
        function = getattr(backend, name)

        def noted(*arguments: object, _name: str = name, _function: Any = function) -> object:
            calls.append(_name)
            return _function(*arguments)

        monkeypatch.setattr(backend, name, noted)
    return calls


def test_a_neural_world_is_a_world_that_says_what_it_is() -> None:
    world = open_tiny()
    assert isinstance(world, World)
    info = world.info
    assert (info.name, info.fps, info.height, info.width) == ("model:tiny", 15.0, tiny.HEIGHT, tiny.WIDTH)
    assert info.controls == tiny.CONTROLS
    assert info.starts == ("seed", "image", "clip")
    assert re.fullmatch(r"onnxruntime [\d.]+, weights [0-9a-f]{16}-[0-9a-f]{16}", info.engine)
    assert info.details["denoise_steps"] == 2
    assert info.details["tokens_per_frame"] == 6
    assert info.details["backend"] == "onnx"
    assert info.details["parameters"] == sum(
        tensor.numel()
        for model in (tiny.tokenizer(), tiny.dynamics())
        for tensor in model.state_dict().values()
    )


def test_it_opens_by_its_path_as_every_world_does() -> None:
    with_path = paracosm.open_world(f"model:{tiny.shared_tiny_world()}")
    frame = with_path.reset(seed=0)
    assert frame.image.shape == (tiny.HEIGHT, tiny.WIDTH, 3)
    assert frame.image.dtype == np.uint8
    assert frame.index == 0
    assert with_path.step(Control()).index == 1
    assert frame.truth == {}
    with_path.close()


def test_playing_never_imports_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from paracosm.core.controls import Control;"
        "from paracosm.play.engine import open_model_world;"
        "world = open_model_world(sys.argv[1]); world.reset(); world.step(Control());"
        "print(sorted({'torch', 'onnx', 'einops', 'jaxtyping'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tiny.shared_tiny_world())]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("attention", "time_kernel", "storage"),
    [
        ("joint", 1, "float16"),
        ("joint", 3, "float16"),
        ("factorised", 1, "float16"),
        ("factorised", 3, "float16"),
        ("joint", 1, "int8"),
        ("factorised", 3, "int8"),
    ],
)
def test_both_backends_show_the_same_frames(
    attention: AttentionKind, time_kernel: int, storage: Storage
) -> None:
    folder = tiny.shared_tiny_world(attention, time_kernel, storage)
    in_bytes = storage == "int8"
    pixel_tolerance = BYTE_PIXEL_TOLERANCE if in_bytes else PIXEL_TOLERANCE
    latent_tolerance = BYTE_LATENT_TOLERANCE if in_bytes else LATENT_TOLERANCE
    worlds = [open_tiny("onnx", folder), open_tiny("torch", folder)]
    frames = [world.reset(seed=7) for world in worlds]
    seen = [frames[0].image]
    for control in some_controls(64):
        if in_bytes:
            # Roundings that fell apart would be the past of all that follows: each step is judged by itself.
            worlds[1].restore(worlds[0].snapshot())
        frames = [world.step(control) for world in worlds]
        difference = np.abs(frames[0].image.astype(int) - frames[1].image)
        assert difference.max() <= pixel_tolerance
        seen.append(frames[0].image)
    assert np.std(np.stack(seen), 0).mean() > 10, "frames that never change would agree about nothing"
    for one, other in zip(worlds[0]._ring.keys, worlds[1]._ring.keys, strict=True):
        np.testing.assert_allclose(one, other, atol=latent_tolerance)


def test_guidance_runs_each_denoising_pass_twice_and_plain_play_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_tiny()
    world.reset(seed=1)
    calls = count_passes(world, monkeypatch)
    world.step(Control())
    assert calls == ["condition", "step", "step", "write", "decode"]
    calls.clear()
    world.set_guidance(2.0)
    world.step(Control())
    assert calls == ["condition", "step", "step", "step", "step", "write", "decode"]


def test_guidance_pushes_away_from_no_control() -> None:
    """With one pass, the clean latents at guidance g are free + g (controlled - free)."""
    cleans = {}
    for guidance in (1.0, 2.0, 3.0):
        world = open_tiny(guidance=guidance, levels=(1.0,))
        world.reset(seed=1)
        write = world._write
        made: list[np.ndarray] = []

        def keep(clean, control, cache, _made=made, _write=write):
            _made.append(clean)
            return _write(clean, control, cache)

        world._write = keep  # pyright: ignore[reportAttributeAccessIssue]
        world.step(Control(keys={"left"}))
        cleans[guidance] = made[0]
    np.testing.assert_allclose(cleans[3.0] - cleans[2.0], cleans[2.0] - cleans[1.0], atol=1e-5)
    assert np.abs(cleans[2.0] - cleans[1.0]).max() > 1e-3


def test_levels_can_be_changed_in_play(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_tiny(levels=(1.0,))
    world.reset(seed=1)
    calls = count_passes(world, monkeypatch)
    world.step(Control())
    world.set_levels([1.0, 0.7, 0.4, 0.1])
    world.step(Control())
    assert calls.count("step") == 1 + 4
    assert world.info.details["denoise_steps"] == 4
    with pytest.raises(ConfigError, match=r"levels \[0\.5\] do not fall from 1"):
        world.set_levels([0.5])
    with pytest.raises(ConfigError, match="guidance 0 is not above 0; use 1 for plain play"):
        world.set_guidance(0.0)
    assert world.settings.levels == (1.0, 0.7, 0.4, 0.1)


def test_the_context_level_reaches_the_writing_pass() -> None:
    frames = []
    for level in (0.0, 0.3):
        world = open_tiny()
        world._settings = replace(world.settings, context_level=level)
        world.reset(seed=1)
        frames.append(world.step(Control()).image)
    assert not np.array_equal(*frames)


def test_a_snapshot_brings_back_the_settings() -> None:
    world = open_tiny()
    world.reset(seed=1)
    state = world.snapshot()
    world.set_levels([1.0])
    world.set_guidance(3.0)
    world.restore(state)
    assert world.settings == state.payload.settings
    assert (world.settings.levels, world.settings.guidance) == ((1.0, 0.5), 1.0)


def test_consecutive_snapshots_share_all_frames_but_one() -> None:
    world = open_tiny()
    world.reset(seed=1)
    for control in some_controls(6):
        world.step(control)
    first = world.snapshot().payload.entries
    world.step(Control())
    second = world.snapshot().payload.entries
    assert len(first) == len(second) == tiny.dynamics_config().window
    assert all(a is b for a, b in zip(first[1:], second[:-1], strict=True))
    assert [entry.index for entry in second] == [4, 5, 6, 7]


def test_nothing_grows_with_the_number_of_steps() -> None:
    world = open_tiny()
    world.reset(seed=1)
    keys = [id(layer) for layer in world._ring.keys]
    for control in some_controls(40):
        world.step(control)
    assert [id(layer) for layer in world._ring.keys] == keys
    assert len(world._ring.entries) == tiny.dynamics_config().window


def test_frames_that_were_handed_out_never_change() -> None:
    world = open_tiny()
    frame = world.reset(seed=1)
    kept = frame.image.copy()
    world.step(Control(keys={"jump"}))
    assert np.array_equal(frame.image, kept)
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 0


def test_a_seed_picks_a_start_and_another_seed_another() -> None:
    world = open_tiny()
    assert np.array_equal(world.reset(seed=3).image, world.reset(seed=3).image)
    shown = {world.reset(seed=seed).image.tobytes() for seed in range(12)}
    assert len(shown) == len(tiny.starts())


@pytest.mark.parametrize("time_kernel", [1, 3])
def test_the_first_frame_is_the_last_of_the_start_as_the_decoder_shows_it(time_kernel: int) -> None:
    import torch

    from paracosm.models.pixels import to_frames, to_pixels
    from paracosm.models.world_model import WorldModel

    folder = tiny.shared_tiny_world(time_kernel=time_kernel)
    tokenizer = WorldModel.load(folder).tokenizer
    clip = tiny.starts().frames[0]
    with torch.no_grad():
        latents, _ = tokenizer.encode(to_pixels(torch.from_numpy(clip)[None]))
        expected = to_frames(tokenizer.decode(latents)[0])[0, -1].numpy()
    frame = open_tiny(folder=folder).reset(start=clip, controls=[Control(), Control()])
    assert np.abs(frame.image.astype(int) - expected).max() <= 1


def test_a_start_of_its_own_is_gone_on_from_with_its_controls() -> None:
    world, clip = open_tiny(), tiny.starts().frames[1]
    nexts = []
    for keys in ({"left"}, {"right"}):
        world.reset(seed=1, start=clip, controls=[Control(keys=keys), Control()])
        nexts.append(world.step(Control()).image)
    assert not np.array_equal(*nexts)
    world.reset(seed=1, start=clip[0])
    assert len(world.snapshot().payload.entries) == 1


def test_a_start_longer_than_the_window_is_taken_whole() -> None:
    world = open_tiny()
    clip = np.concatenate([tiny.starts().frames[0]] * 3)
    world.reset(start=clip, controls=[Control()] * 8)
    assert [entry.index for entry in world.snapshot().payload.entries] == [-3, -2, -1, 0]


def test_a_start_may_be_a_view_that_cannot_be_written_to() -> None:
    image = np.zeros((tiny.WIDTH, tiny.HEIGHT, 3), np.uint8).transpose(1, 0, 2)
    image.flags.writeable = False
    assert open_tiny("torch").reset(start=image).index == 0


def test_bad_starts_are_refused() -> None:
    world = open_tiny()
    with pytest.raises(WorldError, match="start is 10 high and 24 wide; model:tiny needs 16 x 24"):
        world.reset(start=np.zeros((10, 24, 3), np.uint8))
    with pytest.raises(WorldError, match="takes no prompt; it starts from seed, image, clip"):
        world.reset(prompt="a castle")
    with pytest.raises(WorldError, match="seed -1 is negative; use a whole number from 0 up"):
        world.reset(seed=-1)
    with pytest.raises(WorldError, match="a start of 3 frames needs 2 controls between them, 0 were given"):
        world.reset(start=np.zeros((3, 16, 24, 3), np.uint8))


def test_a_control_that_is_not_offered_is_refused_and_costs_nothing() -> None:
    world, other = open_tiny(), open_tiny()
    world.reset(seed=1)
    other.reset(seed=1)
    with pytest.raises(ControlError, match=r"keys \['fly'\] are not offered; this world has"):
        world.step(Control(keys={"fly"}))
    assert np.array_equal(world.step(Control()).image, other.step(Control()).image)


def test_it_says_when_it_has_not_begun_or_is_closed() -> None:
    world = open_tiny()
    with pytest.raises(WorldError, match="model:tiny has not begun; call reset first"):
        world.step(Control())
    with pytest.raises(WorldError, match="model:tiny has not begun; call reset first"):
        world.snapshot()
    world.close()
    world.close()
    with pytest.raises(WorldError, match="model:tiny is closed; open it again"):
        world.reset()


def test_snapshots_of_other_worlds_and_other_weights_are_refused(tmp_path: Path) -> None:
    world = open_tiny()
    world.reset()
    with pytest.raises(WorldError, match="the snapshot was taken in elsewhere, not in model:tiny"):
        world.restore(replace(world.snapshot(), world="elsewhere"))
    other = open_tiny(folder=tiny.build_tiny_world(tmp_path / "other", seed=1))
    other.reset()
    with pytest.raises(WorldError, match="the snapshot was taken with other weights of model:tiny"):
        world.restore(other.snapshot())


def test_a_held_control_is_embedded_once_and_gives_the_bytes_of_one_embedded_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, anew = open_tiny(), open_tiny()
    for world in (kept, anew):
        world.reset(seed=0)
    calls = count_passes(kept, monkeypatch)
    held = [Control({"left"})] * 3 + [Control({"right"}), Control({"left"})]
    for control in held:
        anew._conditions._kept.clear()
        assert np.array_equal(kept.step(control).image, anew.step(control).image)
    assert calls.count("condition") == 2 + len(held)  # and one for each that the other embedded anew


def test_embedded_controls_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paracosm.play.conditions.MOST_KEPT", 4)
    world = open_tiny()
    world.reset(seed=0)
    for control in some_controls(8):
        world.step(control)
    assert len(world._conditions._kept) == 4


@pytest.mark.parametrize(
    ("cores", "overlap", "alone", "beside"),
    [(1, "none", 1, 1), (2, "behind", 2, 1), (4, "behind", 2, 2), (8, "behind", 4, 4)],
)
def test_writing_goes_behind_where_there_is_a_core_for_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, overlap: str, alone: int, beside: int
) -> None:
    monkeypatch.setattr("paracosm.play.neural_base.count_cores", lambda: cores)
    assert choose_overlap("auto") == overlap
    world = open_tiny(num_threads=0, overlap="auto")
    assert (world._behind is None) == (overlap == "none")
    assert world._networks._step._num_threads == alone  # pyright: ignore
    assert world._networks._write._num_threads == beside  # pyright: ignore


def test_the_bytes_do_not_hang_on_how_many_threads_there_are() -> None:
    pictures = []
    for threads in (1, 2, 3):
        world = open_tiny(num_threads=threads)
        world.reset(seed=5)
        pictures.append(np.stack([world.step(control).image for control in some_controls(6)]))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])


def test_two_players_of_a_world_share_its_weights_until_both_have_left() -> None:
    import gc
    import weakref

    one, two = open_tiny(num_threads=2), open_tiny(num_threads=2)
    assert one._networks is two._networks
    backend = weakref.ref(one._networks)  # pyright: ignore[reportArgumentType]
    one.close()
    assert backend() is not None
    two.close()
    gc.collect()
    assert backend() is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"levels": (0.9,)}, r"levels \[0\.9\] do not fall from 1"),
        ({"guidance": -1.0}, "guidance -1 is negative; use 1 for plain play"),
        ({"num_threads": -2}, "num_threads -2 is negative; use 0 for every core"),
    ],
)
def test_a_config_that_cannot_be_run_is_refused(given: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        EngineConfig(**given)  # pyright: ignore[reportArgumentType]


def test_a_device_is_refused_for_a_world_that_is_not_streamed() -> None:
    with pytest.raises(
        ConfigError, match=r"device cuda can be chosen for streamed worlds only, and model:.* is"
    ):
        open_model_world(str(tiny.shared_tiny_world()), EngineConfig(device="cuda"))


def test_a_name_that_is_neither_bundled_nor_a_folder_is_refused() -> None:
    with pytest.raises(
        WorldError, match=r'"atlantis" is neither a bundled world \(.*\) nor a folder; pass a'
    ):
        open_model_world("atlantis")


def test_a_closed_world_still_says_what_it_was() -> None:
    world = open_model_world(str(tiny.shared_tiny_world()))
    before = world.info
    world.close()
    assert world.info == before
