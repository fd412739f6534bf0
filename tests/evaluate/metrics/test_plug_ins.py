"""Networks of the user's own: what they see, and how a file that is none is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.files import file_hash
from paracosm.evaluate.metrics.plug_ins import (
    ScriptedClips,
    ScriptedPair,
    load_plug_in,
    parse_plug_in,
    parse_plug_ins,
    try_plug_in,
)


class MeanGap(nn.Module):
    def forward(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return (one - two).abs().mean(dim=(1, 2, 3)).reshape(-1, 1, 1, 1)


class ColourMeans(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.mean(dim=(2, 3, 4))


class Switched(nn.Module):
    """As the published I3D: raw input and classes unless it is told otherwise."""

    def forward(
        self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> torch.Tensor:
        return torch.full((x.shape[0], 3), float(rescale) + 2 * float(resize) + 4 * float(return_features))


class OnePicture(nn.Module):
    def forward(self, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return one - two


class Constant(nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return torch.zeros(7, 4)


class Names(nn.Module):
    def forward(self, clips: torch.Tensor) -> int:
        return clips.shape[0]


class Three(nn.Module):
    def forward(self, one: torch.Tensor, two: torch.Tensor, three: torch.Tensor) -> torch.Tensor:
        return one + two + three


def script(module: nn.Module, folder: Path, name: str = "own") -> str:
    file = folder / f"{name}.pt"
    torch.jit.script(module).save(str(file))
    return f"{name}={file}"


def test_a_network_of_two_inputs_sees_pictures_from_minus_one_to_one(tmp_path: Path) -> None:
    plug_in = parse_plug_in(script(MeanGap(), tmp_path, "lpips_toy"))
    measure = load_plug_in(plug_in)
    assert isinstance(measure, ScriptedPair)
    black, white = np.zeros((20, 4, 6, 3), np.uint8), np.full((20, 4, 6, 3), 255, np.uint8)
    assert measure.measure(black, white).tolist() == [2.0] * 20
    assert try_plug_in(plug_in, 4, 6) == "pairs"


def test_a_network_of_one_input_describes_clips_in_their_order_and_colours(tmp_path: Path) -> None:
    plug_in = parse_plug_in(script(ColourMeans(), tmp_path))
    encoder = load_plug_in(plug_in)
    assert isinstance(encoder, ScriptedClips)
    clips = np.zeros((17, 2, 4, 6, 3), np.uint8)
    clips[16] = (10, 20, 30)
    features = encoder.encode(clips)
    assert features.shape == (17, 3)
    assert features[16].tolist() == [10.0, 20.0, 30.0]
    assert try_plug_in(plug_in, 4, 6) == "clips"


def test_the_options_of_the_published_i3d_are_switched_on(tmp_path: Path) -> None:
    encoder = load_plug_in(parse_plug_in(script(Switched(), tmp_path)))
    assert isinstance(encoder, ScriptedClips)
    assert encoder.encode(np.zeros((1, 2, 4, 6, 3), np.uint8)).tolist() == [[7.0, 7.0, 7.0]]


def test_a_plug_in_is_named_by_the_user_and_versioned_by_its_file(tmp_path: Path) -> None:
    text = script(MeanGap(), tmp_path, "lpips_alex")
    plug_in = parse_plug_in(text)
    assert plug_in.version == file_hash(tmp_path / "lpips_alex.pt")[:12]
    assert (plug_in.figure, plug_in.unit) == ("plug_in.lpips_alex", f"by {plug_in.version}")


@pytest.mark.parametrize("text", ["lpips", "=x.pt", "lpips=", "LPIPS=x.pt", "a.b=x.pt"])
def test_anything_but_a_name_and_a_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not NAME=FILE; give a name of small letters, digits and _"):
        parse_plug_in(text)


def test_a_missing_file_and_a_name_given_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--plug-in lpips: .*nowhere.pt is no file; give a TorchScript file"):
        parse_plug_in(f"lpips={tmp_path / 'nowhere.pt'}")
    text = script(MeanGap(), tmp_path)
    with pytest.raises(ConfigError, match="--plug-in names own twice; give each file a name of its own"):
        parse_plug_ins((text, text))


def test_a_file_that_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "words.pt"
    file.write_text("no network")
    with pytest.raises(DataError, match=r"words.pt is no TorchScript \(.*\); a plug-in has two pictures"):
        load_plug_in(parse_plug_in(f"words={file}"))


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (OnePicture(), r"own.pt gives \(2, 3, 4, 6\) for 2 pairs; a plug-in has two pictures"),
        (Constant(), r"own.pt gives \(7, 4\) for 2 clips; a plug-in has clips float"),
        (Names(), "own.pt gives int and no tensor; a plug-in has clips float"),
        (Three(), "own.pt takes 3 inputs; a plug-in has two pictures"),
    ],
)
def test_a_network_of_a_wrong_shape_is_refused_at_once(module: nn.Module, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        try_plug_in(parse_plug_in(script(module, tmp_path)), 4, 6)
