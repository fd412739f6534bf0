"""The street of Matrix-Game 2.0 in order: record, codec, encode, base, teacher, student, world.

The base makes video from a picture and knows no controls; it is trained here at toy size, or taken from a
published image-to-video model without its words. The teacher is the base with action modules that begin as
nothing. Each stretch goes on where it was stopped and costs nothing when it is done. This file does NOT know
sizes: a recipe hands it a :class:`paracosm.recipes.matrix_game2.VideoRecipe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paracosm.collect.record import RecordConfig, record
from paracosm.convert.wan_base import load_image_to_video
from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.video_spec import ActionMap, VideoPlay
from paracosm.data.clips import select_episodes
from paracosm.data.format import DATASET_FILE
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_video import VideoDynamicsConfig
from paracosm.models.video_parts import VideoCodecConfig, load_parts
from paracosm.models.video_stream import warped_levels
from paracosm.models.video_world import build_video_world
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import encode_video, video_codec, video_forcing, video_student, video_teacher
from paracosm.train.video_batches import VideoData
from paracosm.worlds import make_policy, open_world

from . import doom
from .matrix_game2 import PREFIX, TINY_TOWER, TrainingPlan, VideoRecipe, find_recipe
from .street import WORLD_FOLDER, choose_starts

WALKED = ("tiny", "small")
"""Recipes that have a street."""
MOUSE_LIMIT = 0.1
"""Size of a mouse number at full turn, as published."""
TEACHER_STEPS = (1000, 900, 800, 666, 500, 333, 250, 125)
"""Denoising steps of the teacher that a student's are among."""
SHIFT = 5.0
"""Shift of the schedule of noise levels, as published."""
NUM_STARTS = 6
"""Pictures to begin from that ship with a world, at most."""
SMALL_RATE, TINY_RATE = 1e-4, 1e-3
"""Peak learning rates of the teacher."""


@dataclass(frozen=True, kw_only=True)
class VideoStreet:
    """One pipeline: what is recorded, what is trained on it, and how the world plays."""

    run: Path
    """run folder; every stage has a folder of its own in it"""
    recipe: VideoRecipe
    """sizes and lengths"""
    recordings: Mapping[str, RecordConfig]
    """recording of each split; none when the data is brought along"""
    games: Mapping[str, Any]
    """config of the recorded game, for each split"""
    codec: video_codec.VideoCodecStageConfig | None
    """frames to latents; None when codec and image tower are brought along"""
    encode: encode_video.EncodeVideoStageConfig
    """recordings to clips of latents"""
    base_file: Path | None
    """published weights of an image-to-video model that the teacher begins from"""
    base: video_teacher.VideoTeacherStageConfig | None
    """the same trained here, without controls"""
    teacher: video_teacher.VideoTeacherStageConfig
    """the base with action modules, many passes"""
    student: video_student.VideoStudentStageConfig
    """few passes, by regression"""
    forcing: video_forcing.VideoForcingStageConfig
    """few passes, on its own clips"""


def street(
    name: str,
    run: Path,
    data: Path | None = None,
    parts: Path | None = None,
    base_file: Path | None = None,
) -> VideoStreet:
    """Describe the street of a recipe.

    Args:
        name: full name of the recipe, e.g. "matrix_game2.tiny".
        run: run folder.
        data: recordings to take in place of its own Doom.
        parts: folder with vae/ and image_encoder/, e.g. a converted world; None trains toy ones.
        base_file: safetensors file of an image-to-video model of the Wan family; None trains a toy base, or,
            for a recipe without that stage, begins from random weights.

    Raises:
        ConfigError: for a recipe without a street, or one that needs parts.
        DataError: when a folder does not hold what it should.
    """
    if name.removeprefix(PREFIX) not in WALKED:
        raise ConfigError(
            f"{name} has no street; walk one of {', '.join(PREFIX + walked for walked in WALKED)}, "
            "or convert the released weights: paracosm convert matrix-game-2"
        )
    recipe = find_recipe(name)
    recordings, games = {}, {}
    if data is None:
        games = {"train": doom.games()["train"]}
        shortened = replace(doom.recordings(run)["train"], num_episodes=16, max_steps=160)
        recordings = {"train": shortened if recipe.name == "tiny" else doom.recordings(run)["train"]}
        controls, recipe = doom.shape().controls, replace(recipe, height=48, width=64)
    else:
        if not (data / DATASET_FILE).exists():
            raise DataError(f'"{data}" holds no recordings; paracosm record or paracosm import makes some')
        info = Dataset(data).info
        controls, recipe = info.controls, replace(recipe, height=info.height, width=info.width, fps=info.fps)
    if parts is None and recipe.name != "tiny":
        raise ConfigError(
            f"{name} works over the published codec and image tower; name a folder with vae/ and "
            "image_encoder/ by --parts, e.g. a world that paracosm convert matrix-game-2 made"
        )
    return _describe(
        recipe, run, controls, data or run / "data" / "train", recordings, games, parts, base_file
    )


