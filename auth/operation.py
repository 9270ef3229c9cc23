"""What an HTTP operation takes and answers, said beside the code that does it: the OpenAPI document is made of these.

The types named here are those that the requests are validated with and that the answers are built as.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Caller(Enum):
    """Who may call."""

    ANYBODY = "anybody"
    USER = "user"  # with a token, wherever it may stand
    SERVICE = "service"  # with a key in X-Service-Key
    GUEST = "guest"  # anybody where ALLOW_GUESTS is on, else a service


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in the query or in a header; those in the path are known from the path."""

    name: str
    meaning: str
    schema: Mapping[str, object]
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one URL.

    `answers` maps the statuses of success to what is answered: a type (JSON), a media type, or None for no content.
    `refusals` maps every other status that this operation has of its own to its codes; those that follow from `caller`,
    from a body and from the store need not be said.
    """

    summary: str
    caller: Caller
    answers: Mapping[int, type | str | None]
    refusals: Mapping[int, str] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    body: type | None = None
    is_form: bool = False
    example: object = None
    """A body, from a seed where one shows it."""
    details: str = ""


def operation(
    summary: str,
    caller: Caller,
    answers: Mapping[int, type | str | None],
    refusals: Mapping[int, str] | None = None,
    *,
    parameters: tuple[Parameter, ...] = (),
    body: type | None = None,
    is_form: bool = False,
    example: object = None,
    details: str = "",
) -> Callable[[F], F]:
    """Say what the decorated endpoint takes and answers."""
    said = Operation(summary, caller, answers, refusals or {}, parameters, body, is_form, example, details)

    def decorate(endpoint: F) -> F:
        endpoint.operation = said  # type: ignore[attr-defined]
        return endpoint

    return decorate
