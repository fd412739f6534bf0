"""The past as play will see it: whose frames it holds, and that a stage learns from it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamics, FlowDynamicsConfig
from paracosm.train.resampling import resample
from paracosm.train.stages import encode, teacher, tokenizer

from .datasets import record_counting
from .stages import dynamics_config, tokenizer_config

SIZES = FlowDynamicsConfig(
    latent_channels=1,
    latent_height=2,
    latent_width=2,
    patch=1,
    width=16,
    depth=1,
    heads=1,
    hidden=16,
    window=4,
    attention="joint",
    control_width=3,
    look_limit=(1.0, 1.0),
)
FRAMES = 5


class OneMore(FlowDynamics):
    """Answers the frame before and one; writes down the noise levels it was asked at."""

    def __init__(self) -> None:
        super().__init__(SIZES)
        self.levels: list[Tensor] = []

    def forward(
        self,
        noisy: Tensor,
        levels: Tensor,
        controls: Tensor,
        known: Tensor,
        past: tuple[Tensor, Tensor] | None = None,
        past_known: Tensor | None = None,
    ) -> Tensor:
        assert past is not None
        self.levels.append(levels)
        return torch.cat([torch.full_like(noisy[:, :1], torch.nan), past[0][:, :-1] + 1], 1)


def made(rounds: int) -> tuple[Tensor, Sequence[Tensor]]:
    dynamics = OneMore()
    clean = 10.0 * torch.arange(FRAMES).reshape(1, FRAMES, 1, 1, 1).expand(2, FRAMES, 1, 2, 2)
    generator = torch.Generator().manual_seed(0)
    controls = torch.zeros(2, FRAMES, 3)
    found = resample(dynamics, clean, controls, generator, rounds=rounds, mean=0.5, deviation=1.2)
    assert torch.equal(found, found[:, :, :1, :1, :1].expand_as(found))
    return found[0, :, 0, 0, 0], dynamics.levels


def test_each_round_goes_on_from_the_past_that_the_one_before_made() -> None:
    assert made(1)[0].tolist() == [0, 1, 11, 21, 31]
    assert made(2)[0].tolist() == [0, 1, 2, 12, 22]
    assert made(3)[0].tolist() == [0, 1, 2, 3, 13]


def test_clips_have_a_noise_level_each_and_all_their_frames_the_same() -> None:
    levels = torch.stack(list(made(2)[1]))
    assert torch.equal(levels, levels[:, :, :1].expand_as(levels))
    assert len(levels.unique()) == 4, "two clips in two rounds"
    assert levels.min() > 0
    assert levels.max() < 1


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> teacher.TeacherStageConfig:
    root = tmp_path_factory.mktemp("resampled")
    info = record_counting(root / "data").info
    coder = tokenizer.main(tokenizer_config(root / "tokenizer", root / "data"))
    encode.main(encode.EncodeStageConfig(data=root / "data", tokenizer=coder))
    return dynamics_config(root / "run", root / "data", coder, info.controls)


def loss_of(config: teacher.TeacherStageConfig) -> tuple[Tensor, dict[str, Tensor | None]]:
    stage = teacher.TeacherStage(config)
    dynamics = stage.networks["dynamics"]
    with torch.no_grad():
        for index, weight in enumerate(
            dynamics.parameters()
        ):  # else a zero head would answer nothing at first
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)))
    loss, _ = stage.loss(0, 0, torch.Generator().manual_seed(0))
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in dynamics.named_parameters()}


def test_a_resampled_past_changes_what_is_learnt_and_leaves_every_weight_a_gradient(
    config: teacher.TeacherStageConfig,
) -> None:
    plain, gradients = loss_of(config)
    resampled, others = loss_of(replace(config, resampled_share=0.5))
    assert not torch.equal(plain, resampled)
    assert [name for name, one in others.items() if one is None] == [
        name for name, one in gradients.items() if one is None
    ]


def test_a_resampled_past_must_be_a_stream_and_its_numbers_in_range(
    config: teacher.TeacherStageConfig,
) -> None:
    with pytest.raises(ConfigError, match='asks for past "two_streams"'):
        replace(config, resampled_share=0.5, past="independent")
    for wrong in ({"resampled_share": 1.5}, {"resampled_rounds": 0}):
        with pytest.raises(ConfigError, match="must be in 0 to 1 and resampled_rounds"):
            replace(config, **wrong)  # pyright: ignore[reportArgumentType]
