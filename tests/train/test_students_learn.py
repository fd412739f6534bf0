"""Do students learn what they should? A world of coin flips, where one pass of a teacher can only blur.

Each frame is one of two patterns, which the control chooses, with a sign that nobody can foresee. The mean of
what may come is nothing: a teacher asked once draws grey, asked often it commits itself to a sign.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from paracosm.core.rng import sub_seed
from paracosm.core.run_dir import RunDir
from paracosm.models.dynamics_flow import FlowDynamics, FlowDynamicsConfig
from paracosm.models.flow_rollout import RolloutConfig, continue_clips
from paracosm.models.noise import draw_levels, mix, velocity_weight
from paracosm.train.acceptance import AcceptanceConfig
from paracosm.train.clip_batches import known_controls
from paracosm.train.loop import LoopConfig, train
from paracosm.train.matching import MatchingConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import distil_init, self_forcing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FRAMES, START = 6, 2
ONE, FOUR = (1.0,), (1.0, 0.75, 0.5, 0.25)
PATTERNS = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]).reshape(2, 1, 2, 2)


class CoinFlips:
    """Stands for ``ClipBatches``."""

    def __init__(self, **_: object) -> None: ...

    def draw(self, step: int, part: int, count: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(sub_seed(0, "flips", step, part))
        key = torch.randint(2, (count, FRAMES), generator=generator)
        sign = 2.0 * torch.randint(2, (count, FRAMES, 1, 1, 1), generator=generator) - 1
        controls = torch.zeros(count, FRAMES, 3)
        controls[:, :, 0] = key
        return sign * PATTERNS[key], controls

    def check(self, dynamics: FlowDynamics) -> None: ...


class FlipTeacher:
    """The teacher's loss on coin flips, causal or looking ahead."""

    def __init__(self, dynamics: FlowDynamics) -> None:
        self.networks: dict[str, nn.Module] = {"dynamics": dynamics}
        self.blocks: Sequence[nn.Module] = ()
        self.dynamics = dynamics

    def loss(self, step: int, part: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        clean, controls = CoinFlips().draw(step, part, 64)
        b, t = clean.shape[:2]
        levels = draw_levels((b, t), generator, mean=0.0, deviation=1.2, pure_share=0.15)
        noisy = mix(clean, torch.randn(clean.shape, generator=generator), levels)
        known = known_controls(b, t, "cpu")
        made = self.dynamics(noisy, levels, controls, known, (clean, torch.zeros(b, t)), known)
        error = (made.float() - clean).square().mean((2, 3, 4))
        return (error * velocity_weight(levels))[:, 1:].mean(), {}

    def preview(self, averages: object) -> None: ...


def loop(num_steps: int, rate: float, betas: tuple[float, float] = (0.9, 0.98)) -> LoopConfig:
    optim = OptimConfig(learning_rate=rate, warmup_steps=10, ema_decay=0.98, betas=betas)
    return LoopConfig(num_steps=num_steps, optim=optim, precision="fp32", log_every=20, preview_every=0)


def commitment(dynamics: FlowDynamics, levels: tuple[float, ...]) -> tuple[float, float, float]:
    """How far frames commit to the pattern asked for (1 is real) and to the other, and the mean sign."""
    latents, controls = CoinFlips().draw(-1, 0, 128)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        made = continue_clips(dynamics, latents[:, :START], controls, RolloutConfig(levels=levels), generator)
    key = controls[:, START:, 0].long()
    shares = torch.stack([(made[:, START:] * pattern).mean((2, 3, 4)) for pattern in PATTERNS], -1)
    asked = shares.gather(-1, key[..., None])
    other = shares.gather(-1, 1 - key[..., None])
    return float(asked.abs().mean()), float(other.abs().mean()), float(asked.sign().mean())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("flips")
    config = FlowDynamicsConfig(
        latent_channels=1, latent_height=2, latent_width=2, patch=2, width=32, depth=2, heads=2, hidden=64,
        window=5, attention="joint", control_width=3, look_limit=(1.0, 1.0),
    )  # fmt: skip
    torch.manual_seed(0)  # noqa: TID251
    with RunDir(root / "run") as run:
        averages = train(FlipTeacher(FlowDynamics(config)), loop(600, 4e-3), run)
    averages["dynamics"].save(root / "teacher")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    return root / "teacher"


@pytest.fixture
def flips(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in (distil_init, self_forcing):
        monkeypatch.setattr(stage, "ClipBatches", CoinFlips)

        class Unjudged:
            def __init__(self, *_: object) -> None: ...

            def __call__(self, *_: object) -> dict[str, float]:
                return {}

        monkeypatch.setattr(stage, "Acceptance", Unjudged)


def test_one_pass_of_the_teacher_is_grey_and_four_commit(teacher: Path) -> None:
    dynamics = FlowDynamics.load(teacher)
    assert commitment(dynamics, ONE)[0] < 0.35
    asked, other, sign = commitment(dynamics, FOUR)
    assert asked > 0.8
    assert other < 0.25
    assert abs(sign) < 0.3


@pytest.mark.usefixtures("flips")
@pytest.mark.parametrize("kind", ["ode", "consistency"])
def test_regression_makes_one_pass_commit_to_what_was_asked(teacher: Path, tmp_path: Path, kind: str) -> None:
    config = distil_init.DistilInitStageConfig(
        run=tmp_path, data=tmp_path, tokenizer=tmp_path, teacher=teacher, loop=loop(200, 2e-3), kind=kind,  # pyright: ignore[reportArgumentType]
        levels=ONE, teacher_levels=FOUR, context_noise=0.0, batch_size=32, start_frames=START,
        acceptance=AcceptanceConfig(judge_steps=0),
    )  # fmt: skip
    asked, other, sign = commitment(FlowDynamics.load(distil_init.main(config)), ONE)
    assert asked > 0.8
    assert other < 0.25
    assert abs(sign) < 0.3


@pytest.mark.usefixtures("flips")
def test_self_forcing_makes_one_pass_commit_without_ever_being_shown_a_frame(
    teacher: Path, tmp_path: Path
) -> None:
    config = self_forcing.SelfForcingStageConfig(
        run=tmp_path, data=tmp_path, tokenizer=tmp_path, student=teacher, real=teacher,
        loop=loop(150, 1e-3, (0.0, 0.99)),
        critic=OptimConfig(learning_rate=2e-3, warmup_steps=10, betas=(0.0, 0.99)), critic_steps=2,
        rollout=RolloutConfig(levels=ONE), matching=MatchingConfig(guidance=1.0), batch_size=32,
        start_frames=START, horizon=FRAMES - START, acceptance=AcceptanceConfig(judge_steps=0),
    )  # fmt: skip
    asked, other, sign = commitment(FlowDynamics.load(self_forcing.main(config)), ONE)
    assert asked > 0.8
    assert other < 0.25
    assert abs(sign) < 0.3
