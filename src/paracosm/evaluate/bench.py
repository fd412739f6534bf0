"""The bench that parts work at: the world, the true game, cases, judges, and what other parts kept.

A bench is light and travels to worker processes; each process opens its own world and loads its own judges,
once, when first asked. This file does NOT choose cases, and knows no metric.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from paracosm.core.errors import DataError
from paracosm.core.world import World, WorldInfo
from paracosm.models.inverse_dynamics import InverseDynamics

from .cases import Case, CaseSource, LevelSplit, Run
from .encoder import TokenizerJudge
from .interaction_cases import Kind, Scene, find_scene
from .long_runs import RealGame
from .metrics.plug_ins import PlugIn, ScriptedClips, ScriptedPair, load_plug_in
from .part import Result, SkippedUnitError
from .rollouts import Rollout, Subject, play, play_with_truth
from .scenes import SceneSet

_CHOSEN = ("cases ", "runs ", "scenes ")


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What every process needs to set up the same bench.

    Attributes:
        subject: the world measured.
        game: the true game, put into the same states.
        info: what the world says of itself.
        source: where cases and runs come from.
        reader: model folder of inverse dynamics, or None.
        encoder: model folder of the world's tokenizer, or None.
        real: what real frames look like, or None.
        scenes: scenes of interaction that ship with the cases, or None: the game's player then finds some.
    """

    subject: Subject
    game: Subject
    info: WorldInfo
    source: CaseSource
    reader: Path | None = None
    encoder: Path | None = None
    real: RealGame | None = None
    scenes: SceneSet | None = None


