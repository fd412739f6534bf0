"""Toy configs of the stages that learn words, over recordings of moving shapes."""

from pathlib import Path

from paracosm.curate.captions import GEN_FIELDS, INS_FIELDS
from paracosm.models.dynamics_masked import MaskedDynamicsConfig
from paracosm.models.instruct import InstructConfig
from paracosm.models.text import HashedWords
from paracosm.models.tokenizer_vae import TokenizerVAEConfig
from paracosm.train.loop import LoopConfig
from paracosm.train.optim import OptimConfig
from paracosm.train.stages import encode, encode_guides, encode_texts, tokenizer
from paracosm.train.stages.instruct import InstructStageConfig
from paracosm.train.stages.masked import ClipShape, MaskedStageConfig
from paracosm.train.stages.tokenizer import TokenizerStageConfig
from tests.shapes_world import CONTROLS, HEIGHT, WIDTH, record_shapes

GIVEN, NEW = 2, 4
FRAMES = GIVEN + NEW


def loop(num_steps: int) -> LoopConfig:
    return LoopConfig(
        num_steps=num_steps,
        optim=OptimConfig(learning_rate=2e-3, warmup_steps=20, ema_decay=0.98),
        precision="fp32",
        num_threads=1,
        log_every=1 if num_steps < 50 else 50,
        preview_every=0,
    )


def tokenizer_config(root: Path, num_steps: int = 2, time_kernel: int = 1) -> TokenizerStageConfig:
    return TokenizerStageConfig(
        run=root / "tokenizer",
        data=root / "data",
        model=TokenizerVAEConfig(
            height=HEIGHT,
            width=WIDTH,
            stem=2,
            latent_channels=6,
            fine_channels=16,
            coarse_channels=32,
            encoder_blocks=(1, 1),
            decoder_blocks=(1, 1),
            time_kernel=time_kernel,
        ),
        loop=loop(num_steps),
        batch_size=16,
    )


def base_model(width: int = 16, depth: int = 2) -> MaskedDynamicsConfig:
    return MaskedDynamicsConfig(
        latent_channels=6,
        patch=2,
        width=width,
        depth=depth,
        heads=2,
        hidden=2 * width,
        attention="joint",
        text_width=HashedWords.width,
        fields=("text", *GEN_FIELDS),
    )


def masked_config(root: Path, num_steps: int = 3, **changes: object) -> MaskedStageConfig:
    values = {
        "run": root / "masked",
        "data": (root / "data",),
        "tokenizers": (root / "tokenizer" / "tokenizer",),
        "model": base_model(),
        "loop": loop(num_steps),
        "encoder": "hashed_words",
        "text_frames": NEW + 1,
        "shapes": (ClipShape(frames=FRAMES), ClipShape(frames=5, stride=2, share=0.5)),
        "tokens_per_batch": 100,
        "most_given": 3,
    }
    return MaskedStageConfig(**values | changes)  # pyright: ignore[reportArgumentType]


def instruct_config(root: Path, num_steps: int = 3, **changes: object) -> InstructStageConfig:
    model = InstructConfig(
        base=base_model(),
        depth=1,
        fields=("text", *INS_FIELDS),
        control_width=CONTROLS.width,
        look_limit=CONTROLS.look_limit,
    )
    values = {
        "run": root / "instruct",
        "data": root / "data",
        "tokenizer": root / "tokenizer" / "tokenizer",
        "base": root / "masked" / "dynamics",
        "model": model,
        "loop": loop(num_steps),
        "encoder": "hashed_words",
        "given_frames": GIVEN,
        "new_frames": NEW,
        "batch_size": 4,
    }
    return InstructStageConfig(**values | changes)  # pyright: ignore[reportArgumentType]


def prepare(root: Path, *, num_episodes: int = 3, num_steps: int = 2, light_every: int = 7) -> None:
    """Record shapes, train a tokenizer, and encode frames, texts and video prompts."""
    record_shapes(root / "data", num_episodes=num_episodes, light_every=light_every)
    made = tokenizer.main(tokenizer_config(root, num_steps))
    encode.main(encode.EncodeStageConfig(data=root / "data", tokenizer=made))
    encode_guides.main(encode_guides.EncodeGuidesStageConfig(data=root / "data", tokenizer=made))
    encode_texts.main(
        encode_texts.EncodeTextsStageConfig(data=root / "data", encoder="hashed_words", clip_frames=NEW + 1)
    )
