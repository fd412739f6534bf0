"""The stages that make a student: a teacher that looks ahead, regression, self forcing, long tuning."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from paracosm.core.errors import AcceptanceError, ConfigError
from paracosm.core.run_dir import RunDir
from paracosm.data.reader import Dataset
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.flow_rollout import RolloutConfig, continue_clips
from paracosm.train import acceptance
from paracosm.train.acceptance import AcceptanceConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.matching import MatchingConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import distil_init, encode, extend, self_forcing, teacher, tokenizer
from tests import tiny

from .datasets import record_counting
from .stages import dynamics_config, tokenizer_config

UNJUDGED = AcceptanceConfig(judge_steps=0)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, a tokenizer, latents, and two teachers of random weights, one of which looks ahead."""
    root = tmp_path_factory.mktemp("students")
    record_counting(root / "data")
    made = tokenizer.main(tokenizer_config(root / "tokenizer", root / "data", num_steps=1))
    encode.main(encode.EncodeStageConfig(data=root / "data", tokenizer=made))
    sizes = dynamics_config(root, root / "data", made, Dataset(root / "data").info.controls).model
    for name, mask in (("causal", "causal"), ("ahead", "bidirectional")):
        network = FlowDynamics(replace(sizes, mask=mask))  # pyright: ignore[reportArgumentType]
        tiny.perturb(network)
        network.save(root / name)
    return root


def common(root: Path, run: Path, num_steps: int = 3) -> dict[str, Any]:
    optim = OptimConfig(learning_rate=1e-3, warmup_steps=1)
    loop = LoopConfig(num_steps=num_steps, optim=optim, precision="fp32", log_every=1, preview_every=0)
    return {
        "run": run,
        "data": root / "data",
        "tokenizer": root / "tokenizer" / "tokenizer",
        "loop": loop,
        "batch_size": 2,
        "start_frames": 2,
        "acceptance": UNJUDGED,
    }


def forcing(root: Path, run: Path, num_steps: int = 3, **others: Any) -> self_forcing.SelfForcingStageConfig:
    values = {"student": root / "causal", "real": root / "causal", "critic_steps": 1, "horizon": 3, **others}
    return self_forcing.SelfForcingStageConfig(**common(root, run, num_steps), **values)


def last_state(run: Path) -> dict[str, torch.Tensor]:
    folder = RunDir(run).latest_checkpoint()
    assert folder is not None
    return load_file(folder / "state.safetensors")


def test_a_teacher_that_looks_ahead_trains_and_previews(street: Path, tmp_path: Path) -> None:
    controls = Dataset(street / "data").info.controls
    config = dynamics_config(tmp_path, street / "data", street / "tokenizer" / "tokenizer", controls)
    config = replace(
        config,
        model=replace(config.model, mask="bidirectional"),
        past="whole_clip",
        loop=replace(config.loop, preview_every=2),
    )
    folder = teacher.main(config)
    assert FlowDynamics.load(folder).config.mask == "bidirectional"
    assert list((tmp_path / "previews").glob("*.png"))


def test_a_teacher_that_looks_ahead_takes_whole_clips_only(street: Path, tmp_path: Path) -> None:
    controls = Dataset(street / "data").info.controls
    config = dynamics_config(tmp_path, street / "data", street / "tokenizer" / "tokenizer", controls)
    config = replace(config, model=replace(config.model, mask="bidirectional"))
    with pytest.raises(ConfigError, match=r'past "two_streams" does not fit .*; use past "whole_clip"'):
        teacher.TeacherStage(config)


@pytest.mark.parametrize("of", ["causal", "ahead"])
@pytest.mark.parametrize("kind", ["consistency", "ode"])
def test_both_kinds_learn_from_both_teachers_and_leave_a_causal_student(
    street: Path, tmp_path: Path, of: str, kind: Any
) -> None:
    config = distil_init.DistilInitStageConfig(
        **common(street, tmp_path), teacher=street / of, kind=kind, clip_frames=6, guidance=1.5
    )
    student = FlowDynamics.load(distil_init.main(config))
    assert student.config.mask == "causal"
    before = FlowDynamics.load(street / of).state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_the_end_of_a_flow_is_the_target_of_both_kinds(street: Path, tmp_path: Path) -> None:
    # With one pass the flow ends at the teacher's first answer, and both kinds ask for just that.
    targets = []
    for kind in ("consistency", "ode"):
        config = distil_init.DistilInitStageConfig(
            **common(street, tmp_path / kind),
            teacher=street / "causal",
            kind=kind,  # pyright: ignore[reportArgumentType]
            clip_frames=6,
            levels=(1.0,),
            teacher_levels=(1.0,),
        )
        stage = distil_init.DistilInitStage(config)
        loss, figures = stage.loss(0, 0, torch.Generator().manual_seed(0))
        targets.append((float(loss.detach()), float(figures["error_from_noise"])))
    # The student begins as the teacher, so it is right already.
    assert targets[0] == pytest.approx((0.0, 0.0), abs=1e-10)
    assert targets[1] == pytest.approx((0.0, 0.0), abs=1e-10)


