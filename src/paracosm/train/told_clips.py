"""Clips with what is told of them: latents, controls, texts and video prompts, drawn by step number.

This file does NOT know networks or losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.core.shapes import Controls, Latents
from paracosm.curate.captions import INS_FIELDS, UNCHANGED
from paracosm.curate.guides import GuideKind
from paracosm.data.clips import ClipSampler, select_episodes
from paracosm.data.latents import LatentClips, read_latent_clips
from paracosm.data.reader import Dataset
from paracosm.data.text_store import TextKey, read_texts
from paracosm.models.dynamics_flow import shift_controls
from paracosm.models.text import TextTokens, collate

from .stages.encode import open_store
from .stages.encode_guides import open_guides

EVENT_FIELDS = tuple(name for name in INS_FIELDS if name != "action")
"""Fields that tell what happens, beside what the player does."""
Places = Sequence[tuple[int, int]]
"""(episode index, first frame) of each clip."""


@dataclass(frozen=True, kw_only=True)
class ToldData:
    """Which recordings, encoded how.

    Attributes:
        data: dataset folder.
        tokenizer: tokenizer folder whose latents are read.
        split: episodes; "" takes all.
        texts: which texts.
        guides: kinds of video prompts that are read.
    """

    data: Path
    tokenizer: Path
    split: str
    texts: TextKey
    guides: tuple[GuideKind, ...] = ()


class ToldClips:
    """The clips of one dataset in memory.

    Args:
        told: which.

    Raises:
        DataError: when latents, texts or prompts are missing.
    """

    def __init__(self, told: ToldData) -> None:
        dataset = Dataset(told.data)
        episodes = select_episodes(dataset, told.split)
        self.data, self.info = told.data, dataset.info
        self.names = [episode.name for episode in episodes]
        self._weights = [episode.weight for episode in episodes]
        self.clips = read_latent_clips(open_store(dataset, told.tokenizer), episodes)
        self.texts = read_texts(dataset, told.texts, episodes)
        self.text_frames = told.texts.frames
        self._guides: dict[GuideKind, LatentClips] = {
            kind: read_latent_clips(open_guides(dataset, told.tokenizer, kind), episodes)
            for kind in told.guides
        }

    @property
    def guide_kinds(self) -> tuple[GuideKind, ...]:
        """Kinds of video prompts."""
        return tuple(self._guides)

    def sampler(self, frames: int, seed: int, *, event_share: float = 0.0, told_from: int = 0) -> ClipSampler:
        """Make the sampler of clips that span so many frames.

        Args:
            frames: of a clip.
            seed: run seed.
            event_share: chance of a clip to be drawn evenly from the kinds of event: the different texts of
                the fields that tell of changes but of nothing that the player does. What is rare is seen as
                often as what is common.
            told_from: row of the clip from which its text tells.

        Raises:
            ConfigError: when the texts tell of longer clips: the last clips would have none; or when
                events are asked for and no text tells of any.
        """
        if frames < self.text_frames:
            raise ConfigError(
                f"clips span {frames} frames, the texts tell of {self.text_frames}; use longer clips, or "
                f"encode texts of {frames} frames or fewer"
            )
        strata = self._events(frames, told_from) if event_share else ()
        return ClipSampler(
            self.clips.lengths,
            frames,
            seed,
            strata=strata,
            strata_share=event_share,
            weights=self._weights,
        )

    def _events(self, frames: int, told_from: int) -> list[np.ndarray]:
        """Places of each kind of event, as the sampler counts places."""
        found: dict[tuple[str, int], list[np.ndarray]] = {}
        before = 0
        for name, length in zip(self.names, self.clips.lengths, strict=True):
            places = max(0, length - frames + 1)
            for field in EVENT_FIELDS:
                rows = self.texts.rows[name][told_from : told_from + places, self.texts.fields.index(field)]
                for number in np.unique(rows):
                    found.setdefault((field, int(number)), []).append(before + np.flatnonzero(rows == number))
            before += places
        quiet = ("", UNCHANGED)
        events = [key for key in sorted(found) if key[1] >= 0 and self.texts.texts[key[1]] not in quiet]
        return [np.concatenate(found[key]) for key in events]

    def latents(self, places: Places, frames: int, stride: int = 1) -> Latents:
        """Cut latents (b, t, z, h, w), every ``stride``-th frame."""
        return self._cut(self.clips.latents, places, frames, stride)

    def guide(self, kind: GuideKind, places: Places, frames: int) -> Latents:
        """Cut the latents of a video prompt."""
        return self._cut(self._guides[kind].latents, places, frames, 1)

    def controls(self, places: Places, frames: int) -> Controls:
        """Cut the controls that led to each frame, (b, t, a)."""
        _, controls = self.clips.cut(places, frames)
        return shift_controls(torch.from_numpy(controls))

    def text(self, places: Places, numbers: Sequence[Mapping[int, str]]) -> TextTokens:
        """Gather texts.

        Args:
            places: first frames are those from which the texts tell.
            numbers: for each clip, by the number of a network's field, the stored field that it reads.
        """
        rows = []
        for (episode, first), wanted in zip(places, numbers, strict=True):
            name = self.names[episode]
            rows.append(
                {
                    number: self.texts.states[self.texts.number(name, first, field)]
                    for number, field in wanted.items()
                }
            )
        return collate(rows, self.texts.width)

    @staticmethod
    def _cut(latents: Sequence[np.ndarray], places: Places, frames: int, stride: int) -> Tensor:
        span = (frames - 1) * stride + 1
        cut = np.stack([latents[episode][first : first + span : stride] for episode, first in places])
        return torch.from_numpy(cut).float()


def wanted_fields(fields: Sequence[str], joined: str, as_one: bool) -> dict[int, str]:
    """Say which stored field each of a network's reads.

    Args:
        fields: the network's; the first takes free words.
        joined: the stored field that holds all of them as one text.
        as_one: whether the clip is told in free words.
    """
    return {0: joined} if as_one else dict(enumerate(fields[1:], 1))


def drop_fields(
    wanted: Mapping[int, str], fields: Sequence[str], dropout: float, draws: np.random.Generator
) -> dict[int, str]:
    """Leave some of what is said unsaid, as people do; something is always said.

    Args:
        wanted: as from ``wanted_fields``.
        fields: the network's.
        dropout: chance of each field to be left out; of free words, to be those of one field alone.
        draws: decides.
    """
    one = int(draws.integers(1, len(fields)))
    if 0 in wanted:
        return {0: fields[one]} if draws.random() < dropout else dict(wanted)
    kept = {number: field for number, field in wanted.items() if draws.random() >= dropout}
    return kept or {one: wanted[one]}
