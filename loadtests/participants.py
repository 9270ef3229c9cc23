"""Seats of users in chats, and the plan of how many chats are needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

SPARE: Final = 2
"""Spare seats: the shares of users by Locust are not exact."""


class Kind(StrEnum):
    """The kind of chat."""

    PAIR = "pair"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Seat:
    """A user with a token as a member of a chat. Each seat has a different user."""

    kind: Kind
    login: str
    password: str
    token: str
    chat_id: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Number and size of the chats."""

    pairs: int
    rooms: tuple[int, ...]

    @property
    def people(self) -> int:
        """Number of accounts that the plan needs."""
        return 2 * self.pairs + sum(self.rooms)


def plan(users: int, weights: Mapping[Kind, float], room_size: int) -> Plan:
    """Chats for this number of users of classes with these total weights; rooms have similar sizes."""
    total = sum(weights.values())
    wanted = {kind: ceil(users * weight / total) + SPARE for kind, weight in weights.items() if weight}
    seats = wanted.get(Kind.ROOM, 0)
    count = ceil(seats / room_size)
    return Plan(
        pairs=ceil(wanted.get(Kind.PAIR, 0) / 2),
        rooms=tuple(seats // count + (number < seats % count) for number in range(count)),
    )
