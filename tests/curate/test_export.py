"""Chosen clips become datasets that other commands and other packages open."""

import importlib.machinery
import importlib.util
import io
import json
import sys
import tarfile
import types
from pathlib import Path

import av
import numpy as np
import pytest

from paracosm.collect.foreign_logs.bring_in import LogImportConfig, import_logs
from paracosm.core.controls import Control, ControlSpace
from paracosm.core.episode import Recipe
from paracosm.core.errors import ConfigError, DataError
from paracosm.core.world import Frame, WorldInfo
from paracosm.curate.alignment import AlignmentConfig, best_lag
from paracosm.curate.caption_truth import TruthCaptionConfig, caption_from_truth
from paracosm.curate.captions import append_line
from paracosm.curate.clock import EpisodeClock, report_alignment
from paracosm.curate.export import ExportConfig, export_selection, fit, name_of_clip
from paracosm.curate.pipeline import run
from paracosm.curate.report import ReportConfig, write_report
from paracosm.curate.scores import read_scores
from paracosm.curate.select import SelectConfig, read_selection, select
from paracosm.curate.stages import CurateConfig
from paracosm.data.reader import Dataset
from paracosm.data.writer import EpisodeWriter, prepare_dataset
from tests.curate.conftest import CUTS
from tests.curate.made import pan

INFO = WorldInfo(
    name="game:plain", fps=10, height=72, width=128, engine="made",
    controls=ControlSpace(keys=("forward", "left", "right", "use"), look_limit=(20, 20)),
)  # fmt: skip