def _describe(
    recipe: VideoRecipe,
    run: Path,
    controls: ControlSpace,
    data: Path,
    recordings: Mapping[str, RecordConfig],
    games: Mapping[str, Any],
    parts: Path | None,
    base_file: Path | None,
) -> VideoStreet:
    actions = action_map(controls)
    model = replace(
        recipe.model, actions=replace(recipe.model.actions, keys=len(controls.keys), mouse=actions.mouse)
    )
    recipe = replace(recipe, model=model)
    plans, stride = recipe.training, 8
    clip_latents = plans["foundation"].clip_latents
    codec = None if parts is not None else _codec(run, data)
    parts = parts or run / "codec" / "parts"
    rows = VideoData(data=data, parts=parts, actions=actions, clip_latents=clip_latents, stride=stride)
    rate = TINY_RATE if recipe.name == "tiny" else SMALL_RATE
    base = None
    if base_file is None and "base" in plans:
        base = _teacher(run / "base", rows, replace(model, action_layers=()), plans["base"], rate, None)
    begun = run / "base" / "dynamics" if base is not None or base_file is not None else None
    teacher = _teacher(run / "foundation", rows, model, plans["foundation"], rate, begun)
    student = _student(run / "distil_init", rows, model, recipe, plans["distil_init"], rate / 4)
    return VideoStreet(
        run=run,
        recipe=recipe,
        recordings=recordings,
        games=games,
        codec=codec,
        encode=encode_video.EncodeVideoStageConfig(
            data=data, parts=parts, clip_latents=clip_latents, stride=stride
        ),
        base_file=base_file,
        base=base,
        teacher=teacher,
        student=student,
        forcing=_forcing(run / "self_forcing", rows, model, recipe, plans["self_forcing"], rate / 20),
    )


def run_video_street(street: VideoStreet, progress: ProgressMaker = no_progress) -> Path:
    """Walk the whole street and return the folder of the playable world.

    Raises:
        ParacosmError: whatever a stage refuses; running again goes on from there.
    """
    for split, config in street.recordings.items():
        record(config, open_world, make_policy, world_config=street.games[split], progress=progress)
    if street.codec is not None:
        video_codec.main(street.codec, progress)
    else:
        _check_parts(street)
    encode_video.main(street.encode, progress)
    if street.base is not None:
        video_teacher.main(street.base, progress)
    else:
        bring_base(street)
    video_teacher.main(street.teacher, progress)
    video_student.main(street.student, progress)
    video_forcing.main(street.forcing, progress)
    return build(street, street.run / WORLD_FOLDER)


def bring_base(street: VideoStreet) -> None:
    """Take the published base of a street that has one, without its words, once.

    Raises:
        DataError: when the file is damaged, or no image-to-video model of the recipe's sizes.
    """
    folder = street.teacher.initial
    if street.base_file is not None and folder is not None and not folder.is_dir():
        load_image_to_video(street.base_file, street.teacher.model).save(folder)


