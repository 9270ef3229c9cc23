"""The description of an HTTP operation, next to the code that implements it; the OpenAPI document is generated from it.

Its types are the ones that validate requests and build responses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

TOKEN_PARAMETER: Final = "token"  # noqa: S105 - its name, not a token
"""The parameter in the query that may hold the caller's token: no operation declares it, and each accepts it."""


class Audience(Enum):
    """Who may call."""

    ANYBODY = "anybody"
    USER = "user"  # with a token, in any of its places
    SERVICE = "service"  # with a key in X-Service-Key
    USER_OR_SERVICE = "user or service"
    GUEST = "guest"  # anybody if ALLOW_GUESTS is on, otherwise a service


class Scope(StrEnum):
    """What a service key may be used for."""

    USERS = "users"
    CHATS = "chats"
    MESSAGES = "messages"
    MODERATE = "moderate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in the query or in a header; those in the path follow from the path."""

    name: str
    meaning: str
    schema: Mapping[str, object]
    place: str = "query"


ON_BEHALF_OF: Final = Parameter(
    "X-On-Behalf-Of",
    "with a service key: the user for whom the service acts, by id or as `sub:` and a subject of the external issuer",
    {"type": "string", "minLength": 1, "maxLength": 260},
    place="header",
)
"""Every operation for users and services takes it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one URL.

    `answers` maps each status of a success to the content: a type (JSON), a media type, or None for no content.
    `refusals` maps the error statuses of this operation to their codes, separated by commas; those that follow from
    `caller` and from a body are added to the document.
    """

    summary: str
    caller: Audience
    answers: Mapping[int, type | str | None]
    refusals: Mapping[int, str] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    body: type | None = None
    body_is_optional: bool = False
    is_form: bool = False
    examples: Mapping[str, object] = field(default_factory=dict)
    """Bodies by name. The first one works unchanged, once the caller has logged in."""
    details: str = ""
    scope: Scope | None = None
    """The scope that a service key needs; None if the operation takes no key."""


def operation(
    summary: str,
    caller: Audience,
    answers: Mapping[int, type | str | None],
    refusals: Mapping[int, str] | None = None,
    *,
    parameters: tuple[Parameter, ...] = (),
    body: type | None = None,
    body_is_optional: bool = False,
    is_form: bool = False,
    example: object = None,
    examples: Mapping[str, object] | None = None,
    details: str = "",
    scope: Scope | None = None,
) -> Callable[[F], F]:
    """Describe the decorated endpoint. `example` is short for `examples` with one entry."""
    bodies = examples or ({} if example is None else {"example": example})
    described = Operation(
        summary, caller, answers, refusals or {}, parameters, body, body_is_optional, is_form, bodies, details, scope
    )

    def decorate(endpoint: F) -> F:
        endpoint.operation = described  # type: ignore[attr-defined]
        return endpoint

    return decorate