@dataclass
class Bench:
    """Everything that parts share; the same in every process."""

    config: BenchConfig
    finished: dict[str, list[Result]] = field(default_factory=dict)
    _open: dict[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Leave open worlds and loaded networks behind: the other process opens its own."""
        return {"config": self.config, "finished": self.finished, "_open": {}}

    @property
    def info(self) -> WorldInfo:
        """What the world measured says of itself: pace, size, controls."""
        return self.config.info

    def cases(self, count: int, steps: int, *, near: bool = False) -> Mapping[str, Case]:
        """Short cases by name, of both splits where there are both: ``case.split`` tells.

        Args:
            count: cases of the main split; half as many of the other.
            steps: controls and true frames of each.
            near: only cases that the true game reaches within a few hundred steps.
        """
        key = f"cases {count} {steps} {near}"
        if key not in self._open:
            self._open[key] = {case.name: case for case in self.config.source.cases(count, steps, near)}
        return self._open[key]

    def runs(self, count: int, steps: int) -> Mapping[str, Run]:
        """Long runs by name: a start and minutes of controls that players gave."""
        key = f"runs {count} {steps}"
        if key not in self._open:
            self._open[key] = {run.name: run for run in self.config.source.runs(count, steps)}
        return self._open[key]

    def scenes(self, kind: Kind, count: int) -> Sequence[str]:
        """Names of scenes of a kind: those that ship, else numbers by which the game's player finds some.

        Args:
            kind: of interaction.
            count: scenes of the main split, at most; half as many of the other where the set has both.
        """
        places = () if self.config.scenes is None else self.config.scenes.places(kind.name, count)
        if not places:
            return [f"{kind.name}/{number}" for number in range(count)]
        self._open[f"scenes {kind.name} {count}"] = {place.name: place for place in places}
        return [place.name for place in places]

    def scene(self, kind: Kind, name: str, steps: int) -> Scene | None:
        """Play a scene in the true game; None when it was not shipped and none was found.

        Raises:
            WorldError: when the game does not repeat a scene that ships.
        """
        shipped = self.config.scenes
        if shipped is not None and name in shipped.scenes:
            return shipped.draw(self.true_game(shipped.config(name)), kind, name, steps)
        config, number = self.config.game.config, int(name.partition("/")[2])
        return find_scene(self.true_game(config), config, kind, number, steps)

    def splits(self) -> dict[str, LevelSplit]:
        """Split of every case, run and shipped scene that was asked for, by name."""
        chosen = [value for key, value in self._open.items() if key.startswith(_CHOSEN)]
        return {one.name: one.split for group in chosen for one in group.values()}

    def all_cases(self) -> dict[str, Case]:
        """Every case that was asked for, by name, each as long as the longest asked for."""
        groups = [value for key, value in self._open.items() if key.startswith("cases ")]
        groups.sort(key=lambda group: max((len(case.truth) for case in group.values()), default=0))
        return {name: case for group in groups for name, case in group.items()}

    def all_runs(self) -> dict[str, Run]:
        """Every long run that was asked for, by name, each as long as the longest asked for."""
        groups = [value for key, value in self._open.items() if key.startswith("runs ")]
        groups.sort(key=lambda group: max((len(run.rollout.controls) for run in group.values()), default=0))
        return {name: run for group in groups for name, run in group.items()}

    def adopt_cases(self, other: Bench) -> None:
        """Take over the cases and runs that another bench of the same source has chosen."""
        self._open |= {key: value for key, value in other._open.items() if key.startswith(_CHOSEN)}

    def world(self) -> World:
        """The world measured, open; one a process, so begin it anew for every unit."""
        return self._opened("world", self.config.subject)

    def true_game(self, config: Any = None) -> World:
        """The true game, open; one a process and config.

        Args:
            config: JSON values of another config (monsters, another map); None takes that of the cases.

        Raises:
            MissingPackageError: when it is not installed.
            SkippedUnitError: for a game that does not repeat itself, like one captured from its window.
        """
        subject, name = self.config.game, "game"
        if config is not None:
            name = f"game {json.dumps(config, sort_keys=True)}"
            subject = Subject(name=subject.name, opener=subject.opener, config=config)
        game = self._opened(name, subject)
        if game.info.details.get("repeats") == "no":
            raise SkippedUnitError(
                f"{game.info.name} does not repeat itself: it cannot be put into a recorded state"
            )
        return game

    def play(self, rollout: Rollout) -> np.ndarray:
        """Play a rollout in the world measured: uint8 (steps, h, w, 3), the frame after each control."""
        return play(self.world(), rollout)

    def play_true(self, rollout: Rollout) -> tuple[np.ndarray, list[Mapping[str, Any]]]:
        """Play a rollout in the true game, put into the same state.

        Returns:
            The frames as :meth:`play` gives them, and what the game knew at each (``Frame.truth``).
        """
        return play_with_truth(self.true_game(rollout.recipe.config), rollout)

    @property
    def reader(self) -> InverseDynamics | None:
        """Inverse dynamics that reads controls from frames, or None."""
        return self._loaded("reader", self.config.reader, InverseDynamics.load)

    @property
    def encoder(self) -> TokenizerJudge | None:
        """The world's own frozen tokenizer as a judge, or None."""
        return self._loaded("encoder", self.config.encoder, TokenizerJudge)

    def plug_in(self, plug_in: PlugIn) -> ScriptedPair | ScriptedClips:
        """A network of the user's own, loaded once a process."""
        key = f"plug-in {plug_in.name} {plug_in.version}"
        return self._loaded(key, plug_in.file, lambda _: load_plug_in(plug_in))

    @property
    def real(self) -> RealGame | None:
        """What real frames look like (band, places, stillness), or None."""
        return self.config.real

    def results(self, part: str) -> Sequence[Result]:
        """Finished units of a part named in ``needs``, status ok only, in the order of its units."""
        return [result for result in self.finished.get(part, []) if result.status == "ok"]

    def result(self, part: str, key: str) -> Result:
        """One of them.

        Raises:
            DataError: when that unit failed or was skipped; says why.
        """
        for result in self.finished.get(part, []):
            if result.unit.key == key and result.status == "ok":
                return result
            if result.unit.key == key:
                raise DataError(f"needs {part} {key}, which {result.status}: {result.reason}")
        raise DataError(f"needs {part} {key}, which was not run; run the part {part} first")

    def close(self) -> None:
        """Close the worlds that this process opened."""
        for value in self._open.values():
            if hasattr(value, "close"):
                with contextlib.suppress(Exception):
                    value.close()
        self._open = {key: value for key, value in self._open.items() if key.startswith(_CHOSEN)}

    def _opened(self, name: str, subject: Subject) -> World:
        if name not in self._open:
            self._open[name] = subject.open()
        return self._open[name]

    def _loaded(self, name: str, folder: Path | None, load: Any) -> Any:
        if folder is None:
            return None
        if name not in self._open:
            self._open[name] = load(folder)
        return self._open[name]
