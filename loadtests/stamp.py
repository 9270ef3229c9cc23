"""A `client_msg_id` that says when its message was first sent, so that whoever gets the message knows its age.

Wall clock: of one machine it is the same for every process; between machines the error is that of their clocks.
"""

import secrets
import time
from itertools import count
from typing import Final

_PROCESS: Final = secrets.token_hex(6)  # no two workers, and no two runs, make the same id
_serial = count()


def new_stamp() -> str:
    """An id that nobody has, for a message that is sent now."""
    return f"{time.time_ns():x}.{_PROCESS}.{next(_serial):x}"


def age_s(stamp: str) -> float | None:
    """Seconds since its message was first sent, below 0 if clocks differ; None for an id that is none of ours."""
    at, dot, _ = stamp.partition(".")
    try:
        return (time.time_ns() - int(at, 16)) / 1e9 if dot else None
    except ValueError:
        return None
