import pytest

from paracosm.data.reader import Dataset
from paracosm.evaluate.cases import choose_cases
from paracosm.evaluate.determinism import Trace, determinism_figures, measure_determinism, trace_world
from paracosm.evaluate.rollouts import Subject

from .toys import open_toy

SAME = Trace(lead="a", straight="b", restored="b", branch="c", returned="b")


def test_figures_are_shares_of_rollouts_that_agree() -> None:
    other = Trace(lead="a", straight="b", restored="x", branch="c", returned="b")
    figures = determinism_figures([SAME, other], [SAME, SAME])
    assert {name: figure.value for name, figure in figures.items()} == {
        "determinism.two_processes": 0.5,
        "determinism.restore": 0.5,
        "determinism.branch": 1.0,
    }


@pytest.mark.parametrize(("kind", "restore"), [("oracle", 1.0), ("leaky", 0.0)])
def test_a_restored_state_that_differs_is_caught(held_out: Dataset, kind: str, restore: float) -> None:
    rollouts = [case.rollout for case in choose_cases(held_out.episodes, 2, 32, seed=0)]
    traces = trace_world(Subject(name=f"model:{kind}", opener=open_toy), rollouts)
    assert determinism_figures(traces, traces)["determinism.restore"].value == restore


def test_the_branch_is_another_world_line(held_out: Dataset) -> None:
    rollouts = [case.rollout for case in choose_cases(held_out.episodes, 1, 32, seed=0)]
    trace = trace_world(Subject(name="model:oracle", opener=open_toy), rollouts)[0]
    assert trace.branch != trace.straight == trace.returned


def test_two_processes_agree(held_out: Dataset) -> None:
    rollouts = [case.rollout for case in choose_cases(held_out.episodes, 1, 32, seed=0)]
    figures = measure_determinism(Subject(name="game:toy", opener=open_toy), rollouts)
    assert {figure.value for figure in figures.values()} == {1.0}
