"""The street of genie in order: record, tokenizer, encode, latent actions, dynamics, world.

Each stretch goes on where it was stopped and costs nothing when it is done. This file does NOT know sizes: a
recipe hands it a :class:`paracosm.recipes.genie.GenieRecipe`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from paracosm.collect.record import record
from paracosm.collect.videos import ImportConfig, import_videos
from paracosm.core.config import save_config
from paracosm.core.errors import DataError
from paracosm.core.files import whole_file
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.core.token_spec import TokenStarts, action_picture, load_token_spec
from paracosm.data.clips import select_episodes
from paracosm.data.format import DATASET_FILE
from paracosm.data.reader import Dataset, EpisodeRef
from paracosm.evaluate.action_strips import play_actions, strips
from paracosm.evaluate.latent_meaning import map_chords, map_keys
from paracosm.models.dynamics_maskgit import MaskGITDynamics
from paracosm.models.latent_actions import LatentActions
from paracosm.models.token_world import build_token_world
from paracosm.models.tokenizer_vq import TokenizerVQ
from paracosm.train.previews import contact_sheet
from paracosm.train.stages import encode_codes, latent_actions, maskgit, tokenizer_vq
from paracosm.train.stages.maskgit import FinishedActions, infer_actions
from paracosm.worlds import make_policy, open_world

from . import genie
from .genie import GenieRecipe

logger = logging.getLogger(__name__)

LABELLED_STEPS = 200
"""Steps with keys that tell which learnt action a key stands for; the paper's figure 15 takes 200."""
LABELLED_EPISODES = 20
"""Episodes that they are taken from at most, since the actions of a whole episode must be found."""
ACTIONS_PICTURE = "actions.png"
"""What each learnt action does, in a world's folder."""
STRIP_FRAMES = 4
"""Frames of the strip that the page shows beside a number key, the start among them."""
WORLD_FOLDER = "world"
"""Where in a run folder the playable world lands."""
START_FRAMES = 4
"""Frames of a start clip: enough to tell how fast everything moves."""
NUM_STARTS = 24
"""Start clips that ship with a world, at most."""
VIDEO_SIDE = 64
"""Rows and columns of imported frames: what two cores can train within hours."""
VIDEO_FPS = 10.0
"""Frames a second kept of videos, as in the paper."""


def run_genie(recipe: GenieRecipe, progress: ProgressMaker = no_progress) -> Path:
    """Walk the whole street and return the folder of the playable world.

    Raises:
        ParacosmError: whatever a stage refuses; running again goes on from there.
    """
    for split, config in recipe.recordings.items():
        record(config, open_world, make_policy, world_config=recipe.games[split], progress=progress)
    tokenizer = tokenizer_vq.main(recipe.tokenizer, progress)
    encode_codes.main(
        encode_codes.EncodeCodesConfig(data=recipe.dynamics.data, tokenizer=tokenizer), progress
    )
    if isinstance(recipe.dynamics.actions, FinishedActions):
        latent_actions.main(recipe.latent_actions, progress)
    maskgit.main(recipe.dynamics, progress)
    return build_genie(recipe, recipe.run / WORLD_FOLDER)


def build_genie(recipe: GenieRecipe, out: Path) -> Path:
    """Build the playable world from the models as they lie in the run folder.

    Args:
        recipe: whose models.
        out: folder of the world; an earlier one is replaced.

    Raises:
        DataError: when a model is missing, or no episode can give a start.
    """
    actions = _latent_actions(recipe)
    tokenizer = TokenizerVQ.load(recipe.tokenizer.run / "tokenizer")
    dataset = Dataset(recipe.dynamics.data)
    episodes = select_episodes(dataset, recipe.dynamics.split)
    starts, found = choose_token_starts(episodes, actions, tokenizer)
    build_token_world(
        out,
        tokenizer=tokenizer,
        dynamics=MaskGITDynamics.load(recipe.dynamics.run / "dynamics"),
        starts=starts,
        name=recipe.name,
        description=recipe.description,
        fps=dataset.info.fps,
        idle_action=int(np.bincount(found).argmax()),
        sampler=recipe.sampler,
        storage="int8",
    )
    return out


