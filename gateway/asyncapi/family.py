"""What the document says of one URL family."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson

from gateway.codes import Close

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Frame:
    """One kind of message. `shape` is a TypedDict, or a kind of `fields`; its docstring is what is said of it."""

    shape: type
    examples: tuple[Any, ...]
    content_type: str = JSON


class Access(Enum):
    """Whose token is asked for."""

    USER = auto()
    GUEST = auto()
    ANYBODY = auto()  # a user's, or none


@dataclass(frozen=True, slots=True)
class Family:
    """A URL family, as its clients see it.

    `commands` go to the gateway, `frames` come from it; `closes` are the codes of ours that a socket may end with.
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


ANYWHERE = frozenset({Close.DRAIN, Close.SLOW_CONSUMER, Close.INTERNAL, Close.UNAUTHORIZED})
"""How a socket of whatever family may end."""
IN_A_CHAT = ANYWHERE | {Close.POSITION_LOST, Close.FORBIDDEN, Close.ABUSE}
"""How one may end that is in one chat."""


def written(payload: bytes | None) -> Any:
    """What a dialect writes, as an example."""
    if payload is None:
        raise ValueError("the dialect says nothing of this")
    return orjson.loads(payload)
