"""The shape legend and every named tensor type; the only place where axis letters are spelt.

Legend: b batch, t frames, h w rows and columns of pixels, c colour, s tokens per frame, z latent channels,
d width, n heads, k head width, a control numbers, l text tokens.

This is the only file of ``core`` that needs torch; nothing else in ``core`` imports it.
"""

from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

Frames = UInt8[Tensor, "b t h w c"]
"""Pixels at rest, 0 to 255."""
Pixels = Float[Tensor, "b t c h w"]
"""Pixels inside models, -1 to 1."""
Latents = Float[Tensor, "b t z rows columns"]
"""Tokenizer latents on their grid, coarser than the pixels', scaled to about unit variance."""
Codes = Int64[Tensor, "b t s"]
"""Tokens as numbers of a codebook, row by row."""
Tokens = Float[Tensor, "b t s d"]
"""Tokens of the residual stream."""
Controls = Float[Tensor, "b t a"]
"""Rows of ``ControlSpace.to_vectors``; row t acts between frame t and frame t + 1."""
NoiseLevels = Float32[Tensor, "b t"]
"""One noise level per frame, 0 clean to 1 noise."""
Heads = Float[Tensor, "b n _ k"]
"""Queries, keys or values of one attention, sequence on the third axis."""
