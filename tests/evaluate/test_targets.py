from paracosm.core.figures import Figure, not_computed
from paracosm.evaluate.targets import TARGETS, Target


def test_a_target_is_met_within_its_bounds_ends_included() -> None:
    target = Target(figure="fidelity.sharpness_share@16", least=0.8, most=1.25)
    met = [target.meets({target.figure: Figure(value=value)}) for value in (0.79, 0.8, 1.0, 1.25, 1.3)]
    assert met == [False, True, True, True, False]
    assert str(target) == "fidelity.sharpness_share@16 >= 0.8 and <= 1.25"


def test_a_bound_that_is_not_enough_itself_leaves_a_blind_world_outside() -> None:
    target = Target(figure="learnt_actions.action_margin@1", above=0.0)
    met = [target.meets({target.figure: Figure(value=value)}) for value in (-1.0, 0.0, 0.1)]
    assert met == [False, False, True]
    assert str(target) == "learnt_actions.action_margin@1 > 0"


def test_a_figure_that_was_not_computed_meets_no_target() -> None:
    target = Target(figure="engine.cost_ratio@10000", most=1.2)
    assert not target.meets({})
    assert not target.meets({target.figure: not_computed("skipped", "only 120 steps were played")})


def test_every_bundled_game_has_targets() -> None:
    assert set(TARGETS) == {"game:doom", "game:coinrun", "game:minetest"}
