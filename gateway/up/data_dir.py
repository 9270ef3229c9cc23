"""The lock of DATA_DIR: one `up` uses it at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import DataDirUnusable


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Create the folder if necessary, and lock it (flock: the kernel releases it however this process ends).

    Raises: DataDirUnusable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The folder itself is locked, so that no lock file is left in it.
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DataDirUnusable(f"DATA_DIR {folder} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirUnusable(
                f"Another `up` runs on {folder}: stop it, or set DATA_DIR to another folder."
            ) from None
        yield
    finally:
        os.close(descriptor)
