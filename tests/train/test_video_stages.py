"""Streamed worlds learn: from a base whose output stays, under play's own controls, to the same bits."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from paracosm.collect.games.counting import read_control
from paracosm.core.controls import IDLE, Control
from paracosm.core.errors import AcceptanceError, ConfigError, DataError
from paracosm.core.run_dir import RunDir
from paracosm.core.video_spec import VideoPlay
from paracosm.data.reader import Dataset
from paracosm.data.video_clips import read_encoded_clips
from paracosm.models.dynamics_video import BlockInput, VideoDynamics
from paracosm.models.pixels import to_pixels
from paracosm.models.video_clip import ClipPast, clip_flow, cut_input, predict_clip, roll_clip
from paracosm.models.video_parts import load_parts
from paracosm.models.video_stream import StreamSettings, begin, next_block
from paracosm.models.video_world import build_video_world
from paracosm.play.engine import open_model_world
from paracosm.play.neural_base import control_of_block
from paracosm.train.optim import make_optimizer
from paracosm.train.stages import encode_video, video_codec, video_forcing, video_student, video_teacher
from paracosm.train.video_batches import VideoBatches, VideoData
from tests import foreign, tiny_video
from tests.tiny import ungraded

from . import video_stages
from .datasets import record_counting
from .video_stages import CLIP_LATENTS, CODEC, STRIDE, TOWER, random_network, teacher_config

HALF_PRECISION = 2e-3
"""Share of the largest number: clips are stored in float16, which rounds at 5e-4."""
EQUAL = 2e-5
"""In float32: two orders of summation through two blocks."""
LEVELS = (1.0, 0.9, 0.7)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> VideoData:
    tiny_video.need_parts()
    return video_stages.make_street(tmp_path_factory.mktemp("video"))


def student_config(run: Path, rows: VideoData, teacher: Path, **changes: Any):
    made = video_student.VideoStudentStageConfig(
        run=run,
        data=rows,
        teacher=teacher,
        model=teacher_config(run, rows).model,
        loop=video_stages.loop(2),
        levels=LEVELS,
        teacher_levels=(*LEVELS, 0.4),
        batch_size=2,
    )
    return replace(made, **changes)


def forcing_config(run: Path, rows: VideoData, network: Path, **changes: Any):
    made = video_forcing.VideoForcingStageConfig(
        run=run,
        data=rows,
        student=network,
        real=network,
        model=teacher_config(run, rows).model,
        loop=video_stages.loop(4),
        critic_steps=1,
        levels=LEVELS,
        batch_size=2,
    )
    return replace(made, **changes)


def test_a_base_with_action_modules_added_says_the_same_to_the_bit(rows: VideoData, tmp_path: Path) -> None:
    config = teacher_config(tmp_path / "foundation", rows)
    base = video_teacher.main(
        replace(config, run=tmp_path / "base", model=replace(config.model, action_layers=()))
    )
    stage = video_teacher.VideoTeacherStage(replace(config, initial=base))
    before, after = VideoDynamics.load(base), stage.networks["dynamics"]
    batch = stage.batches.draw(0, 0, 2)
    level = torch.full(batch.latents.shape[:2], 0.6)
    past = ClipPast(latents=batch.latents, levels=torch.zeros_like(level))
    with torch.no_grad():
        expected = clip_flow(before, batch.latents, level, batch.given(before), past)
        for given in (batch, replace(batch, keyboard=1 - batch.keyboard, mouse=batch.mouse + 0.1)):
            assert torch.equal(clip_flow(after, batch.latents, level, given.given(after), past), expected)


def test_the_loss_falls_on_the_counting_world(rows: VideoData, tmp_path: Path) -> None:
    config = teacher_config(tmp_path / "run", rows, num_steps=60, batch_size=4)
    video_teacher.main(config)
    losses = [line["loss"] for line in RunDir(config.run).read_log()]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5]), losses


def test_action_modules_learn_from_the_first_step_on(rows: VideoData, tmp_path: Path) -> None:
    stage = video_teacher.VideoTeacherStage(teacher_config(tmp_path, rows))
    network = stage.networks["dynamics"]
    optimizer = make_optimizer([network], video_stages.loop(1).optim)
    for step in range(2):
        optimizer.zero_grad()
        loss, _ = stage.loss(step, 0, torch.Generator().manual_seed(step))
        loss.backward()
        leaves = [
            parameter.grad
            for name, parameter in network.named_parameters()
            if "actions" in name and "leave" in name
        ]
        assert len(leaves) == 2
        assert all(bool((gradient != 0).any()) for gradient in leaves if gradient is not None)
        optimizer.step()
    # the first step moved the last projections from zero: all behind them learn from the second on
    assert not ungraded(network)


def stages(rows: VideoData, root: Path, network: Path) -> dict[str, tuple[Callable[..., Path], Any]]:
    return {
        "teacher": (video_teacher.main, teacher_config(root, rows, num_steps=4)),
        "student": (
            video_student.main,
            student_config(root, rows, network, loop=video_stages.loop(4)),
        ),
        "forcing": (video_forcing.main, forcing_config(root, rows, network)),
    }


@pytest.mark.parametrize("name", ["teacher", "student", "forcing"])
def test_a_run_that_stopped_goes_on_to_the_same_bits(rows: VideoData, tmp_path: Path, name: str) -> None:
    network = random_network(teacher_config(tmp_path, rows).model, tmp_path / "network")
    main, config = stages(rows, tmp_path / "straight", network)[name]
    main(config)
    stopped = replace(config, run=tmp_path / "stopped")
    main(replace(stopped, loop=replace(stopped.loop, num_steps=2)))
    main(stopped)
    states = [RunDir(run).latest_checkpoint() for run in (config.run, stopped.run)]
    straight, other = (load_file(state / "state.safetensors") for state in states if state is not None)
    assert straight.keys() == other.keys()
    assert all(torch.equal(tensor, other[key]) for key, tensor in straight.items())


def test_the_last_row_that_a_latent_frame_sees_leads_to_its_last_frame(rows: VideoData) -> None:
    batches = VideoBatches(rows, teacher_config(Path(), rows).model, 0, "cpu")
    dataset = Dataset(rows.data)
    limit = dataset.info.controls.look_limit
    for number, episode in enumerate(dataset.select("train")):
        batch = batches.take([(number, 1)])
        for latent in range(1, CLIP_LATENTS):
            shown = read_control(episode.read_frames(STRIDE + 4 * latent, STRIDE + 4 * latent + 1)[0])
            keyboard, mouse = rows.actions.numbers(shown, limit)
            assert batch.keyboard[0, latent, -1].tolist() == keyboard.tolist()
            assert batch.mouse[0, latent, -1].numpy() == pytest.approx(mouse, abs=1e-4)


def build(rows: VideoData, folder: Path, network: Path) -> Path:
    dataset = Dataset(rows.data)
    build_video_world(
        folder,
        dynamics=network,
        parts=rows.parts,
        starts=[dataset.select("train")[0].read_frames(0, 1)[0]],
        name="counted",
        description="A toy.",
        fps=dataset.info.fps,
        controls=dataset.info.controls,
        actions=rows.actions,
        play=VideoPlay(levels=LEVELS),
    )
    return folder


def test_a_folder_of_others_is_not_replaced_by_a_world(rows: VideoData, tmp_path: Path) -> None:
    network = random_network(teacher_config(tmp_path, rows).model, tmp_path / "network")
    with foreign.refused(tmp_path / "mine") as mine:
        build(rows, mine, network)


def test_training_gives_a_clip_what_play_gives_its_blocks(
    rows: VideoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Controls row by row (4 n - 12 .. 4 n - 1), the image condition, and the tokens of the start picture."""
    model = teacher_config(tmp_path, rows).model
    one, other = Control({"forward"}, (9.0, -4.0)), Control({"left", "jump"}, (-15.0, 0.0))
    # block 0 makes frames 1 .. 8 and block 1, which is asked for at step 8, frames 9 .. 20
    controls = [one] * 8 + [other] * 12
    told = [one] * 8 + [control_of_block(one, controls[1:9])] * 12
    picture = Dataset(rows.data).select("train")[0].read_frames(0, 1)[0]
    world = open_model_world(
        str(build(rows, tmp_path / "world", random_network(model, tmp_path / "network")))
    )
    given = []
    plain = world._networks.dream  # pyright: ignore[reportAttributeAccessIssue]

    def watch(*arguments: Any) -> Any:
        latents, dreamt = plain(*arguments)
        given.append(dreamt.given)
        return latents, dreamt

    monkeypatch.setattr(world._networks, "dream", watch)  # pyright: ignore[reportAttributeAccessIssue]
    world.reset(seed=0, start=picture)
    for control in controls:
        world.step(control)
    world.close()

    batches = VideoBatches(rows, model, 0, "cpu")
    numbers = np.stack([np.concatenate(rows.actions.numbers(control, (30.0, 20.0))) for control in told])
    assert len(numbers) == 4 * (CLIP_LATENTS - 1)
    batches._clips = replace(batches._clips, controls=(numbers, *batches._clips.controls[1:]))
    batch = batches.take([(0, 0)])
    for name in ("keyboard", "mouse"):
        assert torch.equal(torch.cat([getattr(part, name) for part in given], 1), getattr(batch, name)), name
    condition = torch.cat([part.condition for part in given], 1)
    assert condition.shape == batch.condition.shape
    largest = float(condition.abs().max())
    assert float((condition - batch.condition).abs().max()) < HALF_PRECISION * largest
    context = VideoDynamics.load(tmp_path / "network").read_context(batch.tokens)
    for (key, _), (other, _) in zip(given[0].context, context, strict=True):
        assert torch.allclose(key, other, rtol=HALF_PRECISION, atol=1e-2)


