"""The published variants of Matrix-Game 2.0 as players meet them: keys, mouse, steps, folders on the hub.

Which weights a variant has stands in its config; here stands what its numbers mean. The turn that a mouse
number makes was never published: ``DEGREES`` is an assumption, to be measured on the weights. This file does
NOT know tensors.

Source: Skywork/Matrix-Game-2.0, MIT; value ranges of its sampler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paracosm.core.controls import ControlSpace
from paracosm.core.errors import ConfigError
from paracosm.core.video_spec import ActionMap
from paracosm.models.action_module import ActionModuleConfig

MOUSE_LIMIT = 0.1
"""Size of a mouse number at full turn, as the published sampler gives it."""
DEGREES = 1.5
"""Degrees of camera turn a frame that full turn is taken for; an assumption."""
FPS = 25.0
"""Frames a second of the published worlds."""
SOURCE = "Skywork/Matrix-Game-2.0, MIT"

_UP, _DOWN = (MOUSE_LIMIT, 0.0), (-MOUSE_LIMIT, 0.0)
_LEFT, _RIGHT = (0.0, -MOUSE_LIMIT), (0.0, MOUSE_LIMIT)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One published variant.

    Attributes:
        folder: its folder on the hub.
        description: for people.
        columns: key of each keyboard number; "" for a number that stands for no key.
        bindings: W3C key codes to keys.
        look: degrees of yaw and pitch at full turn; 0 where the variant has none.
        turns: keys that turn, with their (pitch, yaw) mouse numbers.
        mouse: mouse numbers.
        idle: for one-hot keyboards the number that is set when no key is held; -1 when keys count together.
        steps: published denoising steps of 1,000.
        is_student: whether it plays; the foundation model sees whole clips.
    """

    folder: str
    description: str
    columns: tuple[str, ...]
    bindings: Mapping[str, str]
    look: tuple[float, float]
    mouse: int
    turns: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    idle: int = -1
    steps: tuple[int, ...] = (1000, 666, 333)
    is_student: bool = True

    @property
    def controls(self) -> ControlSpace:
        """What a player may do."""
        keys = tuple(key for key in self.columns if key)
        extra = tuple(key for key in self.turns if key not in keys)
        return ControlSpace(keys=keys + extra, bindings=self.bindings, look_limit=self.look)

    @property
    def actions(self) -> ActionMap:
        """What it means in the network's numbers."""
        return ActionMap(
            columns=self.columns,
            choice="any" if self.idle < 0 else "one",
            idle=self.idle,
            mouse=self.mouse,
            mouse_limit=MOUSE_LIMIT,
            turns=self.turns,
        )


_WALK = {"KeyW": "forward", "KeyS": "back", "KeyA": "left", "KeyD": "right"}
_ARROWS = {
    "ArrowUp": "look_up",
    "ArrowDown": "look_down",
    "ArrowLeft": "look_left",
    "ArrowRight": "look_right",
}
UNIVERSAL = Variant(
    folder="base_distilled_model",
    description="Matrix-Game 2.0: any scene from one picture, walked with W A S D and looked about by mouse.",
    columns=("forward", "back", "left", "right"),
    bindings={**_WALK, **_ARROWS},
    look=(DEGREES, DEGREES),
    mouse=2,
    turns={"look_up": _UP, "look_down": _DOWN, "look_left": _LEFT, "look_right": _RIGHT},
)
VARIANTS: Mapping[str, Variant] = {
    "universal": UNIVERSAL,
    "gta_drive": Variant(
        folder="gta_distilled_model",
        description="Matrix-Game 2.0: driving through a city from one picture.",
        columns=("forward", "back"),
        bindings={
            **_WALK,
            "ArrowUp": "forward",
            "ArrowDown": "back",
            "ArrowLeft": "left",
            "ArrowRight": "right",
        },
        look=(DEGREES, 0.0),
        mouse=2,
        turns={"left": _LEFT, "right": _RIGHT},
    ),
    "templerun": Variant(
        folder="templerun_distilled_model",
        description="Matrix-Game 2.0: running through a temple from one picture.",
        columns=("", "jump", "slide", "turn_left", "turn_right", "left", "right"),
        bindings={
            **{"KeyW": "jump", "Space": "jump", "ArrowUp": "jump", "KeyS": "slide", "ArrowDown": "slide"},
            **{
                "KeyQ": "turn_left",
                "ArrowLeft": "turn_left",
                "KeyE": "turn_right",
                "ArrowRight": "turn_right",
            },
            **{"KeyA": "left", "KeyD": "right"},
        },
        look=(0.0, 0.0),
        mouse=0,
        idle=0,
        steps=(1000, 750, 500, 250),
    ),
    "foundation": Variant(
        folder="base_model",
        description="Matrix-Game 2.0's foundation model: sees whole clips, the teacher of the others.",
        columns=UNIVERSAL.columns,
        bindings=UNIVERSAL.bindings,
        look=UNIVERSAL.look,
        mouse=2,
        turns=UNIVERSAL.turns,
        is_student=False,
    ),
}
"""The published variants by name."""


