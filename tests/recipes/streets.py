"""Streets that are walked in seconds: the toy sizes of a recipe, made smaller still."""

from dataclasses import replace

from paracosm.recipes import street as streets
from paracosm.recipes.street import Street
from paracosm.train.loop import LoopConfig

NUM_STEPS = 3
"""Steps of every stage: enough to move every weight."""


def shorten(street: Street) -> Street:
    """The toy street with tiny networks and a few short episodes, recorded in this process."""
    toy = streets.shorten(street)
    tokenizer = replace(toy.tokenizer.model, fine_channels=8, coarse_channels=16, latent_channels=4)
    dynamics = replace(toy.dynamics.model, latent_channels=4, width=16, heads=1, hidden=32)
    reader = toy.reader and replace(
        toy.reader,
        model=replace(toy.reader.model, channels=(8, 8, 8), features=8),
        loop=_quick(toy.reader.loop),
        batch_size=4,
    )
    return replace(
        toy,
        recordings={
            split: replace(config, num_episodes=3, max_steps=20, workers=1)
            for split, config in toy.recordings.items()
        },
        tokenizer=replace(toy.tokenizer, model=tokenizer, loop=_quick(toy.tokenizer.loop), batch_size=4),
        dynamics=replace(
            toy.dynamics, model=dynamics, loop=_quick(toy.dynamics.loop), batch_size=2, clip_frames=6
        ),
        reader=reader,
        num_starts=4,
    )


def _quick(loop: LoopConfig) -> LoopConfig:
    return replace(loop, num_steps=NUM_STEPS, precision="fp32", log_every=1, preview_every=2)
