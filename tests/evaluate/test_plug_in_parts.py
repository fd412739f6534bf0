"""Networks of the user's own stand in suites and beside files, under their own names, with the anchors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import ConfigError, DataError
from paracosm.data.reader import Dataset
from paracosm.evaluate.files_suite import FilesConfig, run_files
from paracosm.evaluate.metrics.plug_ins import parse_plug_in
from paracosm.evaluate.parts.distances import Distances
from paracosm.evaluate.parts.fidelity import Fidelity
from paracosm.evaluate.parts.memory import Memory
from paracosm.evaluate.parts.plug_ins import with_plug_ins
from paracosm.evaluate.parts.short import Short
from paracosm.evaluate.runner import describe_parts, run_parts

from .metrics.test_plug_ins import ColourMeans, Constant, MeanGap, script
from .toys import HEIGHT, WIDTH, toy_config


def test_pairs_are_measured_beside_all_anchors_under_the_name_given(
    held_out: Dataset, tmp_path: Path
) -> None:
    plug_in = parse_plug_in(script(MeanGap(), tmp_path, "lpips_toy"))
    parts = with_plug_ins([Short(num_cases=3, steps=18)], [plug_in], HEIGHT, WIDTH)
    assert [part.name for part in parts] == ["short", "plug_ins"]
    oracle = run_parts(parts, toy_config("oracle", held_out.episodes)).figures
    figure = oracle["plug_in.lpips_toy@4"]
    assert (figure.value, figure.n, figure.unit) == (0.0, 3, f"by {plug_in.version}")
    assert figure.higher_is_better is False
    assert figure.anchors["true_game"] == 0.0
    assert all((figure.anchors[name] or 0) > 0.02 for name in ("copy_last", "shuffled", "no_control"))
    assert oracle["plug_in.lpips_toy@32"].reason == "the cases are 18 steps long"


def test_clips_are_described_by_the_user_s_network_too(
    held_out: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("parts.distances", "metrics.distances"):
        monkeypatch.setattr(f"paracosm.evaluate.{module}.LEAST_CLIPS", 24)
    for module in ("parts.distances", "metrics.clip_features"):
        monkeypatch.setattr(f"paracosm.evaluate.{module}.DIRECTIONS", 12)
    plug_in = parse_plug_in(script(ColourMeans(), tmp_path, "fvd_toy"))
    parts = with_plug_ins([Distances(num_cases=24)], [plug_in], HEIGHT, WIDTH)
    found = {
        kind: run_parts(parts, toy_config(kind, held_out.episodes)).figures["plug_in.fvd_toy@16"]
        for kind in ("oracle", "noise")
    }
    assert found["oracle"].value == found["oracle"].anchors["true_game"]
    assert float(found["noise"].value or 0) > 2 * float(found["oracle"].value or 0)
    assert found["oracle"].unit == f"by {plug_in.version}"


def test_where_the_file_lies_is_no_part_of_the_setup_and_its_content_is(tmp_path: Path) -> None:
    settings = []
    for folder, module in (("a", MeanGap()), ("b", MeanGap()), ("c", ColourMeans())):
        (tmp_path / folder).mkdir()
        script(module, tmp_path / folder)
    content = (tmp_path / "a" / "own.pt").read_bytes()
    (tmp_path / "b" / "own.pt").write_bytes(content)
    for folder in "abc":
        plug_in = parse_plug_in(f"own={tmp_path / folder / 'own.pt'}")
        settings.append(describe_parts([replace(Distances(), plug_ins=(plug_in,))]))
    assert settings[0] == settings[1] != settings[2]
    assert list(settings[0]["distances"]["plug_ins"][0]) == ["name", "version"]


def test_a_suite_that_plays_nothing_for_a_plug_in_is_refused(tmp_path: Path) -> None:
    pairs = parse_plug_in(script(MeanGap(), tmp_path, "gap"))
    clips = parse_plug_in(script(ColourMeans(), tmp_path, "means"))
    with pytest.raises(
        ConfigError, match="gap compares frames of short cases, which these parts do not play"
    ):
        with_plug_ins([Memory(num_cases=1)], [pairs], HEIGHT, WIDTH)
    with pytest.raises(ConfigError, match=r"means describes clips for a distance, .*; choose the suite full"):
        with_plug_ins([Short(num_cases=1, steps=18)], [clips], HEIGHT, WIDTH)


def test_without_a_plug_in_a_suite_stays_as_it_is() -> None:
    parts = [Short(num_cases=1, steps=18), Fidelity(num_cases=1, steps=18, horizons=(1,)), Distances()]
    assert with_plug_ins(parts, [], HEIGHT, WIDTH) == parts


def write_clips(folder: Path, count: int, shift: int = 0) -> Path:
    folder.mkdir()
    for number in range(count):
        clip = np.random.default_rng(number).integers(0, 200, (17, 16, 16, 3)).astype(np.uint8)
        np.save(folder / f"clip{number}.npy", clip + np.uint8(shift))
    return folder


def test_files_are_measured_by_plug_ins_by_pair_and_by_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("files_plug_ins", "metrics.distances"):
        monkeypatch.setattr(f"paracosm.evaluate.{module}.LEAST_CLIPS", 8)
    pairs = parse_plug_in(script(MeanGap(), tmp_path, "gap"))
    clips = parse_plug_in(script(ColourMeans(), tmp_path, "means"))
    reference = write_clips(tmp_path / "true", 16)
    own = write_clips(tmp_path / "own", 8, shift=51)
    config = FilesConfig(videos=own, reference=reference, plug_ins=(pairs, clips))
    figures = run_files(config, tmp_path / "out").report.figures
    assert figures["plug_in.gap@4"].value == pytest.approx(0.4)
    assert figures["plug_in.gap@4"].n == 8
    assert (figures["plug_in.gap@4"].anchors["copy_last"] or 0) > 0.4
    assert figures["plug_in.gap@32"].reason == "no pair has 33 frames"
    distance = figures["plug_in.means@16"]
    assert distance.n == 8
    assert distance.value == pytest.approx(3 * 51**2, rel=0.1)
    floor = distance.anchors["true_game"]
    assert floor is not None
    assert floor < 50
    row = json.loads((tmp_path / "out" / "cases.jsonl").read_text().splitlines()[0])
    assert row["plug_ins"]["gap"]["clip"][0] == pytest.approx(0.4)


def test_too_few_windows_for_a_plug_in_are_undefined(tmp_path: Path) -> None:
    clips = parse_plug_in(script(ColourMeans(), tmp_path, "means"))
    folder = write_clips(tmp_path / "own", 2)
    figure = run_files(FilesConfig(videos=folder, plug_ins=(clips,))).report.figures["plug_in.means@16"]
    assert figure.status == "undefined"
    assert figure.reason == "2 and 0 windows of 16 frames; needed are 1024 each"


def test_a_wrong_network_is_refused_before_any_clip_is_measured(tmp_path: Path) -> None:
    wrong = parse_plug_in(script(Constant(), tmp_path, "wrong"))
    with pytest.raises(DataError, match=r"wrong.pt gives \(7, 4\) for 2 clips"):
        run_files(FilesConfig(videos=write_clips(tmp_path / "own", 1), plug_ins=(wrong,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
