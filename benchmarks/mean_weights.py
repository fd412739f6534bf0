"""Means the weights of two models: ``python -m benchmarks.mean_weights FIRST SECOND OUT [--share 0.5]``.

    python -m benchmarks.mean_weights runs/steady/students/forcing/dynamics \
        runs/steady/students/extend/dynamics runs/steady/students/mean

Two ends of one training lie near enough for what lies between them to play, too: here a student before long
tuning, near the true frames, and after it, for minutes in its band.

Source: means of fine-tuned weights: Wortsman et al. 2203.05482.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from paracosm.core.errors import ConfigError
from paracosm.models.dynamics_flow import FlowDynamics


def mean(first: FlowDynamics, second: FlowDynamics, share: float) -> FlowDynamics:
    """Return a dynamics whose weights are that share of the second's and the rest of the first's.

    Raises:
        ConfigError: when the models have other sizes, or the share is none.
    """
    if first.config != second.config or not 0 <= share <= 1:
        raise ConfigError(
            f"weights of {first.config} and {second.config} at a share of {share} have no mean; "
            "give models of the same sizes and a share from 0 to 1"
        )
    made, other = FlowDynamics(first.config), second.state_dict()
    made.load_state_dict(
        {name: (1 - share) * value + share * other[name] for name, value in first.state_dict().items()}
    )
    return made


def main() -> None:
    """Read, mean and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second")
    given = parser.parse_args()
    models = FlowDynamics.load(given.first), FlowDynamics.load(given.second)
    mean(*models, given.share).save(given.out)
    print(f"the mean is {given.out}")


if __name__ == "__main__":
    main()
