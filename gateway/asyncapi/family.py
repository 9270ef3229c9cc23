"""The description of one URL family, from which the document is built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson

from gateway.protocol.codes import Close

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Frame:
    """One kind of message. `shape` is a TypedDict or a class of `fields`; its docstring is the message's summary."""

    shape: type
    examples: tuple[Any, ...]
    content_type: str = JSON
    is_closed: bool = False
    """Whether a message with a key that is not in `shape` is invalid."""


class Access(Enum):
    """The kind of token that a family requires."""

    USER = auto()
    GUEST = auto()
    ANYBODY = auto()  # a user's token, or none


@dataclass(frozen=True, slots=True)
class Family:
    """A URL family: `commands` are sent by clients, `frames` by the gateway; `closes` are our possible close codes.

    `query` has the meaning of parameters beside `token` and, if the family `takes_since`, `since`. `is_stream`: an
    event stream in the place of a WebSocket.
    """

    name: str
    address: str
    title: str
    description: str
    access: Access
    commands: tuple[Frame, ...]
    frames: tuple[Frame, ...]
    closes: frozenset[Close]
    parameters: Mapping[str, str] = field(default_factory=dict)
    takes_since: bool = True
    query: Mapping[str, str] = field(default_factory=dict)
    is_stream: bool = False


ANYWHERE = frozenset(
    {Close.DRAIN, Close.SLOW_CONSUMER, Close.INTERNAL, Close.UNAUTHORIZED, Close.FORBIDDEN, Close.BANNED}
)
"""The close codes of every family."""
IN_A_CHAT = ANYWHERE | {Close.POSITION_LOST, Close.ABUSE}
"""The close codes of families with one chat per socket."""


def written(payload: bytes | None) -> Any:
    """The JSON value of a dialect's output, for use as an example.

    Raises: ValueError if the dialect has no output for the value.
    """
    if payload is None:
        raise ValueError("the dialect says nothing of this")
    return orjson.loads(payload)