def draw_actions(world: Path, num_steps: int = 12) -> Path:
    """Draw what each learnt action of a world does; WORLD/actions.png has a row for each, in order.

    The page shows a strip of a few frames beside each number key, WORLD/actions/NUMBER.png.

    Returns:
        The file of the picture with all rows.
    """
    opened = open_world(f"model:{world}")
    try:
        rows = play_actions(opened, num_steps)
    finally:
        opened.close()
    for action, row in enumerate(rows):
        shown = row[:: max(1, num_steps // (STRIP_FRAMES - 1))][:STRIP_FRAMES]
        with whole_file(action_picture(world, action)) as temporary:
            Image.fromarray(contact_sheet([shown], scale=1)).save(temporary, "PNG")
    file = world / ACTIONS_PICTURE
    Image.fromarray(strips(rows)).save(file)
    return file


def name_keys(recipe: GenieRecipe, world: Path, labelled: Path) -> dict[str, int]:
    """Give a world the real keys of a few labelled steps: each key stands for one learnt action from then on.

    So does each chord of keys that several of the steps hold; and where several hold none, so does no key.

    Args:
        recipe: made the world; its latent action model names the steps.
        world: folder of the world, whose world.json is written anew.
        labelled: recordings with keys, of the same frame size; LABELLED_STEPS steps spread over them count.

    Returns:
        The learnt action of each key that was held; a warning names those that were not.

    Raises:
        DataError: when no key is ever held, or one always is.
    """
    dataset, actions = Dataset(labelled), _latent_actions(recipe)
    names = dataset.info.controls.keys
    told, keys = _labelled_steps(dataset, actions, TokenizerVQ.load(recipe.tokenizer.run / "tokenizer"))
    tried = [i for i in range(len(names)) if keys[:, i].any()]
    if not tried:
        raise DataError(
            f"{labelled} has no key held in {len(told)} steps spread over it; "
            "bring recordings of somebody who plays"
        )
    if len(tried) < len(names):
        never = [name for i, name in enumerate(names) if i not in tried]
        logger.warning("keys %s stay without an action: no labelled step holds them", never)
    given = told, keys[:, tried], [names[i] for i in tried], actions.config.num_actions
    chosen, chords = map_keys(*given), map_chords(*given)
    bindings = {code: key for code, key in dataset.info.controls.bindings.items() if key in chosen}
    spec = load_token_spec(world)
    spec = replace(
        spec,
        idle_action=chords.pop("", spec.idle_action),
        key_actions=chosen,
        chord_actions=chords,
        rarest_first=tuple(names[i] for i in sorted(tried, key=lambda i: int(keys[:, i].sum()))),
        bindings=bindings,
    )
    save_config(spec, world / "world.json")
    return chosen


def _labelled_steps(
    dataset: Dataset, actions: LatentActions, tokenizer: TokenizerVQ
) -> tuple[np.ndarray, np.ndarray]:
    """Learnt actions (n,) and held keys (n, k) of LABELLED_STEPS steps spread evenly over recordings."""
    usable = [one for one in dataset.episodes if one.num_frames > actions.config.span]
    if not usable:
        raise DataError(
            f"{dataset.path} has no episode of {actions.config.span + 1} frames, "
            "so that no action can be found in it; bring longer recordings"
        )
    count = min(LABELLED_EPISODES, len(usable))
    told, keys = [], []
    for i in range(count):
        episode = usable[i * len(usable) // count]
        steps = episode.num_frames - 1
        shown = np.unique(np.linspace(0, steps - 1, LABELLED_STEPS // count).astype(int))
        told.append(infer_actions(actions, episode, tokenizer)[shown])
        keys.append(episode.control_vectors[shown, : len(dataset.info.controls.keys)] > 0.5)
    return np.concatenate(told), np.concatenate(keys)


def _latent_actions(recipe: GenieRecipe) -> LatentActions:
    parallel = not isinstance(recipe.dynamics.actions, FinishedActions)
    stage = recipe.dynamics if parallel else recipe.latent_actions
    return LatentActions.load(stage.run / "latent_actions")


def choose_token_starts(
    episodes: tuple[EpisodeRef, ...], actions: LatentActions, tokenizer: TokenizerVQ
) -> tuple[TokenStarts, np.ndarray]:
    """Cut start clips from the middles of episodes spread evenly over the recordings.

    Args:
        episodes: what may be cut.
        actions: finds the learnt actions between their frames.
        tokenizer: makes the codes when it sees codes.

    Returns:
        The starts, and every learnt action of the episodes they are from.

    Raises:
        DataError: when no episode is long enough.
    """
    long_enough = [episode for episode in episodes if episode.num_frames >= 2 * START_FRAMES]
    if not long_enough:
        raise DataError(
            f"no episode has {2 * START_FRAMES} frames, so none can give a start; record longer episodes"
        )
    count = min(NUM_STARTS, len(long_enough))
    frames, told, found = [], [], []
    for i in range(count):
        episode = long_enough[i * len(long_enough) // count]
        inferred = infer_actions(actions, episode, tokenizer)
        first = episode.num_frames // 2 - START_FRAMES // 2
        frames.append(episode.read_frames(first, first + START_FRAMES))
        told.append(inferred[first : first + START_FRAMES - 1])
        found.append(inferred)
    return TokenStarts(frames=np.stack(frames), actions=np.stack(told)), np.concatenate(found)


def from_folder(run: Path, folder: Path, progress: ProgressMaker = no_progress) -> GenieRecipe:
    """Describe the street from a folder of recordings or plain videos; controls are not read.

    Args:
        run: run folder.
        folder: a dataset, or videos, which are imported to RUN/data/train first.
        progress: begins a progress line, for importing.

    Raises:
        DataError: when the folder holds neither, or no episode to train on.
    """
    if not folder.is_dir():
        raise DataError(f'"{folder}" is no folder; give a folder of recordings or of videos')
    if not (folder / DATASET_FILE).exists():
        out = run / "data" / "train"
        config = ImportConfig(
            folder=folder,
            out=out,
            height=VIDEO_SIDE,
            width=VIDEO_SIDE,
            fps=VIDEO_FPS,
            variable_rate="resample",
            split="train",
        )
        import_videos(config, progress=progress)
        folder = out
    dataset = Dataset(folder)
    if not dataset.select("train"):
        raise DataError(f"{folder} has no episode of split train; record or import with --split train")
    return genie.own(run, folder, dataset.info.height, dataset.info.width)


def on_recordings(recipe: GenieRecipe, folder: Path) -> GenieRecipe:
    """The same recipe on recordings of a world that are there already, of whatever frame size.

    Raises:
        DataError: when the folder holds no recordings, or no episode to train on.
    """
    if not (folder / DATASET_FILE).exists():
        raise DataError(f'"{folder}" holds no recordings; paracosm record or paracosm import makes some')
    dataset = Dataset(folder)
    if not dataset.select(recipe.dynamics.split):
        raise DataError(
            f"{folder} has no episode of split {recipe.dynamics.split}; record with --split train"
        )
    return genie.on_data(recipe, folder, dataset.info.height, dataset.info.width, "none")