def build(street: VideoStreet, out: Path, dynamics: Path | None = None) -> Path:
    """Build the playable world from the models as they lie in the run folder.

    Args:
        street: whose models.
        out: folder of the world; an earlier one is replaced.
        dynamics: folder of the network; None takes the last student.

    Raises:
        DataError: when a model is missing, or no episode can give a start.
    """
    dataset, rows = Dataset(street.encode.data), street.teacher.data
    starts = choose_starts(select_episodes(dataset, rows.split), NUM_STARTS)
    build_video_world(
        out,
        dynamics=dynamics or street.forcing.run / "dynamics",
        parts=rows.parts,
        starts=list(starts.frames[:, -1]),
        name=f"matrix_game2-{street.recipe.name}",
        description=street.recipe.description,
        fps=dataset.info.fps,
        controls=dataset.info.controls,
        actions=rows.actions,
        play=VideoPlay(levels=street.recipe.levels),
    )
    return out


def action_map(controls: ControlSpace) -> ActionMap:
    """A number for each key, and pitch and yaw where the world turns."""
    return ActionMap(
        columns=controls.keys,
        choice="any",
        idle=-1,
        mouse=2 if max(controls.look_limit) > 0 else 0,
        mouse_limit=MOUSE_LIMIT,
    )


def _check_parts(street: VideoStreet) -> None:
    """Refuse an image tower of another width before anything is trained."""
    _, tower = load_parts(street.encode.parts)
    needed = street.teacher.model.context_width
    if tower.width != needed:
        raise ConfigError(
            f"the image tower of {street.encode.parts} has {tower.width} numbers a token, the recipe takes "
            f"{needed}; bring the one that was published with Matrix-Game 2.0"
        )


def _codec(run: Path, data: Path) -> video_codec.VideoCodecStageConfig:
    return video_codec.VideoCodecStageConfig(
        run=run / "codec",
        data=data,
        model=VideoCodecConfig(base_channels=4, latent_channels=16, growth=(1, 2, 4, 8), blocks=1),
        tower=TINY_TOWER,
        loop=LoopConfig(
            num_steps=120,
            optim=OptimConfig(learning_rate=4e-3, warmup_steps=10, decay_steps=60, ema_decay=0.9),
            log_every=10,
            preview_every=60,
            checkpoint_minutes=1.0,
        ),
    )


def _loop(plan: TrainingPlan, rate: float, preview_every: int = 0) -> LoopConfig:
    warmup = min(200, plan.num_steps // 10)
    optim = OptimConfig(
        learning_rate=rate,
        warmup_steps=warmup,
        decay_steps=plan.num_steps // 2,
        ema_decay=0.95 if plan.num_steps < 1000 else 0.999,
    )
    return LoopConfig(
        num_steps=plan.num_steps,
        optim=optim,
        log_every=10,
        preview_every=preview_every,
        checkpoint_minutes=1.0,
    )


def _teacher(
    run: Path,
    rows: VideoData,
    model: VideoDynamicsConfig,
    plan: TrainingPlan,
    rate: float,
    initial: Path | None,
) -> video_teacher.VideoTeacherStageConfig:
    return video_teacher.VideoTeacherStageConfig(
        run=run,
        data=rows,
        model=model,
        loop=_loop(plan, rate, preview_every=plan.num_steps // 2),
        initial=initial,
        batch_size=plan.batch_size,
    )


def _student(
    run: Path,
    rows: VideoData,
    model: VideoDynamicsConfig,
    recipe: VideoRecipe,
    plan: TrainingPlan,
    rate: float,
) -> video_student.VideoStudentStageConfig:
    return video_student.VideoStudentStageConfig(
        run=run,
        data=rows,
        teacher=run.parent / "foundation" / "dynamics",
        model=model,
        loop=_loop(plan, rate),
        levels=recipe.levels,
        teacher_levels=warped_levels(TEACHER_STEPS, SHIFT),
        batch_size=plan.batch_size,
    )


def _forcing(
    run: Path,
    rows: VideoData,
    model: VideoDynamicsConfig,
    recipe: VideoRecipe,
    plan: TrainingPlan,
    rate: float,
) -> video_forcing.VideoForcingStageConfig:
    return video_forcing.VideoForcingStageConfig(
        run=run,
        data=rows,
        student=run.parent / "distil_init" / "dynamics",
        model=model,
        real=run.parent / "foundation" / "dynamics",
        loop=_loop(plan, rate),
        levels=recipe.levels,
        batch_size=plan.batch_size,
    )
