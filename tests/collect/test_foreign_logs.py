"""Logs of other recorders become recordings: row i is frame i, nothing is dropped in silence."""

import csv
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paracosm.collect.foreign_logs.bring_in import LogImportConfig, fit_rows, import_logs
from paracosm.core.errors import ConfigError, DataError
from paracosm.curate.clock import ClockConfig, EpisodeClock
from tests.collect.made_logs import (
    HEIGHT,
    TURNS,
    WIDTH,
    turning_pictures,
    vpt_line,
    write_gamefactory,
    write_lerobot,
    write_owl,
    write_vpt,
)

pytest.importorskip("av")
CLOCK = functools.partial(EpisodeClock, ClockConfig())


def make_config(base: Path, kind: str, **changes: Any) -> LogImportConfig:
    given = {"folder": base / "in", "out": base / "out", "height": HEIGHT, "width": WIDTH, "fps": 20.0}
    return LogImportConfig(**(given | {"format": kind} | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def shown_turns(episode) -> list[int]:
    """Read from the pictures how far each step turned, against every turn there is."""
    frames = episode.frames.astype(np.int16)
    return [
        min(
            {value // 2 for value in TURNS},
            key=lambda go: np.abs(
                frames[step + 1][:, max(0, -go) : WIDTH - max(0, go)]
                - frames[step][:, max(0, go) : WIDTH - max(0, -go)]
            ).mean(),
        )
        for step in range(episode.num_frames - 1)
    ]


def test_a_vpt_line_is_the_frame_of_its_number_and_acts_after_it(folder):
    write_vpt(folder / "in")
    dataset, (outcome,) = import_logs(make_config(folder, "vpt"), make_clock=CLOCK)
    episode = dataset.episode("cheeky-take")
    assert (outcome.rows, outcome.frames, outcome.kept) == (60, 60, 60)
    yaw = episode.control_vectors[:, -2]
    assert np.allclose(yaw, np.array(TURNS[:-1]) * 0.15, atol=1e-5)
    assert shown_turns(episode) == [value // 2 for value in TURNS[:-1]]
    assert np.allclose(episode.control_vectors[:, -1], -2 * 0.15)
    held = episode.truth("key_forward")[:-1].astype(bool)
    assert held.tolist() == [step % 2 == 0 for step in range(59)]
    assert episode.truth("key_attack")[:-1].astype(bool).nonzero()[0].tolist() == [30, 31, 32, 33, 34]
    assert episode.truth("pose_z").tolist() == list(range(60))
    assert (outcome.alignment["align_lag"], outcome.alignment["align"] > 0.9) == (0, True)
    assert dataset.info.controls.bindings["KeyW"] == "forward"
    episode.verify()


def test_the_log_is_kept_as_it_stood_and_unknown_keys_are_named(folder):
    lines = [vpt_line(step, keyboard__keys=["key.keyboard.g"] if step < 3 else []) for step in range(60)]
    lines[5] = vpt_line(5, mouse__dwheel=1.0)
    write_vpt(folder / "in", lines=lines)
    dataset, (outcome,) = import_logs(make_config(folder, "vpt"))
    assert outcome.unknown == {"key.keyboard.g": 3, "mouse.wheel": 1}
    kept = (dataset.episodes[0].path / "inputs.jsonl").read_text().splitlines()
    assert [json.loads(line)["raw"] for line in kept] == lines
    stored = json.loads((folder / "out" / "import.json").read_text())
    assert stored["logs"][0]["unknown"]["key.keyboard.g"] == 3


def test_an_open_window_turns_no_camera_and_a_stuck_button_is_told(folder):
    lines = [
        vpt_line(step, mouse__buttons=[0], mouse__newButtons=[0] if step == 0 else []) for step in range(60)
    ]
    lines[20] = vpt_line(20, mouse__buttons=[0], mouse__newButtons=[0])
    lines[9] = vpt_line(9, isGuiOpen=True, mouse__buttons=[0])
    write_vpt(folder / "in", lines=lines)
    dataset, (outcome,) = import_logs(make_config(folder, "vpt"))
    episode = dataset.episodes[0]
    assert episode.truth("key_attack")[:-1].astype(bool).nonzero()[0].min() == 20
    assert episode.control_vectors[9, -2:].tolist() == [0, 0]
    assert outcome.notes[:2] == (
        "attack was written as held in the first 20 rows and is left out there",
        "in 1 rows a window was open, where the mouse turns no camera",
    )


def test_fewer_frames_a_second_sum_the_turns_and_lose_no_tap(folder):
    write_vpt(folder / "in")
    dataset, _ = import_logs(make_config(folder, "vpt", fps=5.0))
    episode = dataset.episodes[0]
    assert episode.truth("truth_source_frame").tolist() == list(range(0, 60, 4))
    sums = np.array(TURNS[:56]).reshape(14, 4).sum(axis=1) * 0.15
    assert np.allclose(episode.control_vectors[:, -2], sums, atol=1e-5)
    assert episode.truth("key_forward")[:-1].astype(bool).all()


def test_rows_that_do_not_fit_are_refused_or_cut_with_the_reason(folder):
    write_vpt(folder / "in", lines=[vpt_line(step) for step in range(41)])
    with pytest.raises(DataError, match=r"cheeky-take has 41 rows for 60 frames, but row i must be frame i"):
        import_logs(make_config(folder, "vpt"))
    assert not (folder / "out" / "episodes" / "cheeky-take").exists()
    dataset, (outcome,) = import_logs(make_config(folder, "vpt", misfit="cut"))
    assert dataset.episodes[0].num_frames == 42
    assert "cut to the first 42 frames, since it has 41 rows for 60 frames" in outcome.notes
    assert dataset.episodes[0].stored_recipe["config"]["notes"] == list(outcome.notes)


def test_a_row_for_each_frame_and_one_less_both_fit():
    assert fit_rows("x", 60, 60, 0, "refuse") == (60, "")
    assert fit_rows("x", 59, 60, 0, "refuse") == (60, "")
    assert fit_rows("x", 62, 60, 0, "cut")[0] == 60
    assert "within the 3" in fit_rows("x", 62, 60, 3, "refuse")[1]
    with pytest.raises(DataError, match="61 rows for 60 frames"):
        fit_rows("x", 61, 60, 0, "refuse")


@pytest.mark.parametrize("lag", [1, -1])
def test_a_log_off_by_a_frame_is_refused_or_shifted_on_request(folder, lag):
    write_vpt(folder / "in", lag=lag)
    with pytest.raises(DataError, match=rf"turn 1 frame\(s\) (after|before) .* --shift-controls {lag} more"):
        import_logs(make_config(folder, "vpt"), make_clock=CLOCK)
    assert not any((folder / "out" / "episodes").glob("*"))
    dataset, (outcome,) = import_logs(make_config(folder, "vpt", shift_controls=lag), make_clock=CLOCK)
    episode = dataset.episodes[0]
    assert (outcome.alignment["align_lag"], outcome.alignment["align"] > 0.9) == (0, True)
    assert np.allclose(np.array(shown_turns(episode)), np.floor(episode.control_vectors[:, -2] / 0.3 + 1e-4))
    assert episode.truth("truth_source_frame")[0] == max(0, lag)


def test_a_log_whose_turns_have_the_other_sign_is_refused(folder):
    lines = [vpt_line(step, mouse__dx=-float(TURNS[step])) for step in range(60)]
    write_vpt(folder / "in", lines=lines)
    config = make_config(folder, "vpt")
    with pytest.raises(DataError, match=r"turn (against its controls|\d frame)"):
        import_logs(config, make_clock=CLOCK)
    note = functools.partial(EpisodeClock, ClockConfig(off="note"))
    assert len(import_logs(config, make_clock=note)[0]) == 1


def test_gamefactory_poses_tell_the_turns_and_which_entry_acts(folder):
    write_gamefactory(folder / "in")
    dataset, (outcome,) = import_logs(make_config(folder, "gamefactory", fps=16.0), make_clock=CLOCK)
    episode = dataset.episodes[0]
    assert outcome.notes[0].startswith("the action of an entry acts before its frame: its deltas agree")
    assert np.allclose(episode.control_vectors[:, -2], TURNS[:-1], atol=1e-4)
    assert np.allclose(episode.control_vectors[:, -1], -1.5)
    assert episode.truth("key_sprint")[:-1].astype(bool).nonzero()[0].tolist() == [7]
    assert episode.truth("key_forward")[:4].tolist() == [True, False, True, False]
    assert episode.truth("truth_collision").astype(bool).nonzero()[0].tolist() == [5]
    assert outcome.alignment["align_lag"] == 0
    assert episode.stored_recipe["config"]["log"]["biome"] == "plains"


def test_gamefactory_entries_that_act_after_their_frame_are_told_apart(folder):
    write_gamefactory(folder / "in", led_to=False)
    dataset, (outcome,) = import_logs(make_config(folder, "gamefactory", fps=16.0))
    assert outcome.notes[0].startswith("the action of an entry acts after its frame")
    assert dataset.episodes[0].truth("key_sprint")[:-1].astype(bool).nonzero()[0].tolist() == [7]


def test_owl_events_fall_into_the_frame_of_their_time(folder):
    write_owl(folder / "in")
    config = make_config(folder, "owl", degrees_per_pixel=0.1)
    dataset, (outcome,) = import_logs(config, make_clock=CLOCK)
    episode = dataset.episode("2026-take")
    assert np.allclose(episode.control_vectors[:, -2], np.array(TURNS[:-1]) * 0.1, atol=1e-5)
    held = {
        key: episode.truth(f"key_{key}")[:-1].astype(bool).nonzero()[0].tolist()
        for key in ("forward", "jump")
    }
    assert held == {"forward": list(range(11)), "jump": [20]}
    assert episode.truth("key_attack")[:-1].astype(bool).nonzero()[0].tolist() in ([30, 31], [30, 31, 32])
    assert outcome.unknown == {"vk.116": 3, "GAMEPAD_AXIS": 1}
    assert outcome.alignment["align_lag"] == 0
    kept = "".join((episode.path / "inputs.jsonl").read_text())
    assert "GAMEPAD_AXIS" in kept


def test_owl_logs_need_a_scale_a_start_and_their_length(folder):
    write_owl(folder / "in", until=1.5, start="HOOK_START")
    with pytest.raises(DataError, match=r"has no VIDEO_START; it has START, HOOK_START, VIDEO_END, END"):
        import_logs(make_config(folder, "owl"))
    with pytest.raises(DataError, match="30 rows for 60 frames"):
        import_logs(make_config(folder, "owl", start_event="HOOK_START"))
    with pytest.raises(DataError, match="owl tells no scale; give degrees_per_pixel"):
        import_logs(make_config(folder, "owl", start_event="HOOK_START", misfit="cut"))


def test_lerobot_episodes_are_found_by_whole_frames(folder):
    write_lerobot(folder / "in")
    dataset, outcomes = import_logs(make_config(folder, "lerobot"))
    assert [episode.num_frames for episode in dataset.episodes] == [25, 35]
    assert dataset.info.controls.keys == ("forward", "jump")
    first, second = dataset.episodes
    assert np.allclose(second.control_vectors[:, -2], np.array(TURNS[25:59]) / 2)
    assert second.truth("key_jump")[:-1].astype(bool).nonzero()[0].tolist() == [0, 5, 10, 15, 20, 25, 30]
    shown = turning_pictures(TURNS)
    for episode, start in ((first, 0), (second, 25)):
        for index, image in enumerate(episode.frames):
            assert np.abs(image.astype(int) - shown[start + index]).mean() < 6
    assert second.truth("truth_observation.state")[3].tolist() == [28.0]
    assert second.stored_recipe["config"]["log"]["tasks"] == ["walk"]
    assert outcomes[0].unknown == {}


def test_lerobot_actions_without_a_name_here_are_kept_as_truth(folder):
    write_lerobot(folder / "in", names=["shoulder", "elbow"])
    dataset, outcomes = import_logs(make_config(folder, "lerobot"))
    assert outcomes[0].unknown == {"shoulder": 25, "elbow": 25}
    assert not dataset.episodes[0].has_controls
    assert dataset.episodes[0].truth("truth_action")[1].tolist() == [1.0, 0.0]


def test_lerobot_seconds_that_drifted_are_refused(folder):
    write_lerobot(folder / "in", drift=0.02)
    with pytest.raises(
        DataError, match=r"episode 1 at frame 25.400 of file-000.mp4, which is no whole number"
    ):
        import_logs(make_config(folder, "lerobot"))


def test_a_table_of_ones_own_takes_the_place_of_the_formats(folder):
    write_vpt(folder / "in")
    (folder / "keys.json").write_text('{"key.keyboard.w": "gas"}')
    dataset, (outcome,) = import_logs(make_config(folder, "vpt", keys=folder / "keys.json"))
    assert dataset.info.controls.keys == ("gas",)
    assert outcome.unknown == {"mouse.0": 5}
    (folder / "keys.json").write_text("[]")
    with pytest.raises(ConfigError, match="is no table of keys"):
        import_logs(make_config(folder, "vpt", keys=folder / "keys.json"))


def test_turns_beyond_the_limit_are_refused(folder):
    write_vpt(folder / "in")
    with pytest.raises(DataError, match=r"turns 1.1 degrees at row 0, look_limit is 1"):
        import_logs(make_config(folder, "vpt", look_limit=1.0))


@pytest.mark.parametrize("kind", ["vpt", "gamefactory", "owl", "lerobot"])
def test_a_folder_without_logs_is_refused(folder, kind):
    with pytest.raises(DataError, match=r"holds no|is no LeRobot v3 dataset"):
        import_logs(make_config(folder, kind))
    with pytest.raises(DataError, match="is no folder"):
        import_logs(make_config(folder, kind, folder=folder / "nowhere"))


def test_broken_logs_are_refused_by_name(folder):
    write_vpt(folder / "in")
    file = folder / "in" / "cheeky-take.jsonl"
    whole = file.read_text()
    file.write_text(whole[:-20])
    with pytest.raises(DataError, match="line 60 is not JSON"):
        import_logs(make_config(folder, "vpt"))
    file.write_text('{"keyboard": {}}\n')
    with pytest.raises(DataError, match='line 1 has no "mouse" and "keyboard"'):
        import_logs(make_config(folder, "vpt"))
    (folder / "in" / "lonely.jsonl").write_text(whole)
    with pytest.raises(DataError, match="has no video beside it"):
        import_logs(make_config(folder, "vpt"))
    with pytest.raises(ConfigError, match="look_limit 0 above 0"):
        make_config(folder, "vpt", look_limit=0.0)


def test_import_goes_on_where_it_stopped(folder):
    write_vpt(folder / "in")
    import_logs(make_config(folder, "vpt"))
    write_vpt(folder / "in", name="b")
    dataset, outcomes = import_logs(make_config(folder, "vpt"))
    assert (len(dataset), [outcome.name for outcome in outcomes]) == (2, ["b"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mouse__dx": None}, "mouse.dx is null, a number below 1e+15 is due"),
        ({"mouse__dx": "a"}, "mouse.dx is 'a', a number below"),
        ({"mouse__dy": float("nan")}, "mouse.dy is nan, a number below"),
        ({"xpos": None}, "xpos is null, a number below"),
        ({"tick": 1e30}, "tick is 1e+30, a number below"),
        ({"tick": 10**30}, "tick is 1000000000000000000000000000000, a number below"),
        ({"keyboard__keys": None}, "keyboard.keys is null, a list is due"),
        ({"keyboard__keys": [["a"]]}, "keyboard.keys holds a list of 1, entries must be str"),
        ({"mouse__buttons": None}, "mouse.buttons is null, a list is due"),
        ({"mouse__newButtons": 5}, "mouse.newButtons is 5, a list is due"),
    ],
)
def test_odd_data_of_a_vpt_log_are_named_with_file_and_line(folder, changes, said):
    write_vpt(folder / "in", lines=[vpt_line(step, **(changes if step == 7 else {})) for step in range(60)])
    with pytest.raises(DataError) as caught:
        import_logs(make_config(folder, "vpt"))
    assert f"cheeky-take.jsonl line 8 {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["2", "MOUSE_MOVE", "[]"], "MOUSE_MOVE tells a list of 0, two arguments are due"),
        (["2", "MOUSE_MOVE", "{}"], "MOUSE_MOVE tells an object of 0, two arguments are due"),
        (["2", "MOUSE_MOVE", "[null, 1]"], "MOUSE_MOVE argument 0 is null, a number"),
        (["2", "KEYBOARD", "5"], "KEYBOARD tells 5, two arguments are due"),
        (["2", "KEYBOARD", "[87, null]"], "KEYBOARD argument 1 is null, a number"),
        (["2", "START", '{"inputs": 7}'], "START inputs is 7, an object is due"),
        (["2", "START", '{"inputs": {"mouse": null}}'], "START inputs.mouse is null, a list is due"),
        (["inf", "VIDEO_END", "[]"], "time is inf, a number below"),
        (["nan", "FOCUS", "[]"], "time is nan, a number below"),
        (["2", "FOCUS", "[" * 100_000], "is no event (its brackets are nested too deeply)"),
        (["2", "FOCUS", '"' + "x" * 140_000 + '"'], "cannot be read (field larger than field limit"),
    ],
)
def test_odd_events_of_an_owl_log_are_named_with_file_and_line(folder, row, said):
    write_owl(folder / "in")
    file = folder / "in" / "2026-take" / "inputs.csv"
    with file.open("a", newline="") as lines:
        csv.writer(lines).writerow(row)
    line = len(file.read_text().splitlines())
    with pytest.raises(DataError) as caught:
        import_logs(make_config(folder, "owl", degrees_per_pixel=0.1))
    assert f"{file} {'' if 'field limit' in said else f'line {line} '}{said}" in str(caught.value)


def test_an_owl_log_that_ends_long_after_its_video_is_refused_at_once_or_cut(folder):
    write_owl(folder / "in", until=1e6)
    with pytest.raises(DataError, match="2026-take has 20000000 rows for 60 frames"):
        import_logs(make_config(folder, "owl", degrees_per_pixel=0.1))
    config = make_config(folder, "owl", degrees_per_pixel=0.1, misfit="cut")
    dataset, (outcome,) = import_logs(config)
    assert (outcome.rows, outcome.kept) == (20_000_000, 60)
    kept = (dataset.episodes[0].path / "inputs.jsonl").read_text()
    assert "VIDEO_END" in kept, "what came after the video stays in the raw log"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"yaw": None}, "yaw is null, a number"),
        ({"pos": ["a", 1, 2]}, "pos[0] is 'a', a number"),
        ({"yaw_delta": "x"}, "yaw_delta is 'x', a number"),
        ({"height": 10**30}, "height is 1000000000000000000000000000000, a number"),
        (7, "lacks one of ws, ad, scs"),
    ],
)
def test_odd_entries_of_a_gamefactory_log_are_named(folder, entry, said):
    write_gamefactory(folder / "in")
    file = folder / "in" / "metadata" / "seed_1_part_1.json"
    value = json.loads(file.read_text())
    value["actions"]["5"] = value["actions"]["5"] | entry if isinstance(entry, dict) else entry
    file.write_text(json.dumps(value))
    with pytest.raises(DataError) as caught:
        import_logs(make_config(folder, "gamefactory", fps=16.0))
    assert f"{file} entry 5 {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": None}, "features is null, an object is due"),
        ({"data_path": None}, "data_path is null, which is no path of {chunk_index}, {file_index}"),
        ({"data_path": "data/{nope}.parquet"}, "data_path is 'data/{nope}.parquet', which is no path"),
        ({"video_path": "{"}, "video_path is '{', which is no path"),
        ({"fps": "x"}, "fps is 'x', a number"),
        ({"fps": 0}, "fps is 0, a number above 0 is due"),
        ({"features": {"action": {"shape": [1]}}}, 'feature "action" tells no dtype'),
        ({"features": {"action": {"dtype": "float32"}}}, "feature action shape is null, a list is due"),
        ({"features": {"action": {"dtype": "x", "shape": [1], "names": [7]}}}, "names holds 7, entries"),
    ],
)
def test_a_lerobot_set_that_does_not_describe_itself_is_refused(folder, changes, said):
    write_lerobot(folder / "in")
    file = folder / "in" / "meta" / "info.json"
    value = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: part for name, part in value.items() if part is not None}))
    with pytest.raises(DataError) as caught:
        import_logs(make_config(folder, "lerobot"))
    assert f"{file} {said}" in str(caught.value) or f"{file} feature action {said}" in str(caught.value)


def test_lerobot_tables_that_lack_a_column_or_a_number_are_named(folder):
    write_lerobot(folder / "in")
    file = folder / "in" / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(file)
    holed = [[None, *row[1:]] if step == 30 else row for step, row in enumerate(table["action"].to_pylist())]
    pq.write_table(table.set_column(0, "action", pa.array(holed)), file)
    with pytest.raises(DataError, match=r"file-000.parquet episode 1 row 5 key.forward is null, a number"):
        import_logs(make_config(folder, "lerobot"))
    episodes = folder / "in" / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    pq.write_table(pq.read_table(episodes).drop_columns(["length"]), episodes)
    with pytest.raises(DataError, match=r"meta/episodes episode 0 length is null, a number"):
        import_logs(make_config(folder, "lerobot"))
