"""Finds the token of a request, and decides which one counts (docs/protocol.md, "Tokens and credentials")."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct
from starlette.requests import HTTPConnection

from httpapi.operation import TOKEN_PARAMETER
from httpapi.token_cookie import token_cookies

SUBPROTOCOL = "bearer"


class Source(StrEnum):
    """The part of the request that contained the token."""

    HEADER = "header"
    QUERY = "query"
    SUBPROTOCOL = "subprotocol"
    COOKIE = "cookie"


class Credentials(Struct, frozen=True, gc=False):
    """A token. With the pair `bearer, <token>` in the offered subprotocols, the response selects `bearer` only.

    It must be one of those that the client offered (RFC 6455 §4.1), so it keeps the client's letter case.
    """

    token: str
    source: Source
    subprotocol: str | None = None
    others: tuple[str, ...] = ()
    """Further tokens, from cookies of the same name: the first valid one counts."""

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r})"  # keeps the token out of logs

    @property
    def candidates(self) -> tuple[str, ...]:
        """All tokens, in the order in which they are tried."""
        return (self.token, *self.others)

    @property
    def is_explicit(self) -> bool:
        """Whether the client sent the token deliberately; a browser attaches cookies automatically."""
        return self.source is not Source.COOKIE


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """The request has no token."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The request has two different explicit tokens; neither is chosen."""


def find_credentials(connection: HTTPConnection) -> Credentials | NoCredentials | Ambiguous:
    """The token of a request or handshake. The cookie counts only if there is no explicit token."""
    subprotocol, offered = _subprotocol_pair(connection)
    explicit = [
        *((Source.HEADER, _bearer(value)) for value in connection.headers.getlist("authorization")),
        *((Source.QUERY, value) for value in connection.query_params.getlist(TOKEN_PARAMETER)),
        (Source.SUBPROTOCOL, offered),
    ]
    tokens = [(source, token) for source, token in explicit if token]
    if len({token for _, token in tokens}) > 1:
        return Ambiguous()
    if tokens:
        source, token = tokens[0]
        return Credentials(token, source, subprotocol)
    cookies = token_cookies(connection)
    return Credentials(cookies[0], Source.COOKIE, others=cookies[1:]) if cookies else NoCredentials()


def offered_bearer(connection: HTTPConnection) -> str | None:
    """The subprotocol `bearer` in the client's spelling; None if it is not offered."""
    return next((word for word in connection.scope.get("subprotocols", []) if word.lower() == SUBPROTOCOL), None)


def _bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _subprotocol_pair(connection: HTTPConnection) -> tuple[str, str] | tuple[None, None]:
    word = offered_bearer(connection)
    if word is None:
        return None, None
    offered = connection.scope["subprotocols"]
    after = offered.index(word) + 1
    return (word, offered[after]) if after < len(offered) else (None, None)
