"""Clips of any project are measured by their files; what is missing or broken is told, never skipped."""

import json
from pathlib import Path

import numpy as np
import pytest

from paracosm.core.errors import DataError
from paracosm.core.figures import read_report
from paracosm.core.rng import stream
from paracosm.data.video import VideoWriter
from paracosm.evaluate.clips_of_files import find_clips, is_lossy, pair_clips, read_clip
from paracosm.evaluate.files_suite import NEEDS_WORLD, FilesConfig, Windows, measure_distances, run_files
from paracosm.evaluate.quality import PSNR_CAP_DB


def clip_of(seed: int, frames: int = 20) -> np.ndarray:
    coarse = stream(seed, "clip").integers(0, 256, (12, 30, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    return np.stack([coarse[:, 2 * i : 2 * i + 64] for i in range(frames)])


def write(folder: Path, name: str, clip: np.ndarray, codec: str = "ffv1") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / (name + (".mkv" if codec == "ffv1" else ".mp4"))
    writer = VideoWriter(file, 10.0, clip.shape[1], clip.shape[2], codec)
    for image in clip:
        writer.add(image)
    writer.close()
    return file


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    for seed in range(3):
        write(tmp_path / "true", f"clip{seed}", clip_of(seed))
    return tmp_path / "true"


def figures_of(videos: Path, reference: Path | None, out: Path | None = None):
    outcome = run_files(FilesConfig(videos=videos, reference=reference), out)
    return outcome, outcome.report.figures


def test_true_clips_reach_the_ceiling_and_only_lossless_reading_lets_them(reference: Path) -> None:
    outcome, figures = figures_of(reference, reference)
    for horizon in (1, 4, 8, 16):
        assert figures[f"fidelity.psnr_db@{horizon}"].value == PSNR_CAP_DB
        assert figures[f"fidelity.ssim@{horizon}"].value == pytest.approx(1.0)
        assert figures[f"fidelity.psnr_db@{horizon}"].anchors["copy_last"] < 30
    assert figures["fidelity.psnr_db@32"].status == "undefined"
    assert "33 frames" in figures["fidelity.psnr_db@32"].reason
    assert outcome.coverage == 1.0
    assert figures["temporal.motion"].value == figures["temporal.motion"].anchors["true_game"]


def test_a_frozen_clip_is_at_the_copy_anchor_and_is_called_still(reference: Path, tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / "frozen", f"clip{seed}", np.repeat(clip_of(seed)[:1], 20, axis=0))
    _, figures = figures_of(tmp_path / "frozen", reference)
    name = "fidelity.psnr_db@8"
    assert figures[name].value == pytest.approx(figures[name].anchors["copy_last"])
    assert figures["temporal.still_share"].value == 1.0
    assert figures["temporal.still_share"].anchors["true_game"] == 0.0


def test_a_clip_that_drifts_to_grey_is_caught(reference: Path, tmp_path: Path) -> None:
    clip = clip_of(0)
    share = np.linspace(0, 1, 20)[:, None, None, None]
    write(tmp_path / "grey", "clip0", (clip * (1 - share) + 128 * share).astype(np.uint8))
    _, figures = figures_of(tmp_path / "grey", reference)
    drift = figures["temporal.chroma_drift"]
    assert drift.value > 5 * drift.anchors["true_game"]
    assert figures["temporal.sharpness_drift"].value < 0.4


def test_missing_and_broken_clips_count_against_the_coverage(reference: Path, tmp_path: Path) -> None:
    videos = tmp_path / "own"
    write(videos, "clip0", clip_of(0))
    write(videos, "clip1", clip_of(1, frames=12))
    (videos / "clip7.mp4").write_bytes(b"no video")
    outcome, _ = figures_of(videos, reference)
    rows = {row["case"]: row for row in outcome.rows}
    assert rows["clip0"]["status"] == "ok"
    assert "12 frames of (48, 64) cannot be laid beside 20 frames" in rows["clip1"]["reason"]
    assert "the clip is missing" in rows["clip2"]["reason"]
    assert "cannot be decoded" in rows["clip7"]["reason"]
    assert [rows[name]["status"] for name in ("clip1", "clip2", "clip7")] == ["failed"] * 3
    assert outcome.coverage == 0.25


def test_what_files_cannot_tell_is_not_computed_and_says_why(reference: Path) -> None:
    _, figures = figures_of(reference, None)
    for name in NEEDS_WORLD:
        assert figures[name].value is None
        assert figures[name].reason.startswith("by files alone: ")
    assert figures["fidelity.psnr_db@1"].status == "skipped"
    assert figures["fidelity.psnr_db@1"].reason == "no reference was given; pairs bear the same name"
    assert figures["distance.kernel"].reason == "no reference was given"


def test_few_clips_have_no_distance(reference: Path) -> None:
    _, figures = figures_of(reference, reference)
    assert figures["distance.frechet"].status == "undefined"
    assert "6 and 6 windows of 8 frames; needed are 1024 and 1152" in figures["distance.frechet"].reason


def test_many_clips_have_a_distance_beside_its_floor() -> None:
    generator = stream(0, "many")
    windows = Windows()
    windows.sizes = {(48, 64)}
    windows.found["reference"] = [generator.normal(0, 1, (2300, 80)).astype(np.float32)]
    windows.found["clip"] = [generator.normal(0.5, 1, (1100, 80)).astype(np.float32)]
    figures = measure_distances(windows, FilesConfig(videos=Path("a"), reference=Path("b")))
    for figure in figures.values():
        assert figure.n >= 1024
        assert figure.value is not None
        assert figure.value > 3 * abs(figure.anchors["true_game"] or 0.0)


def test_results_are_written_whole_with_a_row_a_clip(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome, figures = figures_of(reference, reference, out)
    assert read_report(out / "results.json").figures.keys() == figures.keys()
    rows = [json.loads(line) for line in (out / "cases.jsonl").read_text().splitlines()]
    assert (
        [row["case"] for row in rows] == ["clip0", "clip1", "clip2"] == [row["case"] for row in outcome.rows]
    )
    assert rows[0]["lossy"] is True


def test_pictures_and_arrays_are_clips_too(tmp_path: Path) -> None:
    from paracosm.evaluate.judge_client import png_of

    clip = clip_of(0, 5)
    np.save(tmp_path / "array.npy", clip)
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(clip):
        (tmp_path / "pictures" / f"{number:04d}.png").write_bytes(png_of(image))
    (tmp_path / "notes.txt").write_text("left alone")
    found = find_clips(tmp_path)
    assert list(found) == ["array", "pictures"]
    for path in found.values():
        assert np.array_equal(read_clip(path), clip)
        assert not is_lossy(path)


def test_pairs_are_of_one_name_and_the_lonely_are_listed() -> None:
    pairs = pair_clips({"a": Path("x/a.mp4")}, {"a": Path("y/a.mkv"), "b": Path("y/b.mkv")})
    assert [(pair.name, pair.clip is None, pair.reference is None) for pair in pairs] == [
        ("a", False, False),
        ("b", True, False),
    ]


def test_folders_and_files_that_are_no_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder; give a folder of videos"):
        find_clips(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no clip; give files of \.mp4"):
        find_clips(tmp_path)
    write(tmp_path, "one", clip_of(0, 3))
    np.save(tmp_path / "one.npy", clip_of(0, 3))
    with pytest.raises(DataError, match=r"one\.mkv and one\.npy in .* bear one name; rename one"):
        find_clips(tmp_path)
    np.save(tmp_path / "float.npy", np.zeros((3, 4, 4, 3)))
    with pytest.raises(DataError, match=r"holds float64 \(3, 4, 4, 3\); a clip is uint8"):
        read_clip(tmp_path / "float.npy")
    np.save(tmp_path / "short.npy", clip_of(0, 1))
    with pytest.raises(DataError, match="has 1 frame; a clip has at least 2"):
        read_clip(tmp_path / "short.npy")
