"""Where a token may stand in a request, and which one counts (protocol.md, "Tokens and credentials")."""

from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import HTTPConnection

COOKIE = "access_token"
QUERY = "token"
SUBPROTOCOL = "bearer"


class Source(StrEnum):
    """Where the token was."""

    HEADER = "header"
    QUERY = "query"
    SUBPROTOCOL = "subprotocol"
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token. With the pair `bearer, <token>` among the subprotocols, the answer names `bearer` alone."""

    token: str
    source: Source
    subprotocol: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r})"  # a token reaches no log line, not even by accident

    @property
    def is_explicit(self) -> bool:
        """Whether the client gave it itself, rather than a browser by habit."""
        return self.source is not Source.COOKIE


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """There is no token."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Two different tokens were given explicitly, and it is not for us to choose."""


def find_credentials(connection: HTTPConnection) -> Credentials | NoCredentials | Ambiguous:
    """The token of a request or handshake. The cookie counts only where no token is given explicitly."""
    offered = _subprotocol_token(connection)
    explicit = [
        *((Source.HEADER, _bearer(value)) for value in connection.headers.getlist("authorization")),
        *((Source.QUERY, value) for value in connection.query_params.getlist(QUERY)),
        (Source.SUBPROTOCOL, offered),
    ]
    given = [(source, token) for source, token in explicit if token]
    subprotocol = SUBPROTOCOL if offered is not None else None
    if len({token for _, token in given}) > 1:
        return Ambiguous()
    if given:
        source, token = given[0]
        return Credentials(token, source, subprotocol)
    cookie = connection.cookies.get(COOKIE)
    return Credentials(cookie, Source.COOKIE) if cookie else NoCredentials()


def _bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _subprotocol_token(connection: HTTPConnection) -> str | None:
    offered = connection.scope.get("subprotocols", [])
    if SUBPROTOCOL not in offered:
        return None
    after = offered.index(SUBPROTOCOL) + 1
    return offered[after] if after < len(offered) else None
