"""Optional packages, asked for by name at the moment of need, with the command that installs them."""

import importlib
from types import ModuleType

from paracosm.core.errors import MissingPackageError


def need(module: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: import name, e.g. "vizdoom".
        extra: the extra of this package that brings it, e.g. "games".

    Raises:
        MissingPackageError: when it is not installed; the text names the install command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f'{module} is not installed ({error}); run: pip install -e ".[{extra}]"'
        ) from error