def test_an_encoded_clip_begins_as_play_does(rows: VideoData) -> None:
    dataset, (codec, _) = Dataset(rows.data), load_parts(rows.parts)
    store = encode_video.open_clip_store(dataset, rows.parts, CLIP_LATENTS, STRIDE)
    stored = store.read(dataset.select("train")[0])
    assert stored["first"].tolist() == [0, 20, 40]
    frames = dataset.select("train")[0].read_frames(20, 41)
    pixels = to_pixels(torch.from_numpy(np.array(frames))[None])
    with torch.no_grad():
        first, state = codec.encode(pixels[:, :1], codec.encoder_state)
        second, _ = codec.encode(pixels[:, 1:5], state)
    for index, latents in enumerate((first, second)):
        made = torch.from_numpy(stored["latents"][1, index]).float()
        assert float((made - latents[0, 0]).abs().max()) < HALF_PRECISION * float(latents.abs().max())


def test_the_codec_copies_its_means_to_a_device_once(rows: VideoData) -> None:
    codec, _ = load_parts(rows.parts)
    here, there = torch.device("cpu"), torch.device("meta")
    own = codec._spread(here)
    with torch.inference_mode():
        moved = codec._spread(there)
    assert all(one.device == there and one.dtype == torch.float32 for one in moved)
    assert not any(one.is_inference() for one in moved), "a gradient may run through them later"
    assert all(one is other for one, other in zip(moved, codec._spread(there), strict=True))
    assert [one.shape for one in moved] == [one.shape for one in own]


