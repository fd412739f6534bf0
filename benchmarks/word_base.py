"""Goes on training a base of words over several recordings: ``python -m benchmarks.word_base OUT DATA...``.

    python -m benchmarks.word_base runs/word_base --initial runs/gamegen_o-tiny/base/dynamics \
        runs/doom/data/train=runs/doom/tokenizer/tokenizer \
        runs/minetest/data/train=runs/minetest/tokenizer/tokenizer \
        runs/minetest/data/third=runs/minetest/tokenizer/tokenizer

DATA is RECORDINGS=TOKENIZER, of one size of latents; a step takes its clips from one of them, drawn by how
much there is. Sizes and kinds of clips are those of ``gamegen_o.tiny``. For every tokenizer
a world of words alone lands in OUT/worlds/NAME, whose starts are drawn from the first of its recordings;
``prompt_hits`` measures it, and ``paracosm play`` draws its start from a prompt. A stopped run goes on.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

from paracosm.core.errors import ConfigError
from paracosm.core.progress import LineProgress, ProgressMaker, no_progress
from paracosm.data.reader import Dataset
from paracosm.models.text import WordsKind
from paracosm.recipes.gamegen_o import SPOKEN_WEIGHT, on_finished, tiny
from paracosm.recipes.gamegen_street import build
from paracosm.train.stages import encode, encode_texts, masked
from paracosm.train.stages.masked import MaskedStageConfig

FIELD_DROPOUT = 0.5
"""Prompts say one thing or two, where captions have five fields."""
PROGRESS = functools.partial(LineProgress, stream=sys.stderr)


def parse_source(text: str) -> tuple[Path, Path]:
    """Read RECORDINGS=TOKENIZER.

    Raises:
        ConfigError: for another form.
    """
    data, equals, tokenizer = text.partition("=")
    if not (equals and data and tokenizer):
        raise ConfigError(f'"{text}" names no recordings; write RECORDINGS=TOKENIZER, two folders')
    return Path(data), Path(tokenizer)


def describe(
    out: Path,
    sources: list[tuple[Path, Path]],
    num_steps: int,
    initial: Path | None,
    controls_from: Path | None = None,
    words: WordsKind = "learnt",
) -> MaskedStageConfig:
    """Describe the stage: all of ``gamegen_o.tiny`` but its data, length, beginning and short texts.

    With ``controls_from``, words of doing are held against what that dynamics hears of the held controls.
    """
    base = tiny(out).base
    optim = replace(base.loop.optim, decay_steps=num_steps // 3)
    return replace(
        base,
        run=out / "base",
        data=tuple(data for data, _ in sources),
        tokenizers=tuple(tokenizer for _, tokenizer in sources),
        loop=replace(base.loop, num_steps=num_steps, optim=optim),
        initial=initial,
        model=replace(base.model, spoken_words=controls_from is not None, words=words),
        controls_from=controls_from,
        spoken_weight=SPOKEN_WEIGHT if controls_from else 0.0,
        field_dropout=FIELD_DROPOUT,
    )


def train_base(config: MaskedStageConfig, progress: ProgressMaker = no_progress) -> Path:
    """Encode what is not encoded yet, train, and return the model folder."""
    for data, tokenizer in zip(config.data, config.tokenizers, strict=True):
        encode.main(encode.EncodeStageConfig(data=data, tokenizer=tokenizer), progress)
        texts = encode_texts.EncodeTextsStageConfig(
            data=data, encoder=config.encoder, clip_frames=config.text_frames, source=config.text_source
        )
        encode_texts.main(texts, progress)
    return masked.main(config, progress)


def build_worlds(config: MaskedStageConfig, out: Path) -> list[Path]:
    """Build a world of words alone for every tokenizer, from the first recordings that go with it."""
    first: dict[Path, Path] = {}
    for data, tokenizer in zip(config.data, config.tokenizers, strict=True):
        first.setdefault(tokenizer, data)
    made = []
    for tokenizer, data in first.items():
        name = Dataset(data).info.name.rpartition(":")[2]
        taken = sum(one.name.partition("-")[0] == name for one in made)
        name += f"-{taken + 1}" if taken else ""
        recipe = on_finished(tiny(out), data=data, tokenizer=tokenizer)
        recipe = replace(
            recipe,
            branch=replace(recipe.branch, encoder=config.encoder),
            name=f"{name}-words",
            description=f"{name} drawn from words alone, by a base that knows several recordings.",
        )
        made.append(build(recipe, out / "worlds" / name, steered=False))
    return made


def main() -> None:
    """Train and build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", nargs="+", metavar="RECORDINGS=TOKENIZER")
    parser.add_argument(
        "--initial", type=Path, help="model folder of the base, or of the dynamics, to go on from"
    )
    parser.add_argument(
        "--controls-from", type=Path, help="dynamics of the same game, to whose hearing words are pulled"
    )
    parser.add_argument(
        "--words", choices=get_args(WordsKind), default="learnt", help="learnt layers, or words kept apart"
    )
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    sources = [parse_source(text) for text in given.sources]
    config = describe(given.out, sources, given.steps, given.initial, given.controls_from, given.words)
    train_base(config, PROGRESS)
    print("\n".join(f"the world is {folder}" for folder in build_worlds(config, given.out)))


if __name__ == "__main__":
    main()
