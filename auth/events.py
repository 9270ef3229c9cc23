"""What auth tells whoever runs it about itself, for metrics. Nobody need listen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

LoginResult = Literal["granted", "wrong", "limited", "overloaded", "unavailable"]


@dataclass(frozen=True, slots=True)
class AuthEvents:
    """Each is called at once, and must not block. `hashed` hears the seconds that a password took to hash."""

    login: Callable[[LoginResult], None] = lambda _: None
    registered: Callable[[], None] = lambda: None
    guest: Callable[[], None] = lambda: None
    hashed: Callable[[float], None] = lambda _: None


SILENT = AuthEvents()
