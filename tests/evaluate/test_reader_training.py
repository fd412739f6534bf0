"""The stage that trains the reader, on the toy game."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.run_dir import RunDir
from paracosm.data.reader import Dataset
from paracosm.models.inverse_dynamics import FRAMES_BEFORE, WINDOW, InverseDynamics
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages.inverse_dynamics import (
    InverseDynamicsStage,
    InverseDynamicsStageConfig,
    describe_reader,
    main,
)


@pytest.fixture
def config(reference: Dataset, tmp_path: Path) -> InverseDynamicsStageConfig:
    model = replace(describe_reader(reference.info), channels=(8, 16, 16), features=32)
    loop = LoopConfig(
        num_steps=150, optim=OptimConfig(learning_rate=3e-3, warmup_steps=10), precision="fp32", num_threads=1
    )
    return InverseDynamicsStageConfig(
        data=reference.path, run=tmp_path / "run", model=model, loop=loop, batch_size=24, blur_share=0.0
    )


def test_a_reader_learns_the_toy_game(config: InverseDynamicsStageConfig, held_out: Dataset) -> None:
    model = InverseDynamics.load(main(config))
    episode = held_out.episode(0)
    reading, asked = model.read(np.asarray(episode.frames)), episode.control_vectors[FRAMES_BEFORE:-1]
    blind = np.abs(asked[:, -2]).mean()
    assert np.abs(reading.look[:, 0] - asked[:, -2]).mean() < 0.7 * blind
    log = RunDir(config.run).read_log()
    assert log[-1]["loss"] < log[0]["loss"]


def test_the_control_learnt_from_a_window_is_that_of_its_second_frame(
    config: InverseDynamicsStageConfig, reference: Dataset
) -> None:
    stage = InverseDynamicsStage(replace(config, largest_noise=0.0, largest_contrast=0.0))
    seen: list[torch.Tensor] = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(windows)
            return torch.zeros(len(windows), 2), torch.zeros(len(windows), 1)

    stage.networks["reader"] = Spy()
    _, metrics = stage.loss(7, 0, torch.Generator().manual_seed(0))
    places = stage._sampler.draw(7, 0, config.batch_size)
    episode, first = places[3]
    clip = reference.episodes[episode].frames[first : first + WINDOW]
    assert seen[0][3].numpy() == pytest.approx(np.moveaxis(clip, -1, 1) / 127.5 - 1, abs=1e-6)
    turns = np.array([reference.episodes[e].control_vectors[f + FRAMES_BEFORE, -2] / 6 for e, f in places])
    smooth = np.where(np.abs(turns) < 0.1, turns**2 / 0.2, np.abs(turns) - 0.05)
    assert float(metrics["look_loss"]) == pytest.approx(smooth.mean(), abs=1e-5)


def test_a_run_that_stops_and_goes_on_ends_with_the_same_weights(
    config: InverseDynamicsStageConfig, tmp_path: Path
) -> None:
    straight = replace(config, loop=replace(config.loop, num_steps=6), run=tmp_path / "straight")
    broken = replace(straight, run=tmp_path / "broken")
    main(straight)
    main(replace(broken, loop=replace(broken.loop, num_steps=3)))
    main(broken)
    one, two = (InverseDynamics.load(one.run / "inverse_dynamics").state_dict() for one in (straight, broken))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_recordings_of_another_size_or_without_a_key_are_refused(config: InverseDynamicsStageConfig) -> None:
    with pytest.raises(
        DataError, match="has frames of 48 x 64, the model reads 64 x 64; set the model's height and width"
    ):
        InverseDynamicsStage(replace(config, model=replace(config.model, height=64)))
    with pytest.raises(
        ConfigError, match=r"model.keys \['jump'\] are no keys of .*; it has \['up', 'down'\]"
    ):
        InverseDynamicsStage(replace(config, model=replace(config.model, keys=("up", "jump"))))
