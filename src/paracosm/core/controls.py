"""What a player may do in one step, and what a world accepts: Control and ControlSpace.

The control law: the control at step t acts between frame t and frame t + 1. This file does NOT know how a
control is drawn, sent, stored or learnt; it only names it, checks it and turns it into numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from paracosm.core.errors import ControlError


@dataclass(frozen=True, init=False)
class Control:
    """What the player does in one step; the default is to do nothing.

    Attributes:
        keys: names held during the step, from ``ControlSpace.keys``.
        look: (yaw, pitch) camera turn of this step in degrees, right and up positive.
        text: standing instruction from this step on; "" clears it, None leaves it as it is.
        latent: index of a learnt action, for worlds trained without labels.
        guide: a short clip uint8 (t, h, w, 3) to follow, for worlds that take one.
    """

    keys: frozenset[str]
    look: tuple[float, float]
    text: str | Mapping[str, str] | None
    latent: int | None
    guide: np.ndarray | None = field(compare=False)

    def __init__(
        self,
        keys: Iterable[str] = (),
        look: Sequence[float] = (0.0, 0.0),
        text: str | Mapping[str, str] | None = None,
        latent: int | None = None,
        guide: np.ndarray | None = None,
    ) -> None:
        if isinstance(keys, str):
            raise ControlError(f'keys "{keys}" is one string; pass a set of names, e.g. {{"{keys}"}}')
        if len(look) != 2 or not all(math.isfinite(angle) for angle in look):
            raise ControlError(f"look {tuple(look)} is not two finite angles; pass (yaw, pitch) in degrees")
        object.__setattr__(self, "keys", frozenset(keys))
        object.__setattr__(self, "look", (float(look[0]), float(look[1])))
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "latent", latent)
        object.__setattr__(self, "guide", guide)


IDLE = Control()
"""No key, no turn: the control of a player who does nothing."""


@dataclass(frozen=True, kw_only=True)
class ControlSpace:
    """The controls that a world offers; anything else is refused by name.

    Attributes:
        keys: key names in the fixed order that vectors use.
        bindings: W3C ``KeyboardEvent.code`` (or ``Mouse0`` .. ``Mouse2``) to key name.
        look_limit: largest |yaw| and |pitch| in degrees for one step; 0 means that axis is not offered.
        num_latents: number of learnt actions, 0 when the world has none.
        text: whether the world takes instructions.
        guide: whether the world takes a guide clip.
    """

    keys: tuple[str, ...] = ()
    bindings: Mapping[str, str] = field(default_factory=dict)
    look_limit: tuple[float, float] = (0.0, 0.0)
    num_latents: int = 0
    text: bool = False
    guide: bool = False

    def __post_init__(self) -> None:
        if len(set(self.keys)) != len(self.keys):
            raise ControlError(f"keys {self.keys} name one key twice; each name may stand once")
        for code, key in self.bindings.items():
            if key not in self.keys:
                raise ControlError(f'binding {code} leads to "{key}", which is not one of {list(self.keys)}')
        if min(self.look_limit) < 0:
            raise ControlError(
                f"look_limit {self.look_limit} is negative; give degrees >= 0 for yaw and pitch"
            )

    @property
    def width(self) -> int:
        """Numbers in the vector of one control: one for each key, then yaw and pitch."""
        return len(self.keys) + 2

    def check(self, control: Control) -> None:
        """Refuse a control that this world does not offer.

        Raises:
            ControlError: for an unknown key, a turn beyond the limit, or a latent, text or guide that is not
                offered.
        """
        unknown = sorted(control.keys - set(self.keys))
        if unknown:
            raise ControlError(f"keys {unknown} are not offered; this world has {list(self.keys)}")
        for axis, angle, limit in zip(("yaw", "pitch"), control.look, self.look_limit, strict=True):
            if abs(angle) > limit + 1e-6:
                allowed = f"at most {limit:g} degrees a step" if limit else "none"
                raise ControlError(f"look {axis} {angle:g} degrees is too much; this world allows {allowed}")
        if control.latent is not None and not 0 <= control.latent < self.num_latents:
            raise ControlError(
                f"latent {control.latent} is not offered; this world has {self.num_latents} latent actions"
            )
        if control.text is not None and not self.text:
            raise ControlError("text is not offered: this world takes no instructions; leave text at None")
        if control.guide is not None and not self.guide:
            raise ControlError("guide is not offered: this world follows no guide clip; leave guide at None")

    def clamp(self, control: Control) -> Control:
        """Limit the turn to what one step allows, for input devices that can turn faster than the world."""
        yaw, pitch = (
            max(-limit, min(limit, angle)) for angle, limit in zip(control.look, self.look_limit, strict=True)
        )
        return Control(control.keys, (yaw, pitch), control.text, control.latent, control.guide)

    def to_vectors(self, controls: Sequence[Control]) -> np.ndarray:
        """Turn controls into numbers: each key 0 or 1, then yaw and pitch in degrees.

        Returns:
            float32 (t, width).

        Raises:
            ControlError: when a control is not offered.
        """
        vectors = np.zeros((len(controls), self.width), np.float32)
        index = {key: i for i, key in enumerate(self.keys)}
        for row, control in zip(vectors, controls, strict=True):
            self.check(control)
            for key in control.keys:
                row[index[key]] = 1.0
            row[-2:] = control.look
        return vectors

    def from_vectors(self, vectors: np.ndarray) -> list[Control]:
        """Turn rows made by :meth:`to_vectors` back into controls.

        Args:
            vectors: (t, width).

        Raises:
            ControlError: when the width does not fit.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.width:
            raise ControlError(
                f"control vectors of shape {vectors.shape} do not fit; this world needs (t, {self.width})"
            )
        return [
            Control(
                {key for key, held in zip(self.keys, row[:-2], strict=True) if held > 0.5}, (row[-2], row[-1])
            )
            for row in vectors.tolist()
        ]