def clip_of(rows: VideoData, tmp_path: Path):
    config = teacher_config(tmp_path, rows)
    network = tiny_video.network(config.model, torch.float32)
    return network, VideoBatches(rows, config.model, 0, "cpu").draw(0, 0, 2)


@torch.no_grad()
def test_a_clip_is_asked_as_its_blocks_are_in_play(rows: VideoData, tmp_path: Path) -> None:
    network, batch = clip_of(rows, tmp_path)
    given, block = batch.given(network), network.config.block
    noisy, level = batch.latents.flip(-1), torch.full((2, CLIP_LATENTS), 0.6)
    past = ClipPast(latents=batch.latents, levels=torch.zeros_like(level))
    whole = clip_flow(network, noisy, level, given, past)
    cache = network.empty_cache(*noisy.shape[-2:], batch=2)
    for first in range(0, CLIP_LATENTS, block):
        frames = slice(first, first + block)
        inputs = cut_input(given, frames)
        flow = network.step(noisy[:, frames], level[:, frames], inputs, cache)
        assert float((flow - whole[:, frames]).abs().max()) < EQUAL * float(whole.abs().max())
        cache = network.write(batch.latents[:, frames], torch.zeros(2, block), inputs, cache)


@torch.no_grad()
def test_clips_made_in_training_are_those_of_play(rows: VideoData, tmp_path: Path) -> None:
    network, batch = clip_of(rows, tmp_path)
    given, block = batch.given(network), network.config.block
    made = roll_clip(network, given, LEVELS, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    state = begin(network, *batch.latents.shape[-2:], batch=2)
    shape = batch.latents[:, :block].shape
    for first in range(0, CLIP_LATENTS, block):
        noise = torch.randn(shape, generator=generator)
        clean, state = next_block(
            network,
            state,
            noise,
            cut_input(given, slice(first, first + block)),
            StreamSettings(levels=LEVELS),
            lambda _: torch.randn(shape, generator=generator),
        )
        assert float((clean - made[:, first : first + block]).abs().max()) < EQUAL * float(made.abs().max())


@pytest.mark.parametrize("choice", ["any", "one"])
@torch.no_grad()
def test_guidance_teaches_nothing_about_a_player_who_touches_nothing(
    rows: VideoData, tmp_path: Path, choice: Any
) -> None:
    actions = replace(rows.actions, choice=choice, idle=1)
    config = teacher_config(tmp_path, replace(rows, actions=actions))
    network = tiny_video.network(config.model, torch.float32)
    batch = VideoBatches(config.data, config.model, 0, "cpu").draw(0, 0, 2)
    keyboard, mouse = (torch.from_numpy(part) for part in actions.numbers(IDLE, (30.0, 20.0)))
    still = replace(
        batch, keyboard=keyboard.expand_as(batch.keyboard), mouse=mouse.expand_as(batch.mouse)
    ).given(network)
    level = torch.full((2, CLIP_LATENTS), 0.6)
    past = ClipPast(latents=batch.latents, levels=torch.zeros_like(level))

    def predicted(given: BlockInput, guidance: float) -> torch.Tensor:
        return predict_clip(network, batch.latents.flip(-1), level, given, past, guidance)

    assert torch.equal(predicted(still, 3.0), predicted(still, 1.0))
    assert not torch.equal(predicted(batch.given(network), 3.0), predicted(batch.given(network), 1.0))


def test_only_the_last_pass_of_a_block_has_a_gradient(rows: VideoData, tmp_path: Path) -> None:
    stage = video_forcing.VideoForcingStage(
        forcing_config(
            tmp_path / "run",
            rows,
            random_network(teacher_config(tmp_path, rows).model, tmp_path / "network"),
        )
    )
    loss, figures = stage.loss(1, 0, torch.Generator().manual_seed(0))
    loss.backward()
    assert not ungraded(stage.networks["dynamics"])
    assert all(parameter.grad is None for parameter in stage.networks["critic"].parameters())
    assert set(figures) == {"score_gap", "exit_step"}
    loss, figures = stage.loss(0, 0, torch.Generator().manual_seed(0))
    assert set(figures) == {"rollout_motion"}
    loss.backward()
    assert not ungraded(stage.networks["critic"])


@pytest.mark.parametrize("kind", ["ode", "consistency"])
@pytest.mark.parametrize("window", [0, 6])
def test_a_student_learns_from_a_teacher_of_blocks_or_of_whole_clips(
    rows: VideoData, tmp_path: Path, kind: Any, window: int
) -> None:
    own = teacher_config(tmp_path, rows).model
    teacher = random_network(replace(own, window=window, action_layers=(0, 1)), tmp_path / "teacher")
    folder = video_student.main(student_config(tmp_path / "run", rows, teacher, kind=kind))
    student = VideoDynamics.load(folder)
    assert (student.config.window, student.config.action_layers) == (6, (0,))
    assert student.empty_cache(4, 8).num_bytes > 0


def test_a_trained_codec_and_its_tower_open(rows: VideoData, tmp_path: Path) -> None:
    config = video_codec.VideoCodecStageConfig(
        run=tmp_path,
        data=rows.data,
        model=replace(CODEC, growth=(1, 1, 1, 1)),
        tower=TOWER,
        loop=video_stages.loop(2),
        batch_size=2,
    )
    codec, tower = load_parts(video_codec.main(config))
    assert (codec.channels, codec.frames_per_latent, codec.side, tower.width) == (4, 4, 8, 16)
    pixels = torch.rand(1, 1, 3, 32, 64) * 2 - 1
    with torch.no_grad():
        latents, _ = codec.encode(pixels, codec.encoder_state)
    assert latents.shape == (1, 1, 4, 4, 8)


def test_what_does_not_fit_is_refused(rows: VideoData, tmp_path: Path) -> None:
    config = teacher_config(tmp_path, rows)
    other = replace(config.model, actions=replace(config.model.actions, keys=4))
    with pytest.raises(ConfigError, match=r"6 keyboard and 2 mouse numbers, the network takes 4 and 2; set"):
        video_teacher.VideoTeacherStage(replace(config, model=other))
    with pytest.raises(ConfigError, match=r"clip_latents 6 is no multiple of the 4 latent frames"):
        video_teacher.VideoTeacherStage(replace(config, model=replace(config.model, block=4)))
    with pytest.raises(DataError, match=r"is missing; run the encode_video stage first"):
        video_teacher.VideoTeacherStage(replace(config, data=replace(rows, clip_latents=9)))
    network = random_network(replace(config.model, action_layers=(0, 1)), tmp_path / "network")
    with pytest.raises(ConfigError, match=r"has action modules in blocks \[1\], which the stage's network"):
        video_teacher.VideoTeacherStage(replace(config, initial=network))
    with pytest.raises(ConfigError, match=r"the stage trains .*; choose weights of the same sizes"):
        video_teacher.VideoTeacherStage(
            replace(config, initial=network, model=replace(config.model, hidden=64, action_layers=(0, 1)))
        )
    with pytest.raises(ConfigError, match=r"window 0 sees whole clips and cannot play; give it a window"):
        student_config(tmp_path, rows, network, model=replace(config.model, window=0))
    with pytest.raises(ConfigError, match=r"levels \[0.7\] are not among teacher_levels"):
        student_config(tmp_path, rows, network, teacher_levels=(1.0, 0.9))
    with pytest.raises(DataError, match=r"holds no weights in vae/ and image_encoder/; give a converted"):
        video_teacher.VideoTeacherStage(replace(config, data=replace(rows, parts=tmp_path / "none")))


def test_episodes_that_are_too_short_are_told(rows: VideoData, tmp_path: Path) -> None:
    record_counting(tmp_path / "data", num_episodes=1, max_steps=8)
    short = replace(rows, data=tmp_path / "data")
    encode_video.main(
        encode_video.EncodeVideoStageConfig(
            data=short.data, parts=rows.parts, clip_latents=CLIP_LATENTS, stride=STRIDE
        )
    )
    with pytest.raises(DataError, match=r"has no episode of 21 frames, which 6 latent frames take"):
        VideoBatches(short, teacher_config(tmp_path, rows).model, 0, "cpu")


def test_damaged_clips_are_told(rows: VideoData, tmp_path: Path) -> None:
    dataset = record_counting(tmp_path / "data", num_episodes=1, max_steps=22)
    config = encode_video.EncodeVideoStageConfig(
        data=dataset.path, parts=rows.parts, clip_latents=CLIP_LATENTS, stride=STRIDE
    )
    folder = encode_video.main(config)
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-40])
    store = encode_video.open_clip_store(dataset, rows.parts, CLIP_LATENTS, STRIDE)
    with pytest.raises(DataError, match=r"is corrupt or truncated .*; delete it and encode again"):
        read_encoded_clips(store, dataset.select("train"))
    file.unlink()
    encode_video.main(config)
    assert read_encoded_clips(store, dataset.select("train")).lengths == [1]


def test_a_student_that_stands_still_stops_its_run(rows: VideoData, tmp_path: Path) -> None:
    network = random_network(teacher_config(tmp_path, rows).model, tmp_path / "network")
    config = forcing_config(tmp_path / "run", rows, network, motion_share=(50.0, 100.0))
    with pytest.raises(
        AcceptanceError, match=r"rollout_motion .* is outside 50 to 100; its checkpoints stay"
    ):
        video_forcing.main(config)