@pytest.mark.parametrize("real", ["causal", "ahead"])
def test_self_forcing_moves_the_student_in_its_turns_and_the_critic_in_its_own(
    street: Path, tmp_path: Path, real: str
) -> None:
    before = FlowDynamics.load(street / "causal").state_dict()
    student = self_forcing.main(forcing(street, tmp_path, 1, real=street / real, critic_steps=2))
    # Step 0 was the critic's.
    assert all(
        torch.equal(value, before[name]) for name, value in FlowDynamics.load(student).state_dict().items()
    )
    config = forcing(street, tmp_path, 3, real=street / real, critic_steps=2)
    student = self_forcing.main(config)
    assert any(
        not torch.equal(value, before[name])
        for name, value in FlowDynamics.load(student).state_dict().items()
    )
    rows = RunDir(tmp_path).read_log()
    assert "loss_critic" in rows[0]
    assert {"loss_dynamics", "exit_step", "score_gap", "gradient_norm_dynamics"} <= rows[2].keys()


@pytest.mark.parametrize("kind", ["self_forcing", "extend"])
def test_turns_resume_bit_for_bit(street: Path, tmp_path: Path, kind: str) -> None:
    stage = self_forcing if kind == "self_forcing" else extend
    more = {"horizon": 3} if kind == "self_forcing" else {"horizon": 3, "longest_lead": 4, "overlap": 1}
    cls = self_forcing.SelfForcingStageConfig if kind == "self_forcing" else extend.ExtendStageConfig

    def config(run: Path, num_steps: int) -> Any:
        values = {"student": street / "causal", "real": street / "causal", "critic_steps": 1, **more}
        return cls(**common(street, run, num_steps), **values)  # pyright: ignore[reportArgumentType]

    stage.main(config(tmp_path / "straight", 5))
    stage.main(config(tmp_path / "stopped", 2))
    stage.main(config(tmp_path / "stopped", 5))
    straight, stopped = last_state(tmp_path / "straight"), last_state(tmp_path / "stopped")
    assert straight.keys() == stopped.keys()
    assert any(name.startswith("optimizer/critic/") for name in straight)
    for name, tensor in straight.items():
        assert torch.equal(tensor, stopped[name]), name


def test_only_the_exit_pass_of_the_student_has_a_gradient(street: Path, tmp_path: Path) -> None:
    stage = self_forcing.SelfForcingStage(forcing(street, tmp_path, anchor_weight=0.5))
    loss, figures = stage.loss(1, 0, torch.Generator().manual_seed(0))
    loss.backward()
    assert "anchor_error" in figures
    assert tiny.ungraded(stage.student) == []
    assert all(parameter.grad is None for parameter in stage.networks["critic"].parameters())
    assert all(parameter.grad is None for parameter in stage.real.parameters())


def test_a_rollout_with_a_gradient_makes_the_frames_of_one_without() -> None:
    dynamics = tiny.dynamics()
    draws = torch.Generator().manual_seed(0)
    start = torch.randn(2, 2, 4, 4, 6, generator=draws)
    controls = torch.randn(2, 6, tiny.CONTROLS.width, generator=draws)
    config = RolloutConfig(levels=(1.0, 0.5))

    def made(gradient: Any, first: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return continue_clips(
            dynamics, start, controls, config, generator, gradient=gradient, gradient_from=first
        )

    with_gradient = made("last_pass")
    # With a gradient, norms and gates are computed by their fused twins: the same up to rounding.
    torch.testing.assert_close(with_gradient.detach(), made("none"))
    assert not made("none").requires_grad
    # Nothing runs back through time: the last frame does not depend on how the one before was made.
    late = made("last_pass", 5)
    (first,) = torch.autograd.grad(with_gradient[:, 5].sum(), dynamics.head.leave.weight)
    (second,) = torch.autograd.grad(late.sum(), dynamics.head.leave.weight)
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)  # numbers up to 15, of sums in float32


