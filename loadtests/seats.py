"""Who sits in which chat: seats, and the plan of how many there must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

SPARE: Final = 2
"""Locust's shares of users are not exact to one."""


class Kind(StrEnum):
    """What the chat is for."""

    PAIR = "pair"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Seat:
    """A user with a token, a member of a chat. No two seats have one user."""

    kind: Kind
    login: str
    password: str
    token: str
    chat_id: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How many chats of which size."""

    pairs: int
    rooms: tuple[int, ...]

    @property
    def people(self) -> int:
        """How many accounts that takes."""
        return 2 * self.pairs + sum(self.rooms)


def plan(users: int, weights: Mapping[Kind, float], room_size: int) -> Plan:
    """Chats for so many users of classes that have these weights together; rooms are about equally large."""
    total = sum(weights.values())
    wanted = {kind: ceil(users * weight / total) + SPARE for kind, weight in weights.items() if weight}
    seats = wanted.get(Kind.ROOM, 0)
    count = ceil(seats / room_size)
    return Plan(
        pairs=ceil(wanted.get(Kind.PAIR, 0) / 2),
        rooms=tuple(seats // count + (number < seats % count) for number in range(count)),
    )
