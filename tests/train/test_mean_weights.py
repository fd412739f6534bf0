"""Weights between two models of one training."""

from dataclasses import replace

import pytest
import torch

from benchmarks.mean_weights import mean
from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamics
from tests.train.test_resampling import SIZES


def test_the_mean_lies_between_and_ends_at_either() -> None:
    first, second = FlowDynamics(SIZES), FlowDynamics(SIZES)
    weights = [dict(mean(first, second, share).state_dict()) for share in (0.0, 0.25, 1.0)]
    for name, value in first.state_dict().items():
        other = second.state_dict()[name]
        assert torch.equal(weights[0][name], value)
        assert torch.equal(weights[2][name], other)
        assert torch.allclose(weights[1][name], value + 0.25 * (other - value), atol=1e-6)
    with pytest.raises(ConfigError, match="have no mean"):
        mean(first, FlowDynamics(replace(SIZES, depth=2)), 0.5)
