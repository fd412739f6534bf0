from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from paracosm.core.errors import DataError
from paracosm.evaluate.metrics.plug_ins import ClipFeatures, PairMeasure, ScriptedClips, ScriptedPair


class MeanGap(nn.Module):
    def forward(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return (one - two).abs().mean(dim=(1, 2, 3)).reshape(-1, 1, 1, 1)


class ColourMeans(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.mean(dim=(2, 3, 4))


def script(module: nn.Module, file: Path) -> Path:
    torch.jit.script(module).save(str(file))
    return file


def test_a_pair_measure_sees_pictures_from_minus_one_to_one(tmp_path: Path) -> None:
    lpips = ScriptedPair(script(MeanGap(), tmp_path / "gap.pt"), name="lpips_toy")
    assert isinstance(lpips, PairMeasure)
    black, white = np.zeros((20, 4, 6, 3), np.uint8), np.full((20, 4, 6, 3), 255, np.uint8)
    assert lpips.measure(black, white).tolist() == [2.0] * 20
    assert lpips.name == "lpips_toy"


def test_clip_features_keep_the_order_of_clips_and_colours(tmp_path: Path) -> None:
    encoder = ScriptedClips(script(ColourMeans(), tmp_path / "means.pt"))
    assert isinstance(encoder, ClipFeatures)
    clips = np.zeros((17, 2, 4, 6, 3), np.uint8)
    clips[16] = (10, 20, 30)
    features = encoder.encode(clips)
    assert features.shape == (17, 3)
    assert features[16].tolist() == [10.0, 20.0, 30.0]


def test_missing_weights_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"fvd_i3d needs weights of yours and .*nowhere.pt is no file; give i3d_"
    ):
        ScriptedClips(tmp_path / "nowhere.pt")
    with pytest.raises(DataError, match=r"lpips needs weights of yours .* two pictures float \(n, 3, h, w\)"):
        ScriptedPair(tmp_path / "nowhere.pt")


def test_a_file_that_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "words.pt"
    file.write_text("no network")
    with pytest.raises(DataError, match=r"words.pt is no TorchScript \(.*\); lpips needs a TorchScript file"):
        ScriptedPair(file)
