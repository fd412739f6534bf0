"""Chains of students walk end to end at toy size, and their players are measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.few_steps import Player, Portion, evenly, measure, parse_players, write_table
from paracosm.core.errors import ConfigError
from paracosm.core.world_spec import PlayDefaults, load_spec
from paracosm.data.reader import Dataset
from paracosm.evaluate.bench import Bench
from paracosm.evaluate.suite import SuiteConfig
from paracosm.models.dynamics_flow import FlowDynamics
from paracosm.models.inverse_dynamics import InverseDynamics
from paracosm.recipes import coinrun
from paracosm.recipes.street import Street, build
from paracosm.recipes.students import Chain, chain, run_chain
from paracosm.train.acceptance import AcceptanceConfig
from paracosm.train.stages import encode, tokenizer
from paracosm.train.stages.inverse_dynamics import describe_reader
from paracosm.zoo import bundled_worlds
from tests import tiny
from tests.train.datasets import record_counting
from tests.train.stages import dynamics_config, quick, tokenizer_config


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Street:
    """A run folder with recordings, a tokenizer, latents, a reader and a dynamics of random weights."""
    run = tmp_path_factory.mktemp("street")
    record_counting(run / "data" / "train", num_episodes=4, max_steps=40)
    record_counting(run / "data" / "held_out", num_episodes=3, max_steps=40, split="held_out", seed=1)
    made = tokenizer.main(tokenizer_config(run / "tokenizer", run / "data" / "train", num_steps=1))
    encode.main(encode.EncodeStageConfig(data=run / "data" / "train", tokenizer=made))
    info = Dataset(run / "data" / "train").info
    reader = replace(describe_reader(info), channels=(8, 8, 8), features=8)
    InverseDynamics(reader).save(run / "inverse_dynamics" / "inverse_dynamics")
    config = dynamics_config(run / "dynamics", run / "data" / "train", made, info.controls)
    network = FlowDynamics(config.model)
    tiny.perturb(network)
    network.save(config.run / "dynamics")
    described = coinrun.street(run)
    return replace(described, tokenizer=replace(described.tokenizer, run=run / "tokenizer"), dynamics=config)


def shorten(made: Chain) -> Chain:
    """One or two steps of each stage on short clips, judged by nobody."""

    def short(config: Any, **others: Any) -> Any:
        return replace(
            config,
            loop=quick(config.loop, 2),
            batch_size=1,
            acceptance=AcceptanceConfig(judge_steps=0),
            start_frames=2,
            **others,
        )

    return Chain(
        kind=made.kind,
        ahead=made.ahead and replace(made.ahead, loop=quick(made.ahead.loop, 1), batch_size=1, clip_frames=6),
        init=made.init and short(made.init, clip_frames=6),
        forcing=short(made.forcing, horizon=2, critic_steps=1),
        extend=short(made.extend, horizon=2, critic_steps=1, longest_lead=2, overlap=1),
    )


@pytest.mark.parametrize("kind", ["causal", "published", "direct"])
def test_every_chain_walks_and_leave_a_causal_student(street: Street, tmp_path: Path, kind: Any) -> None:
    made = chain(street.dynamics, street.dynamics.run / "dynamics", tmp_path, kind=kind)
    folder = run_chain(shorten(made), last="extend")
    assert folder == tmp_path / "extend" / "dynamics"
    assert FlowDynamics.load(folder).config.mask == "causal"


def test_the_chain_of_a_bundled_world_begins_with_its_dynamics(tmp_path: Path) -> None:
    base = coinrun.street(tmp_path).dynamics
    made = chain(base, tmp_path / "dynamics", tmp_path / "students", levels=(1.0,))
    assert made.init is not None
    assert made.init.teacher == made.forcing.real == tmp_path / "dynamics"
    assert made.forcing.student == made.init.run / "dynamics"
    assert made.extend.student == made.forcing.run / "dynamics"
    assert made.forcing.rollout.levels == (1.0,)
    assert made.ahead is None


def test_a_direct_chain_forces_the_dynamics_itself_and_has_no_regression(tmp_path: Path) -> None:
    made = chain(
        coinrun.street(tmp_path).dynamics, tmp_path / "dynamics", tmp_path / "students", kind="direct"
    )
    assert made.forcing.student == made.forcing.real == tmp_path / "dynamics"
    assert [name for name, _, _ in made.stages()] == ["forcing", "extend"]
    with pytest.raises(ConfigError, match='a direct chain has no stage "init"; choose from forcing, extend'):
        run_chain(made, last="init")
    assert made.with_loop(num_steps=7).forcing.loop.num_steps == 7


def test_a_student_of_two_passes_can_begin_one_of_a_single_pass(tmp_path: Path) -> None:
    base, two = coinrun.street(tmp_path).dynamics, tmp_path / "two" / "dynamics"
    made = chain(base, tmp_path / "dynamics", tmp_path, kind="direct", levels=(1.0,), student=two)
    assert (made.forcing.student, made.forcing.real) == (two, tmp_path / "dynamics")
    with pytest.raises(ConfigError, match="a causal chain makes its own student by regression; leave"):
        chain(base, tmp_path / "dynamics", tmp_path, kind="causal", student=two)


def test_players_are_measured_once_and_laid_out_beside_their_difference(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(street, tmp_path / "world")
    base = SuiteConfig(
        world="",
        data=street.run / "data" / "held_out",
        reference=street.run / "data" / "train",
        reader=street.run / "inverse_dynamics" / "inverse_dynamics",
        size="quick",
        workers=1,
    )
    players = [
        Player(name=f"tiny x {count}", world=world, play=PlayDefaults(levels=evenly(count)))
        for count in (2, 1)
    ]
    portions = [Portion(name="look", suite="first", parts=frozenset({"fidelity"}), limit=2)]
    rows = measure(players, portions, tmp_path / "out", base=base, against="tiny x 1")
    assert list(rows) == ["tiny x 2", "tiny x 1"]
    assert rows["tiny x 2"]["fidelity.psnr_db@4"].n == 2
    assert "difference.fidelity.psnr_db@4" in rows["tiny x 2"]
    assert "difference.fidelity.psnr_db@4" not in rows["tiny x 1"]
    write_table(rows, tmp_path / "table.json", "the command")
    table = (tmp_path / "table.md").read_text().splitlines()
    assert table[3].startswith("| | gain @4 | gain @16 | sharpness @16 |")
    assert table[5].startswith("| tiny x 2 |")
    monkeypatch.setattr(Bench, "play", None)
    assert measure(players, portions, tmp_path / "out", base=base, against="tiny x 1") == rows


def test_a_player_is_named_with_its_world_and_passes() -> None:
    folder = tiny.shared_tiny_world()
    two, one = parse_players(f"mine={folder}@2,1")
    assert (two.name, two.world, two.play.levels) == ("mine x 2", folder, (1.0, 0.5))
    assert (one.name, one.play.levels) == ("mine x 1", (1.0,))
    four = parse_players("student=coinrun@4")[0]
    assert four.world == bundled_worlds()["coinrun"]
    assert four.play.window == load_spec(four.world).play.window
    with pytest.raises(ValueError, match="doom is no player; write NAME=WORLD@PASSES"):
        parse_players("doom")


@pytest.mark.parametrize("given", [{"against": "mine x 8"}, {"kernel": ["mine x 1", "mine x 8"]}])
def test_a_row_that_is_not_there_is_refused_before_anything_is_measured(given: dict, tmp_path: Path) -> None:
    players = parse_players(f"mine={tiny.shared_tiny_world()}@2,1")
    with pytest.raises(ValueError, match="mine x 8 is no player; the players are mine x 2, mine x 1"):
        measure(players, [], tmp_path, **given)
    assert not any(tmp_path.iterdir())