def record(folder: Path, lag: int = 0) -> None:
    """Record two episodes in which the picture turns with the control, ``lag`` frames late."""
    prepare_dataset(folder, INFO)
    for number in range(2):
        turns = [6 if (step // 5) % 2 else -6 for step in range(39)]
        big = pan(number + 1, 1, height=72, width=900)[0]
        place, frames = 380, []
        for step in range(40):
            frames.append(big[:, place : place + 128])
            place += turns[step - lag] if 0 <= step - lag < 39 else 0
        with EpisodeWriter(folder, f"episode-{number}", INFO, Recipe(world=INFO.name)) as writer:
            for step, image in enumerate(frames):
                truth = {"pose": {"yaw": float(step)}, "events": ("door",) if step == 20 and number else ()}
                frame = Frame(image=image, index=step, truth=truth | {"room": step // 20})
                if step == 0:
                    writer.begin(frame)
                else:
                    writer.step(Control({"forward"}, (float(turns[step - 1]), 0.0)), frame)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> CurateConfig:
    base = tmp_path_factory.mktemp("recorded")
    record(base / "play")
    config = CurateConfig(folder=base / "play", out=base / "out", workers=1, cuts=CUTS)
    run(config)
    return config


def test_a_recording_is_scored_with_its_controls_and_truth(recorded):
    first, second = read_scores(recorded.out).clips.to_pylist()
    assert first["game"] == "game:plain"
    assert first["stratum"] == "forward"
    assert (first["turning"], first["idle"], first["events"]) == (1.0, 0.0, "")
    assert (first["reversible"], second["reversible"]) == (True, False)
    assert second["events"] == "door 1"


def test_pictures_and_controls_on_one_clock_have_no_lag(recorded):
    row = read_scores(recorded.out).clips.to_pylist()[0]
    assert (row["align_lag"], row["align"] > 0.9) == (0, True)


@pytest.mark.parametrize("lag", [-3, 0, 2])
def test_a_lag_is_found(lag):
    turns = np.random.Generator(np.random.Philox(1)).normal(size=200)
    motion = np.roll(turns, lag) * 0.01
    assert best_lag(turns, motion, AlignmentConfig())["align_lag"] == lag


def test_too_few_turns_tell_nothing():
    assert best_lag(np.zeros(100), np.ones(100), AlignmentConfig()) == {"align_turns": 0}


def test_chosen_clips_of_a_recording_keep_controls_truth_and_captions(recorded, tmp_path):
    caption_from_truth(read_scores(recorded.out), TruthCaptionConfig())
    select(SelectConfig(out=recorded.out, name="all"))
    config = ExportConfig(
        out=recorded.out, selection="all", to=tmp_path / "set", height=72, width=128, fps=10
    )
    export_selection(config)
    export_selection(config)
    dataset, original = Dataset(tmp_path / "set"), Dataset(recorded.folder)
    assert len(dataset) == 2
    for made, first in zip(dataset.episodes, original.episodes, strict=True):
        assert np.array_equal(made.frames, first.frames)
        assert np.array_equal(made.control_vectors, first.control_vectors)
        assert made.truth("pose_yaw").tolist() == first.truth("pose_yaw").tolist()
        assert made.truth("truth_room").tolist() == first.truth("truth_room").tolist()
        made.verify()
    labels = dataset.read_labels("captions", 1, dataset.episodes[1].name)
    assert "move forward" in labels["action"][0].as_py()
    assert labels["transition"][0].as_py() == "let door happen"
    assert dataset.episodes[0].stored_recipe["config"]["licence"] == "not told"


def test_chosen_clips_of_videos_are_cut_out_at_the_asked_rate(curated, tmp_path):
    select(SelectConfig(out=curated, where="motion > 0.1"))
    export_selection(ExportConfig(out=curated, to=tmp_path / "set", height=36, width=36, fps=5))
    dataset = Dataset(tmp_path / "set")
    assert (len(dataset), dataset.info.fps, dataset.episodes[0].num_frames) == (2, 5, 20)
    assert dataset.episodes[0].truth("truth_source_frame").tolist() == list(range(0, 40, 2))
    assert not dataset.episodes[0].has_controls


def test_a_recording_keeps_the_weight_that_a_selection_gave_each_clip(curated, tmp_path):
    select(SelectConfig(out=curated, name="even", duplicates="keep", balance=1.0))
    _, table = read_selection(curated, "even")
    wanted = {name_of_clip(row["clip"]): row["weight"] for row in table.to_pylist()}
    assert len(set(wanted.values())) > 1
    export_selection(
        ExportConfig(out=curated, selection="even", to=tmp_path / "set", height=8, width=8, fps=5)
    )
    assert {episode.name: episode.weight for episode in Dataset(tmp_path / "set").episodes} == wanted


def test_shards_hold_video_controls_and_facts(recorded, tmp_path):
    select(SelectConfig(out=recorded.out, name="all"))
    config = ExportConfig(
        out=recorded.out, selection="all", to=tmp_path / "w", height=36, width=64, fps=10,
        format="webdataset", shard_clips=1,
    )  # fmt: skip
    assert "2 clips in 2 shards" in export_selection(config)
    with tarfile.open(tmp_path / "w" / "clips-000000.tar") as tar:
        parts = {name.partition(".")[2]: tar.extractfile(name) for name in tar.getnames()}
        blobs = {name: part.read() for name, part in parts.items() if part is not None}
    assert set(blobs) == {"mp4", "controls.npy", "json"}
    assert np.load(io.BytesIO(blobs["controls.npy"])).shape == (39, 6)
    facts = json.loads(blobs["json"])
    assert facts["keys"] == ["forward", "left", "right", "use"]
    assert facts["scores"]["clip"] == "episode-0#0-40"
    with av.open(io.BytesIO(blobs["mp4"])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40


def test_the_webdataset_package_opens_the_shards(recorded, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    select(SelectConfig(out=recorded.out, name="all"))
    config = ExportConfig(
        out=recorded.out, selection="all", to=tmp_path, height=36, width=64, fps=10, format="webdataset"
    )
    export_selection(config)
    samples = list(webdataset.WebDataset(str(tmp_path / "clips-000000.tar"), shardshuffle=False).decode())
    assert len(samples) == 2
    assert samples[0]["controls.npy"].shape == (39, 6)


def shards_of(curated: Path, to: Path, selection: str = "all", **changes) -> str:
    sizes = {"height": 36, "width": 64, "fps": 5, "format": "webdataset", "shard_clips": 2}
    return export_selection(ExportConfig(out=curated, selection=selection, to=to, **(sizes | changes)))


def test_every_clip_of_a_video_is_a_sample_of_its_own(curated, tmp_path):
    select(SelectConfig(out=curated, name="all", duplicates="keep"))
    shards_of(curated, tmp_path / "w", shard_clips=9)
    found: dict[str, set[str]] = {}
    with tarfile.open(tmp_path / "w" / "clips-000000.tar") as tar:
        for name in tar.getnames():
            key, _, ending = name.partition(".")
            found.setdefault(key, set()).add(ending)
    clips = read_scores(curated).clips["clip"].to_pylist()
    assert sum(clip.startswith("game/a") for clip in clips) == 2, "two clips of one file"
    assert list(found.values()) == [{"mp4", "json"}] * len(clips)
    webdataset = pytest.importorskip("webdataset")
    shard = str(tmp_path / "w" / "clips-000000.tar")
    samples = list(webdataset.WebDataset(shard, shardshuffle=False).decode())
    assert [sample["json"]["scores"]["clip"] for sample in samples] == clips
    assert all(sample["mp4"][4:8] == b"ftyp" for sample in samples)


def test_another_export_into_the_same_folder_is_refused(curated, tmp_path):
    select(SelectConfig(out=curated, name="all", duplicates="keep"))
    select(SelectConfig(out=curated, name="few", where="motion > 0.1"))
    shards_of(curated, tmp_path / "w", "few")
    assert "2 clips in 1 shards" in shards_of(curated, tmp_path / "w", "few")
    with pytest.raises(DataError) as caught:
        shards_of(curated, tmp_path / "w", height=40, fps=10)
    assert "holds another export: height was 36, now it is 40, fps was 5, now it is 10, " in str(caught.value)
    assert "selection was 2 clips, " in str(caught.value)
    assert "now it is 4 clips, " in str(caught.value)
    assert str(caught.value).endswith("choose another folder with --to, or delete this one to export anew")
    with pytest.raises(DataError, match="format was webdataset, now it is recording"):
        shards_of(curated, tmp_path / "w", "few", format="recording")
    append_line(curated, {"clip": "game/a.mp4#0-40", "made_by": "x", "fields": {"summary": "x"}})
    with pytest.raises(DataError, match=r"captions was 0 captions, .* now it is 1 captions"):
        shards_of(curated, tmp_path / "w", "few")
    (tmp_path / "w" / "export.json").unlink()
    with pytest.raises(DataError, match=r"holds clips or episodes and no export.json, .* delete this one"):
        shards_of(curated, tmp_path / "w", "few")


def test_a_recording_of_another_shift_is_refused(recorded, tmp_path):
    select(SelectConfig(out=recorded.out, name="all"))
    sizes = {"out": recorded.out, "selection": "all", "height": 36, "width": 64, "fps": 10}
    export_selection(ExportConfig(to=tmp_path, **sizes))
    with pytest.raises(DataError, match="shift_controls was 0, now it is 1"):
        export_selection(ExportConfig(to=tmp_path, shift_controls=1, **sizes))


def facts_in(shard: Path) -> dict[str, bytes | None]:
    """Names in a shard, and what they hold but for the videos: an encoder may write other bytes."""
    with tarfile.open(shard) as tar:
        parts = {name: tar.extractfile(name) for name in tar.getnames()}
        return {name: None if name.endswith("mp4") else part.read() for name, part in parts.items() if part}


def test_an_export_that_was_killed_goes_on_where_it_was(curated, tmp_path):
    select(SelectConfig(out=curated, name="all", duplicates="keep"))
    shards_of(curated, tmp_path / "w")
    first, second = sorted((tmp_path / "w").glob("*.tar"))
    whole, kept = facts_in(second), (first.stat().st_mtime_ns, first.stat().st_ino)
    second.unlink()
    assert "4 clips in 2 shards" in shards_of(curated, tmp_path / "w")
    assert facts_in(second) == whole
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == kept
    for file in (first, second):
        file.unlink()
    assert "4 clips in 2 shards" in shards_of(curated, tmp_path / "w", fps=10), "nothing was there yet"


def test_a_selection_of_nothing_and_a_picture_of_nothing_are_refused(curated, tmp_path):
    select(SelectConfig(out=curated, where="motion > 99", name="none"))
    with pytest.raises(DataError, match="selection none keeps no clip"):
        export_selection(
            ExportConfig(out=curated, selection="none", to=tmp_path / "x", height=8, width=8, fps=5)
        )
    for height, fps in ((0, 5.0), (8, float("inf")), (8, float("nan")), (8, 0.0)):
        with pytest.raises(ConfigError, match=r"makes no video; use finite numbers above 0"):
            ExportConfig(to=tmp_path, height=height, width=8, fps=fps)
    with pytest.raises(ConfigError, match="shard_clips 0 puts no clip in a shard; use 1 or more"):
        ExportConfig(to=tmp_path, height=8, width=8, fps=5, shard_clips=0)


def test_clips_have_plain_names_of_their_own():
    odd = ("a/b.mp4#0-9", "a-b.mp4#0-9", "a_b_mp4#0-9", "a-b_mp4#0-9", "../ü x.mp4#0-9", "._.", "." * 300)
    names = [name_of_clip(clip) for clip in odd]
    assert len(set(names)) == len(odd)
    assert all(name.isascii() and "/" not in name and "." not in name for name in names)
    assert len({name_of_clip(f"{'long' * 60}.mp4#{start}-9") for start in range(30_000)}) == 30_000


def test_pictures_are_cut_at_the_centre():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 20:60] = 200
    assert (fit(image, 20, 20) == 200).all()


def test_the_report_shows_everything_and_runs_nothing(recorded, tmp_path):
    select(SelectConfig(out=recorded.out, where="events == ''", name="calm"))
    page = write_report(ReportConfig(out=recorded.out, selection="calm")).read_text()
    for title in ("Yield of each condition", "Distributions", "Kept", "Dropped, with reasons", "Duplicates"):
        assert title in page
    assert "events == &#x27;&#x27;: 1 clips" in page
    assert "key forward" in page
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page


def test_names_of_files_cannot_become_markup(tmp_path):
    from paracosm.curate import report_page

    bad = '<script>alert("x")</script>'
    page = report_page.document(
        bad, [(bad, report_page.table([bad], [(bad,)]) + report_page.card(None, bad, bad))]
    )
    assert "<script" not in page


def export_lerobot(recorded, to: Path, **changes) -> Path:
    select(SelectConfig(out=recorded.out, name="all"))
    config = ExportConfig(
        out=recorded.out, selection="all", to=to, height=72, width=128, fps=10, format="lerobot", **changes
    )
    export_selection(config)
    return to


def test_a_lerobot_set_comes_back_with_every_frame_and_control(recorded, tmp_path):
    export_lerobot(recorded, tmp_path / "set", shard_clips=1)
    config = LogImportConfig(
        folder=tmp_path / "set", out=tmp_path / "back", height=72, width=128, fps=10, format="lerobot"
    )
    back, _ = import_logs(config)
    for made, first in zip(back.episodes, Dataset(recorded.folder).episodes, strict=True):
        assert np.array_equal(made.control_vectors, first.control_vectors)
        assert made.info.controls.keys == first.info.controls.keys
        assert np.abs(made.frames.astype(int) - first.frames).mean() < 10
    with pytest.raises(DataError, match="exists already; a LeRobot set is written whole"):
        export_lerobot(recorded, tmp_path / "set")


def test_the_lerobot_package_opens_the_set(recorded, tmp_path, monkeypatch):
    pytest.importorskip("lerobot", reason="lerobot pins torch below 2.11 and opencv below 4.13: not in dev")
    if importlib.util.find_spec("torchvision") is None:
        # its readers name torchvision for image transforms only; there is none for this torch
        transforms = types.ModuleType("torchvision.transforms")
        vision = types.ModuleType("torchvision")
        vision.transforms = transforms  # type: ignore[attr-defined]
        for module in (vision, transforms):
            module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
            monkeypatch.setitem(sys.modules, module.__name__, module)
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # type: ignore[import-not-found]

    folder, camera = export_lerobot(recorded, tmp_path / "set"), "observation.images.screen"
    opened = LeRobotDataset("made/set", root=folder)
    assert (opened.num_episodes, opened.num_frames, opened.fps) == (2, 80, 10)
    first = Dataset(recorded.folder).episodes
    for place, (episode, frame) in {0: (0, 0), 38: (0, 38), 40: (1, 0), 55: (1, 15)}.items():
        row = opened.hf_dataset[place]
        assert np.array_equal(row["action"].numpy(), first[episode].control_vectors[frame])
        assert opened.meta.tasks.iloc[int(row["task_index"])].name == "play game:plain"
        # its own decoder needs FFmpeg's shared libraries; where it would look is what counts here
        begin = opened.meta.episodes[episode][f"videos/{camera}/from_timestamp"]
        assert round((begin + float(row["timestamp"])) * 10, 3) == place
        assert (folder / opened.meta.get_video_file_path(episode, camera)).exists()


def test_a_recording_off_by_frames_is_exported_shifted(tmp_path):
    record(tmp_path / "late", lag=2)
    config = CurateConfig(folder=tmp_path / "late", out=tmp_path / "out", workers=1, cuts=CUTS)
    run(config)
    assert {row["align_lag"] for row in read_scores(config.out).clips.to_pylist()} == {2}
    report = report_alignment(tmp_path / "late")
    assert (report.lag, report.show().startswith("best lag 2 in 2 of 2 episodes")) == (2, True)
    select(SelectConfig(out=config.out, name="all"))
    export_selection(
        ExportConfig(
            out=config.out,
            selection="all",
            to=tmp_path / "set",
            height=72,
            width=128,
            fps=10,
            shift_controls=2,
        )
    )
    made, first = Dataset(tmp_path / "set").episodes[0], Dataset(tmp_path / "late").episodes[0]
    assert np.array_equal(made.frames, first.frames[2:])
    assert np.array_equal(made.control_vectors, first.control_vectors[:37])
    assert report_alignment(tmp_path / "set").lag == 0


@pytest.mark.parametrize("lag", [1, -2])
def test_smooth_turns_that_come_late_are_refused_too(lag):
    steps = np.arange(200)
    turns = 8 * np.sin(steps / 9) + np.round(3 * np.sin(steps / 2.3))
    clock = EpisodeClock()
    clock._motion = list(np.roll(turns, lag) * 0.01)
    plain = best_lag(turns, np.array(clock._motion), AlignmentConfig())
    assert plain["align"] - plain["align_at_0"] < 0.2
    with pytest.raises(
        DataError, match=rf"turn {abs(lag)} frame\(s\) .* --shift-controls {lag} more than now"
    ):
        clock.judge(turns, "made")
    clock._motion = list(turns * 0.01)
    assert clock.judge(turns, "made")["align_lag"] == 0
