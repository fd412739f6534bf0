"""The errors a user can cause. Each message says what was given, what is allowed and what to do.

The command line prints one line for these and exits with 2; anything else is our own fault and exits with 1.
This file does NOT know how errors are shown.
"""


class ParacosmError(Exception):
    """A mistake that the user can mend; its text is one line that says how."""


class ConfigError(ParacosmError):
    """A config file or option that cannot be read: an unknown key, a wrong type, a newer format."""


class ControlError(ParacosmError):
    """A control that the world does not offer."""


class WorldError(ParacosmError):
    """A world that cannot be opened, started or stepped as asked."""


class LostWorldError(WorldError):
    """A world that broke while it was played; opened again, it may go on from its beginning."""


class DataError(ParacosmError):
    """A recording, image or folder that is missing, corrupt, truncated or of the wrong kind."""


class BusyError(ParacosmError):
    """Something that only one process may use at a time is in use."""


class MissingPackageError(ParacosmError):
    """An optional package, game or browser that is not installed; the text names what to install."""


class AcceptanceError(ParacosmError):
    """A training run that was stopped because its own figures went bad."""
