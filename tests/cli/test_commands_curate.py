"""The words after ``paracosm curate``, their exit codes and their one-line mistakes."""

import json

import pytest

from paracosm.cli.main import main
from tests.curate.made import pan, write_video

LENGTHS = ["--cuts.least-s", "2", "--cuts.most-s", "4", "--workers", "1"]


def test_a_folder_is_scored_selected_reported_and_exported(tmp_path, capsys):
    folder, out = tmp_path / "videos", str(tmp_path / "out")
    write_video(folder / "a.mp4", pan(1, 40))
    assert main(["curate", "run", str(folder), "--out", out, *LENGTHS]) == 0
    assert "1 ok" in capsys.readouterr().out
    assert main(["curate", "select", "motion > 0.1", "--out", out, "--name", "moving"]) == 0
    assert "motion > 0.1" in capsys.readouterr().out
    assert (
        json.loads((tmp_path / "out" / "selections" / "moving.json").read_text())["where"] == "motion > 0.1"
    )
    assert main(["curate", "report", "--out", out, "--selection", "moving"]) == 0
    assert (tmp_path / "out" / "report.html").exists()
    words = ["curate", "export", "--out", out, "--selection", "moving", "--to", str(tmp_path / "set")]
    assert main([*words, "--height", "36", "--width", "64", "--fps", "5"]) == 0
    assert "1 clips as episodes" in capsys.readouterr().out


def test_captions_from_truth_are_of_the_selection_alone_and_an_unknown_one_is_refused(
    tmp_path, capsys, monkeypatch
):
    folder, out = tmp_path / "videos", str(tmp_path / "out")
    write_video(folder / "a.mp4", [*pan(1, 40), *pan(2, 40)])
    assert main(["curate", "run", str(folder), "--out", out, *LENGTHS]) == 0
    assert main(["curate", "select", "start > 0", "--out", out, "--name", "top"]) == 0
    asked: list[list[str]] = []
    monkeypatch.setattr(
        "paracosm.cli.commands_curate.caption_from_truth",
        lambda scores, clips, config, progress: asked.append(clips) or [],
    )
    assert main(["curate", "caption", "--out", out, "--selection", "top"]) == 0
    assert main(["curate", "caption", "--out", out]) == 0
    assert asked == [["a.mp4#40-80"], ["a.mp4#0-40", "a.mp4#40-80"]]
    capsys.readouterr()
    assert main(["curate", "caption", "--out", out, "--selection", "none"]) == 2
    assert "has no selection none; there are: top" in capsys.readouterr().err
    assert main(["curate", "select", "--out", out]) == 0
    said = capsys.readouterr().out
    assert "taste (number), rated_keep (truth), rated_score (number)" in said


def test_a_bad_file_ends_with_exit_code_2_after_the_rest_was_scored(tmp_path, capsys):
    folder, out = tmp_path / "videos", str(tmp_path / "out")
    write_video(folder / "a.mp4", pan(1, 40))
    (folder / "b.mp4").write_bytes(b"nothing")
    assert main(["curate", "run", str(folder), "--out", out, *LENGTHS]) == 2
    said = capsys.readouterr()
    assert "1 ok, 1 refused" in said.out or "1 refused, 1 ok" in said.out
    assert "1 of 2 sources could not be used: b.mp4 cannot be opened as a video" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["sort"],
            'paracosm curate knows no "sort"; use one of run, select, report, review, caption, export',
        ),
        (["select", "motion > 1", "--out", "/nowhere"], "/nowhere was not curated yet"),
        (["run", "/nowhere"], "/nowhere is no folder"),
        (
            ["export", "--height", "8", "--width", "8", "--fps", "5", "--to", "file:///tmp/set"],
            "to file:///tmp/set is an address, but a file or folder of this machine is wanted; give /tmp/set",
        ),
        (["run", "s3://bucket/videos"], "folder s3://bucket/videos is an address, but"),
        (["caption", "--endpoint.base-url", "ftp://x"], 'base_url "ftp://x" is no http address'),
    ],
)
def test_mistakes_are_one_line_with_exit_code_2(words, said, capsys):
    assert main(["curate", *words]) == 2
    assert said in capsys.readouterr().err


def test_help_lists_the_words(capsys):
    assert main(["curate", "--help"]) == 0
    assert "review" in capsys.readouterr().out
