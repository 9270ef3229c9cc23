"""What can go wrong.

GatewayError
├── Rejected          the gateway rejected a command or a call; `code` is stable
├── Disconnected      the client has ended and does not reconnect
│   └── Unauthorized  no token is valid
└── NoToken           within the client: the application's function raised
"""

RETRIED = frozenset({"unavailable", "rate_limited", "slow_mode", "conflict"})
"""The codes after which a command is sent again."""
RETRY_S = 1.0
"""Before that, if the error names no delay."""


class GatewayError(Exception):
    """Base of all errors of this package."""


class Rejected(GatewayError):
    """A command or a call that will not succeed by being repeated."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """One of the codes of docs/protocol.md."""
        self.status = status
        """The HTTP status; None over a socket."""


class Disconnected(GatewayError):
    """The socket is closed, and connecting again would not help."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        """The close code, as in docs/protocol.md; 1000 if this side closed."""
        self.reason = reason


class Unauthorized(Disconnected):
    """The token is missing, expired or revoked, and there is no other."""


class NoToken(GatewayError):
    """The application's function raised; the client tries again later."""
