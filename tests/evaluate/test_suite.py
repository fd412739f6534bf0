import json
from dataclasses import replace
from pathlib import Path

import pytest

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.figures import Report, read_report
from paracosm.data.reader import Dataset
from paracosm.evaluate.parts.control import LateControl
from paracosm.evaluate.suite import PARTS, SuiteConfig, run_suite
from paracosm.evaluate.suites import parts_of
from paracosm.models.inverse_dynamics import InverseDynamics
from paracosm.models.tokenizer_vae import TokenizerVAE, TokenizerVAEConfig
from paracosm.train.stages.inverse_dynamics import describe_reader

from .toys import open_toy, record_toy

pytestmark = pytest.mark.timeout(900)
"""Starts five processes, each of which imports numpy: on a busy machine that alone takes minutes."""


@pytest.fixture(scope="module")
def config(held_out: Dataset, reference: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SuiteConfig:
    models = tmp_path_factory.mktemp("models")
    InverseDynamics(replace(describe_reader(held_out.info), channels=(8, 8, 8), features=8)).save(
        models / "reader"
    )
    sizes = TokenizerVAEConfig(
        height=48, width=64, stem=4, latent_channels=4, fine_channels=8, coarse_channels=8,
        encoder_blocks=(1, 1), decoder_blocks=(1, 1), time_kernel=1,
    )  # fmt: skip
    TokenizerVAE(sizes).save(models / "tokenizer")
    return SuiteConfig(
        world="model:oracle",
        data=held_out.path,
        reference=reference.path,
        unseen=record_toy(models / "unseen", range(50, 53), 60, "unseen").path,
        reader=models / "reader",
        tokenizer=models / "tokenizer",
        size="quick",
        workers=1,
        parts=frozenset(PARTS) - {"play"},
    )


@pytest.fixture(scope="module")
def measured(config: SuiteConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("out")
    return run_suite(
        config, out, opener=open_toy, command="paracosm evaluate model:oracle --suite first"
    ), out


def test_every_figure_is_there_with_a_value_or_a_reason(measured: tuple[Report, Path]) -> None:
    figures = measured[0].figures
    expected = {
        "tokenizer.psnr_db", "fidelity.psnr_db@1", "fidelity.psnr_db@4", "fidelity.psnr_db@16",
        "fidelity.gain_over_copy_db@4", "fidelity.sharpness_share@16", "control.f1.up", "control.f1.down",
        "control.keys_share_of_ceiling", "control.turn_share_of_ceiling", "control.keys_share_of_ceiling@60s",
        "control.keys_share_of_ceiling@120s", "control.opposite_share.turn", "stability.in_band_share@120s",
        "stability.in_band_share_of_ceiling@120s", "stability.frozen_share@120s",
        "stability.places_share@120s",
        "stability.encoder_views_share@120s", "engine.frames_per_second", "engine.cost_ratio@10000",
        "determinism.two_processes", "unseen.fidelity.psnr_db@4", "unseen.tokenizer.psnr_db",
    }  # fmt: skip
    assert expected <= figures.keys()
    assert all(figure.value is not None or figure.reason for figure in figures.values())
    assert figures["fidelity.psnr_db@16"].value == 60.0
    assert figures["control.opposite_share.turn"].value == 1.0


def test_the_anchors_of_fidelity_and_control_are_all_four(measured: tuple[Report, Path]) -> None:
    anchors = measured[0].figures["fidelity.psnr_db@4"].anchors
    assert list(anchors) == ["true_game", "copy_last", "shuffled", "no_control"]
    assert all(value is not None for value in anchors.values())


def test_results_and_page_lie_side_by_side_and_need_no_network(measured: tuple[Report, Path]) -> None:
    report, out = measured
    assert read_report(out / "results.json") == report
    assert json.loads((out / "results.json").read_text())["seeds"] == [0, 1, 2]
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 8
    assert "http" not in page.replace("http-equiv", "")
    assert "fidelity.psnr_db@16" in page


def test_parts_left_out_are_not_in_the_report(config: SuiteConfig) -> None:
    only = replace(config, parts=frozenset({"tokenizer"}), tokenizer=None, unseen=None)
    figures = run_suite(only, opener=open_toy).figures
    assert list(figures) == ["tokenizer.psnr_db"]
    assert figures["tokenizer.psnr_db"].reason == "no tokenizer was given; name its model folder"


def test_a_missing_true_game_fails_the_opposites_with_the_reason_and_nothing_else(
    config: SuiteConfig,
) -> None:
    only = replace(config, parts=frozenset({"opposites"}), unseen=None)
    figure = run_suite(only, opener=refuse_game).figures["control.opposite_share.turn"]
    assert figure.status == "failed"
    assert figure.reason == "vizdoom is not installed; run: pip install paracosm[games]"


def refuse_game(name: str, config: object = None):
    from paracosm.core.errors import MissingPackageError

    if name.startswith("game:"):
        raise MissingPackageError("vizdoom is not installed; run: pip install paracosm[games]")
    return open_toy(name)


def test_training_episodes_are_refused_as_held_out(config: SuiteConfig) -> None:
    with pytest.raises(
        DataError, match=r"holds 10 training episodes, such as episode-000030; measure on recordings made"
    ):
        run_suite(replace(config, data=config.reference), opener=open_toy)


def test_a_world_of_another_size_is_refused(config: SuiteConfig) -> None:
    from paracosm.worlds import open_world

    with pytest.raises(
        DataError, match="has frames of 48 x 64, game:counting shows 32 x 64; give recordings of the game"
    ):
        run_suite(replace(config, world="game:counting"), opener=open_world)


def test_unknown_parts_and_no_workers_are_refused(config: SuiteConfig) -> None:
    with pytest.raises(
        ConfigError, match=r"parts \['memory'\] are unknown; choose from tokenizer, short, fidelity"
    ):
        replace(config, parts=frozenset({"memory"}))
    with pytest.raises(ConfigError, match="workers 0 and seed 0 must be at least 1 and 0"):
        replace(config, workers=0)


def test_a_difference_is_paired_and_a_worse_world_falls_behind(config: SuiteConfig, tmp_path: Path) -> None:
    few = replace(config, parts=frozenset({"fidelity"}), unseen=None, limit=3)
    run_suite(replace(few, world="model:frozen"), tmp_path / "frozen", opener=open_toy)
    own = replace(few, against=str(tmp_path / "frozen"))
    figure = run_suite(own, opener=open_toy).figures["difference.fidelity.psnr_db@16"]
    assert (figure.status, figure.n) == ("ok", 3)
    assert figure.ci95 is not None
    assert figure.ci95[0] > 20
    beside = run_suite(replace(own, against="model:frozen"), tmp_path / "own", opener=open_toy)
    assert beside.figures["difference.fidelity.psnr_db@16"] == figure
    assert "This world minus model:frozen" in (tmp_path / "own" / "report.html").read_text()


def test_results_on_other_cases_are_not_compared(config: SuiteConfig, tmp_path: Path) -> None:
    few = replace(config, parts=frozenset({"fidelity"}), unseen=None, limit=1)
    run_suite(few, tmp_path / "first", opener=open_toy)
    with pytest.raises(DataError, match=r"cases.seed is 4 here and 0 in .*, so the two cannot be compared"):
        run_suite(replace(few, seed=4, against=str(tmp_path / "first")), opener=open_toy)


def test_control_is_read_at_the_end_of_the_long_runs_of_each_suite() -> None:
    moments = {
        suite: part.moments
        for suite in ("core", "full")
        for part in parts_of(suite, "full")
        if isinstance(part, LateControl)
    }
    assert moments == {"core": (60, 120), "full": (60, 120, 300)}
