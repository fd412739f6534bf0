from paracosm.core.errors import MissingPackageError
from paracosm.evaluate.latency import measure_play
from paracosm.evaluate.rollouts import Subject


def refuse(name: str, config: object = None):
    raise MissingPackageError("vizdoom is not installed; run: pip install paracosm[games]")


def test_a_world_that_cannot_be_played_fails_with_the_reason() -> None:
    figures = measure_play(Subject(name="game:doom", opener=refuse), 2.0)
    figure = figures["play.frames_per_second"]
    assert (figure.status, figure.reason) == (
        "failed",
        "vizdoom is not installed; run: pip install paracosm[games]",
    )
