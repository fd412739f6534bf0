"""A folder that one process writes into at a time; the lock goes with the process, however that ends.

This file does NOT know what is written.
"""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from paracosm.core.errors import BusyError


def lock_folder(
    folder: Path, use: str, *, name: str = "lock", instead: str = "another folder", shared: bool = False
) -> TextIO:
    """Lock a folder for as long as the returned file is open.

    Args:
        folder: must be there.
        use: what one process at a time does with it, for the message: "being recorded into".
        name: of the file that is locked; it holds the number of the process.
        instead: what somebody who cannot wait may choose, for the message.
        shared: others that hold it so too are let in; whoever does not is kept out.

    Raises:
        BusyError: when another process holds it; names the folder and that process.
        OSError: when the folder cannot be written.
    """
    file = (folder / name).open("a+")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise BusyError(
            f"{folder} is {use} by process {holder}; wait for it, stop it, or choose {instead}"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
