"""Checks that configs of several networks share. Each raises a ConfigError that says what to do."""

from paracosm.core.errors import ConfigError
from paracosm.nn.stack import StackConfig


def check_stack(name: str, stack: StackConfig, window: int) -> None:
    """Refuse a stack that cannot be built.

    Args:
        name: how the config calls it, for the message.
        stack: its sizes.
        window: past frames that a frame sees.

    Raises:
        ConfigError: for a head width that rotary positions cannot split, or a count below one.
    """
    if stack.head_width % 8:
        raise ConfigError(f"{name}.head_width {stack.head_width} is no multiple of 8; use e.g. 32 or 64")
    if min(stack.width, stack.depth, stack.heads, stack.head_width, stack.hidden, window) < 1:
        raise ConfigError(f"{name} {stack} with window {window} has a size below 1; all must be at least 1")
