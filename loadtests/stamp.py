"""A `client_msg_id` that contains the time when its message was first sent, so that every receiver knows its age.

The wall clock is the same for all processes of one machine; between machines the error is that of their clocks.
"""

import secrets
import time
from itertools import count
from typing import Final

_PROCESS: Final = secrets.token_hex(6)  # unique over workers and runs
_serial = count()


def new_stamp() -> str:
    """A unique id for a message that is sent now."""
    return f"{time.time_ns():x}.{_PROCESS}.{next(_serial):x}"


def age_s(stamp: str) -> float | None:
    """Seconds since the message was first sent, below 0 if clocks differ; None for a foreign id."""
    at, dot, _ = stamp.partition(".")
    try:
        return (time.time_ns() - int(at, 16)) / 1e9 if dot else None
    except ValueError:
        return None
