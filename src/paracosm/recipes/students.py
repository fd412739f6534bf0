"""Students of one or two passes for a world trained on two CPU cores: two chains from the same dynamics.

*causal*, as later work advises: regression from the causal dynamics itself, then self forcing against it.
*published*: a teacher that looks ahead, regression on its clips, then self forcing against it. *direct*: a
dynamics that plays well in few passes already needs no regression, only self forcing against itself. Each may
go on with long rollouts. Lengths are for about an hour on one core for each chain; the teacher that looks
ahead comes on top. This file does NOT know any game.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from paracosm.core.errors import ConfigError
from paracosm.core.progress import ProgressMaker, no_progress
from paracosm.models.flow_rollout import RolloutConfig
from paracosm.train.acceptance import AcceptanceConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.matching import MatchingConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import distil_init, extend, self_forcing, teacher

ChainKind = Literal["causal", "published", "direct"]
"""Whose flow and scores a student learns from, and whether it begins with regression."""

INIT_GRID = (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
"""Levels of the flow that regression follows: eight passes, as many as the undistilled model's best."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The stages of a student, in order."""

    kind: ChainKind
    """whose student it is"""
    ahead: teacher.TeacherStageConfig | None
    """the teacher that looks ahead, for the published chain"""
    init: distil_init.DistilInitStageConfig | None
    """regression; none in the direct chain"""
    forcing: self_forcing.SelfForcingStageConfig
    """distribution matching on own rollouts"""
    extend: extend.ExtendStageConfig
    """the same at the end of long rollouts"""

    def stages(self) -> list[tuple[str, Callable[..., Path], Any]]:
        """Return the name of each stage, what runs it and its config, in order."""
        stages = [
            ("ahead", teacher.main, self.ahead),
            ("init", distil_init.main, self.init),
            ("forcing", self_forcing.main, self.forcing),
            ("extend", extend.main, self.extend),
        ]
        return [(name, main, config) for name, main, config in stages if config is not None]

    def with_loop(self, **changes: Any) -> Chain:
        """Return the chain with changed loops of regression and self forcing, e.g. ``num_steps=100``."""
        init = self.init and replace(self.init, loop=replace(self.init.loop, **changes))
        return replace(
            self, init=init, forcing=replace(self.forcing, loop=replace(self.forcing.loop, **changes))
        )


def chain(
    base: teacher.TeacherStageConfig,
    dynamics: Path,
    run: Path,
    *,
    kind: ChainKind = "causal",
    levels: tuple[float, ...] = (1.0, 0.5),
    reader: Path | None = None,
    student: Path | None = None,
) -> Chain:
    """Describe a student's stages.

    Args:
        base: how the dynamics was trained; its data, tokenizer and sizes are taken over.
        dynamics: its model folder.
        run: folder of the chain; each stage has a folder of its own in it.
        kind: whose student.
        levels: noise levels at which the student plays; (1.0,) for one pass.
        reader: inverse dynamics, for the checks of control.
        student: a finished student with which the direct chain begins, e.g. one of two passes that shall play
            in one; None begins with the dynamics.

    Raises:
        ConfigError: when a chain with regression is given a student.
    """
    if student is not None and kind != "direct":
        raise ConfigError(f"a {kind} chain makes its own student by regression; leave {student} out")
    common: dict[str, Any] = {
        "data": base.data,
        "tokenizer": base.tokenizer,
        "acceptance": AcceptanceConfig(reader=reader, judge_steps=100),
    }
    ahead = look_ahead(base, dynamics, run / "ahead") if kind == "published" else None
    source = dynamics if ahead is None else ahead.run / "dynamics"
    init = None
    if kind != "direct":
        init = distil_init.DistilInitStageConfig(
            run=run / "init",
            teacher=source,
            kind="consistency" if ahead is None else "ode",
            levels=levels,
            teacher_levels=INIT_GRID,
            loop=_loop(300, 2e-4, ema=0.98, betas=(0.9, 0.98)),
            batch_size=4,
            clip_frames=16,
            **common,
        )
    forcing = self_forcing.SelfForcingStageConfig(
        run=run / "forcing",
        student=(student or dynamics) if init is None else init.run / "dynamics",
        real=source,
        # On 16 judged clips of CoinRun, gain fell from 10.7 dB to 10.3 by step 160 and 9.4 by 240.
        loop=_loop(300, 1e-4, ema=0.95, betas=(0.0, 0.99)),
        critic=OptimConfig(learning_rate=2e-4, warmup_steps=20, betas=(0.0, 0.99)),
        critic_steps=3,
        rollout=RolloutConfig(levels=levels),
        matching=MatchingConfig(guidance=1.5),
        batch_size=4,
        start_frames=4,
        horizon=10,
        **common,
    )
    return Chain(kind=kind, ahead=ahead, init=init, forcing=forcing, extend=_long_tuning(forcing))


def look_ahead(base: teacher.TeacherStageConfig, dynamics: Path, run: Path) -> teacher.TeacherStageConfig:
    """Describe the teacher that looks ahead; it begins with the causal weights, of the same shapes."""
    return replace(
        base,
        run=run,
        initial=dynamics,
        model=replace(base.model, mask="bidirectional"),
        past="whole_clip",
        clip_frames=20,
        loop=_loop(1500, 3e-4, ema=0.995, betas=(0.9, 0.98)),
    )


def _long_tuning(forcing: self_forcing.SelfForcingStageConfig) -> extend.ExtendStageConfig:
    """What goes on from a student of self forcing: the same data and scores, far into its own rollouts."""
    shared = {each.name: getattr(forcing, each.name) for each in fields(forcing)}
    changed = {
        "run": forcing.run.with_name("extend"),
        "student": forcing.run / "dynamics",
        "loop": _loop(120, 5e-5, ema=0.9, betas=(0.0, 0.99)),
        # True first frames that stay in a short window kept Doom in its band half as long again, untrained.
        "rollout": replace(forcing.rollout, window=9, sink=3),
    }
    return extend.ExtendStageConfig(**shared | changed, longest_lead=300, overlap=4)


def run_chain(made: Chain, progress: ProgressMaker = no_progress, *, last: str = "forcing") -> Path:
    """Run the stages up to ``last`` (init, forcing or extend), each going on where it was stopped.

    Returns:
        The student's model folder.

    Raises:
        AcceptanceError: when a stage's checks stop it.
        ConfigError: when the chain has no such stage.
    """
    stages = made.stages()
    names = [name for name, _, _ in stages]
    if last not in names:
        raise ConfigError(f'a {made.kind} chain has no stage "{last}"; choose from {", ".join(names)}')
    for name, main, config in stages:
        folder = main(config, progress)
        if name == last:
            return folder
    raise AssertionError(names)


def _loop(num_steps: int, rate: float, *, ema: float, betas: tuple[float, float]) -> LoopConfig:
    optim = OptimConfig(
        learning_rate=rate, warmup_steps=20, decay_steps=num_steps // 3, ema_decay=ema, betas=betas
    )
    return LoopConfig(
        num_steps=num_steps, optim=optim, num_threads=1, log_every=20, preview_every=0, checkpoint_minutes=3
    )