def test_fresh_noise_makes_other_frames_than_the_straight_line() -> None:
    dynamics = tiny.dynamics()
    start, controls = torch.randn(1, 2, 4, 4, 6), torch.zeros(1, 4, tiny.CONTROLS.width)
    made = [
        continue_clips(
            dynamics, start, controls, RolloutConfig(renoise=kind), torch.Generator().manual_seed(0)
        )
        for kind in ("euler", "fresh")
    ]
    assert not torch.allclose(made[0], made[1])


def test_a_long_lead_is_not_part_of_the_window(street: Path, tmp_path: Path) -> None:
    config = extend.ExtendStageConfig(
        **common(street, tmp_path),
        student=street / "causal",
        real=street / "causal",
        horizon=3,
        longest_lead=20,
        overlap=2,
    )
    stage = extend.ExtendStage(config)
    latents, controls = stage.batches.draw(0, 0, 2)
    generator = torch.Generator().manual_seed(0)
    made = stage.make(0, 0, latents, controls, config.rollout, generator, learns=True)
    assert made.latents.shape[1] == made.controls.shape[1] == 2 + 3
    assert made.latents.requires_grad


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"largest_gradient": 1e-9}, r"was stopped at step 1: gradient_norm_critic .* is above 1e-09"),
        ({"motion_share": (50.0, 60.0)}, r"motion_share .* is outside 50 to 60"),
        ({"smallest_sharpness": 50.0}, r"sharpness_share .* is below 50"),
    ],
)
def test_a_run_that_goes_bad_is_stopped_and_says_why(
    street: Path, tmp_path: Path, limits: dict[str, Any], text: str
) -> None:
    acceptance = AcceptanceConfig(judge_steps=1, judge_clips=1, **limits)
    config = replace(forcing(street, tmp_path), acceptance=acceptance)
    with pytest.raises(AcceptanceError, match=text):
        self_forcing.main(config)
    assert "stopped" in RunDir(tmp_path).read_log()[-1]


@pytest.mark.parametrize("stage", ["self_forcing", "extend"])
def test_a_student_is_judged_as_it_will_play(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    played, dream = [], acceptance.dream_clips

    def watch(dynamics: FlowDynamics, clips: Any, config: RolloutConfig) -> torch.Tensor:
        made = dream(dynamics, clips, config)
        played.append((config, made, dream(dynamics, clips, RolloutConfig(levels=config.levels))))
        return made

    monkeypatch.setattr(acceptance, "dream_clips", watch)
    rollout = RolloutConfig(levels=(1.0, 0.6), renoise="fresh", window=2, sink=1, context_level=0.1)
    config = replace(
        forcing(street, tmp_path, horizon=6, rollout=rollout),
        acceptance=AcceptanceConfig(judge_steps=2, judge_clips=1, motion_share=(0.0, 1e9)),
    )
    if stage == "self_forcing":
        self_forcing.main(config)
    else:
        values = {field.name: getattr(config, field.name) for field in fields(config)}
        extend.main(extend.ExtendStageConfig(**values, longest_lead=2, overlap=1))
    assert len(played) >= 2, "before the first step, and in the run"
    assert all(used == rollout for used, _, _ in played)
    assert not torch.equal(played[0][1], played[0][2]), "the window and the sink change what is judged"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MatchingConfig(level_range=(0.5, 0.2)), "level_range .* use a rising pair in"),
        (lambda: distil_init.check_frames(4, 4), "start_frames 4 of 4 leaves nothing"),
        (lambda: tiny.dynamics().empty_cache(window=9), "window 9 is outside 1 to 4"),
        (lambda: tiny.dynamics().empty_cache(window=2, sink=2), "sink 2 leaves no room in a window of 2"),
    ],
)
def test_impossible_settings_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()


def test_levels_that_the_teacher_never_visits_are_refused(street: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"levels \[0.3\] are not among teacher_levels"):
        distil_init.DistilInitStageConfig(
            **common(street, tmp_path), teacher=street / "causal", levels=(1.0, 0.3)
        )
