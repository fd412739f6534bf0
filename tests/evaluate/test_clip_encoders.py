"""The comparison of clip encoders runs as it is committed, in a short form, and goes on where it was."""

from pathlib import Path

import pytest

from benchmarks.clip_encoders import main
from paracosm.data.reader import Dataset

pytestmark = pytest.mark.timeout(600)
"""Reads 400 clips of recordings, which takes minutes on a busy machine."""
LOOK = ("--clips", "132", "--encoders", "pixels", "--faults", "noise, grey levels", "greyed, share")


def test_a_look_orders_faults_and_says_that_it_is_one(
    reference: Dataset, held_out: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(reference.path), str(held_out.path), "--features", str(tmp_path / "kept.npz"), *LOOK]
    main(words)
    said = capsys.readouterr().out
    assert "greyed, share:0.6\n" in said
    rows = [line for line in said.splitlines() if line.startswith("| pixels | principal | greyed, share: ")]
    assert len(rows) == 1
    assert rows[0].endswith("| yes |")
    assert "132 clips: a look; 1024 are needed to cite a distance" in said
    main(words)
    assert "greyed, share:0.6\n" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds features of another number of clips; name another file"):
        main([*words, "--clips", "140"])


def test_recordings_too_short_for_the_clips_are_refused(held_out: Dataset, tmp_path: Path) -> None:
    path = str(held_out.path)
    with pytest.raises(SystemExit, match=r"holds \d+ clips of 12 frames, 20000 are needed; record more"):
        main([path, path, "--clips", "10000", "--features", str(tmp_path / "kept.npz")])
