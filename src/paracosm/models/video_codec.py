"""Frames to latents and back for streamed video worlds: the Wan 2.1 autoencoder and a CLIP image tower.

Both come from ``diffusers`` and ``transformers``, which are imported when a folder is opened. The library's
own ``encode`` and ``decode`` forget their past at every call; here one latent frame goes in or out at a time
and the past is a value, so a stream has no end and a snapshot is a handful of references. This file does NOT
know the transformer between, or controls.

Source: Wan 2503.20314, section 4.1; diffusers AutoencoderKLWan; transformers CLIPVisionModel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need
from paracosm.core.shapes import Latents, Pixels

EXTRA = "weights"
"""The extra of this package that brings diffusers and transformers."""
CodecState = tuple[Any, ...]
"""What every convolution over time has seen: tensors, or marks of the library's; never written to."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class VideoCodec:
    """The autoencoder, one latent frame at a time.

    Args:
        network: an AutoencoderKLWan of the Wan 2.1 kind, in eval mode.

    Raises:
        ConfigError: for an autoencoder of another kind.
    """

    def __init__(self, network: Any) -> None:
        config = network.config
        if config.patch_size is not None or config.is_residual:
            raise ConfigError(
                "this autoencoder is of the Wan 2.2 kind (patches or residual stages); "
                "Matrix-Game 2.0 needs the one of Wan 2.1: give the folder that was published with it"
            )
        self._network = network
        counts = network._cached_conv_counts if hasattr(network, "_cached_conv_counts") else {}
        self.encoder_state: CodecState = (None,) * counts.get("encoder", _count(network.encoder))
        self.decoder_state: CodecState = (None,) * counts.get("decoder", _count(network.decoder))
        scale = torch.tensor(config.latents_std).view(1, 1, -1, 1, 1)
        self._mean, self._scale = torch.tensor(config.latents_mean).view(1, 1, -1, 1, 1), scale
        if scale.shape[2] != config.z_dim:
            raise ConfigError(
                f"the autoencoder has {config.z_dim} latent channels and means of {scale.shape[2]}; "
                "its config.json is damaged: download it again"
            )

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype = torch.float32, device: str = "cpu") -> VideoCodec:
        """Open a folder in the library's format.

        Raises:
            MissingPackageError: when diffusers is not installed.
            DataError: when the folder is missing or damaged.
        """
        diffusers = need("diffusers", EXTRA)
        try:
            network = diffusers.AutoencoderKLWan.from_pretrained(
                folder, torch_dtype=dtype, low_cpu_mem_usage=False
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{folder} is no autoencoder that can be opened ({error}); convert again"
            ) from error
        return cls(network.eval().to(device))

    @property
    def channels(self) -> int:
        """Numbers for each position of the latent grid."""
        return int(self._network.config.z_dim)

    @property
    def frames_per_latent(self) -> int:
        """Frames of every latent frame but the first, which is one frame."""
        return 2 ** sum(self._network.config.temperal_downsample)

    @property
    def side(self) -> int:
        """Pixels along a side of one latent position."""
        return 2 ** (len(self._network.config.dim_mult) - 1)

    def encode(self, pixels: Pixels, state: CodecState) -> tuple[Latents, CodecState]:
        """Encode the frames of the next latent frame: one at first, then ``frames_per_latent``.

        Args:
            pixels: (b, t, 3, h, w) in [-1, 1].
            state: ``encoder_state`` at first, then what this returned.

        Returns:
            Latents (b, 1, z, h', w') of unit variance, and the next state.

        Raises:
            ConfigError: when the number of frames is another.
        """
        expected = 1 if state[0] is None else self.frames_per_latent
        if pixels.shape[1] != expected:
            raise ConfigError(f"{pixels.shape[1]} frames were given; the next latent frame takes {expected}")
        network, memory = self._network, list(state)
        moved = rearrange(pixels.to(self._weight), "b t c h w -> b c t h w")
        made = network.quant_conv(network.encoder(moved, feat_cache=memory, feat_idx=[0]))
        latents = rearrange(made[:, : self.channels], "b z t h w -> b t z h w").float()
        mean, scale = self._spread(latents.device)
        return (latents - mean) / scale, tuple(memory)

    def decode(self, latents: Latents, state: CodecState) -> tuple[Pixels, CodecState]:
        """Decode the next latent frame: one frame at first, then ``frames_per_latent``.

        Args:
            latents: (b, 1, z, h', w').
            state: ``decoder_state`` at first, then what this returned.

        Returns:
            Frames (b, t, 3, h, w) in [-1, 1], and the next state.
        """
        network, memory = self._network, list(state)
        is_first = all(part is None for part in state)
        mean, scale = self._spread(latents.device)
        plain = latents.float() * scale + mean
        moved = network.post_quant_conv(rearrange(plain.to(self._weight), "b t z h w -> b z t h w"))
        made = network.decoder(moved, feat_cache=memory, feat_idx=[0], first_chunk=is_first)
        return rearrange(made.float().clamp(-1.0, 1.0), "b c t h w -> b t c h w"), tuple(memory)

    @property
    def _weight(self) -> Tensor:
        return self._network.quant_conv.weight

    def _spread(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and deviation of latents; copied to a device once, since each copy would be waited for."""
        if self._mean.device != device:
            with torch.inference_mode(False):  # they may be needed for a gradient later
                self._mean, self._scale = self._mean.to(device), self._scale.to(device)
        return self._mean, self._scale


class ImageEncoder:
    """CLIP's image tower: a picture to tokens, the output of its last layer but one.

    Args:
        network: a CLIPVisionModel in eval mode.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self.width = int(network.config.hidden_size)

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype = torch.float32, device: str = "cpu") -> ImageEncoder:
        """Open a folder in the library's format.

        Raises:
            MissingPackageError: when transformers is not installed.
            DataError: when the folder is missing or damaged.
        """
        transformers = need("transformers", EXTRA)
        try:
            network = transformers.CLIPVisionModel.from_pretrained(folder, dtype=dtype)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"{folder} is no image encoder that can be opened ({error}); convert again"
            ) from error
        return cls(network.eval().to(device))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the tokens (b, l, d) of pictures (b, 3, h, w) in [-1, 1]."""
        weight = next(self._network.parameters())
        side = self._network.config.image_size
        sized = functional.interpolate(pixels.float(), (side, side), mode="bicubic", align_corners=False)
        mean = torch.tensor(CLIP_MEAN, device=sized.device)[:, None, None]
        deviation = torch.tensor(CLIP_DEVIATION, device=sized.device)[:, None, None]
        normal = ((sized + 1.0) / 2.0 - mean) / deviation
        made = self._network(pixel_values=normal.to(weight), output_hidden_states=True)
        return made.hidden_states[-2]


@torch.no_grad()
def encode_clip(codec: VideoCodec, pixels: Pixels) -> Latents:
    """Encode whole clips latent frame by latent frame, as play does with what it is shown.

    Args:
        codec: its encoder begins anew.
        pixels: (b, 1 + n frames_per_latent, 3, h, w) in [-1, 1].

    Returns:
        Latents (b, 1 + n, z, h', w').

    Raises:
        ConfigError: when the last latent frame would not be whole.
    """
    made, state = [], codec.encoder_state
    first, count = 0, 1
    while first < pixels.shape[1]:
        latents, state = codec.encode(pixels[:, first : first + count], state)
        made.append(latents)
        first, count = first + count, codec.frames_per_latent
    return torch.cat(made, 1)


@torch.no_grad()
def encode_grey(codec: VideoCodec, picture: Pixels, num_latents: int) -> Latents:
    """Encode a start picture and the grey frames that stand for all that is not known yet.

    Args:
        codec: its encoder begins anew.
        picture: (b, 1, 3, h, w) in [-1, 1].
        num_latents: latent frames wanted, the picture's own counted.

    Returns:
        Latents (b, num_latents, z, h', w'): the image condition without its mask.
    """
    grey = torch.zeros_like(picture).repeat(1, (num_latents - 1) * codec.frames_per_latent, 1, 1, 1)
    return encode_clip(codec, torch.cat([picture, grey], 1))


def join_mask(latents: Latents, frames_per_latent: int, *, is_start: bool) -> Tensor:
    """Put the mask channels before the latents of an image condition.

    Args:
        latents: (b, t, z, h, w).
        frames_per_latent: mask channels.
        is_start: whether the first latent frame is that of the start picture; all others are unknown.
    """
    mask = torch.zeros_like(latents[:, :, :1]).repeat(1, 1, frames_per_latent, 1, 1)
    mask[:, :1] = float(is_start)
    return torch.cat([mask, latents], 2)


def _count(network: torch.nn.Module) -> int:
    return sum(type(part).__name__ == "WanCausalConv3d" for part in network.modules())