def find_variant(name: str, actions: ActionModuleConfig, window: int) -> tuple[str, Variant]:
    """Return a variant by name, or the one whose controls and window a network has.

    Args:
        name: "auto" looks at the network; another number of keys becomes key1, key2, ... on digits, then
            letters.
        actions: sizes of the network's controls.
        window: latent frames that it sees in play; 0 for whole clips.

    Raises:
        ConfigError: when the named variant has other controls than the network, or the network has more
            keyboard numbers than there are keys for.
    """
    sizes = (actions.keys, actions.mouse, window > 0)
    if name != "auto":
        if name not in VARIANTS:
            raise ConfigError(f'there is no variant "{name}"; choose one of auto, {", ".join(VARIANTS)}')
        wanted = _sizes(VARIANTS[name])
        if wanted != sizes:
            raise ConfigError(
                f"variant {name} has {_describe(wanted)}, the config.json has {_describe(sizes)}; "
                "give the folder of that variant, or --variant auto"
            )
        return name, VARIANTS[name]
    for known, variant in VARIANTS.items():
        if _sizes(variant) == sizes:
            return known, variant
    return "custom", _custom(actions)


def _sizes(variant: Variant) -> tuple[int, int, bool]:
    return len(variant.columns), variant.mouse, variant.is_student


def _describe(sizes: Sequence[int]) -> str:
    kind = "a window" if sizes[2] else "no window"
    return f"{sizes[0]} keyboard numbers, {sizes[1]} mouse numbers and {kind}"


def _custom(actions: ActionModuleConfig) -> Variant:
    if actions.keys > len(_SPARE):
        raise ConfigError(
            f"the config.json has {actions.keys} keyboard numbers, and {len(_SPARE)} keys are free for "
            "numbers without a name; one without a key could not be played: add the variant, with its keys, "
            "to VARIANTS in convert/variants.py"
        )
    columns = (
        UNIVERSAL.columns
        if actions.keys == len(UNIVERSAL.columns)
        else tuple(f"key{i + 1}" for i in range(actions.keys))
    )
    bindings = dict(zip(_SPARE[: len(columns)], columns, strict=True))
    return Variant(
        folder="",
        description="A network of Matrix-Game 2.0's family with controls of its own.",
        columns=columns,
        bindings={code: key for code, key in _WALK.items() if key in columns} or bindings,
        look=(DEGREES, DEGREES) if actions.mouse else (0.0, 0.0),
        mouse=actions.mouse,
    )


_SPARE = tuple(
    [f"Digit{(i + 1) % 10}" for i in range(10)] + [f"Key{letter}" for letter in "QWETYUIOASDGHJKLZXCVBN"]
)
"""Keys for keyboard numbers without a name: digits, then the letters that the page needs for nothing else."""
