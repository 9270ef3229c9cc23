"""The simulated users, people and programs, each at a pace within the message limit of the target."""

import random
import threading
import time
from typing import ClassVar, Final

from locust import FastHttpUser, User, task

from loadtests.accounts import log_in
from loadtests.app_member import AppMember
from loadtests.crowd import SETTLE_S, Crowd
from loadtests.member import Member
from loadtests.participants import Kind, Seat
from loadtests.stamp import new_stamp

TEXT: Final = "Are you there? I shall be at the station at half past seven, under the clock."
SPREAD: Final = 0.4
"""Random variation of the pace: with a mean of 12 s no user writes more than 9 times in any 60 s."""
AWAY_S: Final = (1.0, 10.0)
CUT_SHARE: Final = 0.5
"""The share of a reconnector's absences that begin with a lost network just after a message was sent."""
REPEAT_SHARE: Final = 0.1
"""The share of a publisher's posts that it repeats although they were answered."""
TRIES: Final = 5


class Seated(User):
    """Base class: a user with a seat in a chat of the given kind."""

    abstract = True
    crowd: ClassVar[Crowd]
    kind: ClassVar[Kind]
    seat: Seat | None = None

    def on_start(self) -> None:
        """Take a seat."""
        self.seat = self.crowd.take(self.kind)

    def on_stop(self) -> None:
        """Return the seat."""
        if self.seat is not None:
            self.crowd.give_back(self.seat)

    def wait_time(self) -> float:
        """Seconds between two messages."""
        assert self.environment.parsed_options is not None
        pace_s: float = self.environment.parsed_options.pace
        return random.uniform((1 - SPREAD) * pace_s, (1 + SPREAD) * pace_s)

    def renew(self) -> str:
        """A new token."""
        assert self.seat is not None
        return log_in(self.host or "", self.seat.login, self.seat.password)


class Connected(Seated):
    """A user with a WebSocket; measures every delivery."""

    abstract = True
    member: Member | AppMember | None = None

    def on_start(self) -> None:
        """Connect."""
        super().on_start()
        assert self.seat is not None
        self.member = self.made(self.seat)
        self.crowd.members.add(self.member)
        self.member.enter()
        time.sleep(random.uniform(0, self.wait_time()))

    def on_stop(self) -> None:
        """Disconnect. A shape may stop users with messages in flight: a thread waits for them, as Locust does not."""
        threading.Thread(target=self._leave, daemon=True).start()

    def _leave(self) -> None:
        if self.member is not None:
            self.member.finish(SETTLE_S)
            self.crowd.members.discard(self.member)
        super().on_stop()

    def made(self, seat: Seat) -> Member | AppMember:
        """Its member on the Python client, not connected yet."""
        return AppMember(seat, self.host or "", self.crowd.measure, self.acked, self.renew, self.crowd.loop)

    def acked(self, seq: int, stamp: str) -> None:
        """Record an acknowledged message."""
        assert self.seat is not None
        self.crowd.acked(self.seat.chat_id, seq, stamp)

    def say(self) -> None:
        """Write a message, unless the run is about to end."""
        if self.member is not None and not self.crowd.is_settling:
            self.member.say(TEXT)


class Talker(Connected):
    """One of two users who both write now and then."""

    kind = Kind.PAIR
    weight = 10

    @task
    def talk(self) -> None:
        """Write a message."""
        self.say()


class RoomTalker(Connected):
    """A writer in a room."""

    kind = Kind.ROOM
    weight = 2

    @task
    def talk(self) -> None:
        """Write a message to the room."""
        self.say()


class Lurker(Connected):
    """A reader in a room, who never writes: most deliveries of a room go to such users."""

    kind = Kind.ROOM
    weight = 6

    @task
    def read(self) -> None:
        """Idle: the socket measures the deliveries."""


class Reconnector(Connected):
    """A room member with a bad network: disconnects, or loses the connection before an acknowledgement, and reconnects
    with `since`. Not on the Python client, as `/ws/chat/{chat_id}/` is to be loaded too."""

    kind = Kind.ROOM
    weight = 1

    def made(self, seat: Seat) -> Member:
        """Its member with a socket of its own, not connected yet."""
        return Member(seat, self.host or "", self.crowd.measure, self.acked, self.renew)

    @task
    def talk_and_vanish(self) -> None:
        """Write a message and be disconnected for a while."""
        self.say()
        if not isinstance(self.member, Member) or self.crowd.is_settling:
            return
        if random.random() < CUT_SHARE:
            self.member.drop()
            return
        self.member.leave()
        time.sleep(random.uniform(*AWAY_S))
        self.member.come_back()


class Publisher(Seated, FastHttpUser):
    """A program that posts to a room over HTTP; a retry has the same Idempotency-Key and must get the same response."""

    kind = Kind.ROOM
    weight = 1
    network_timeout = 10.0
    connection_timeout = 10.0
    token = ""

    def on_start(self) -> None:
        """Take a seat and wait for a random part of the pace."""
        super().on_start()
        self.token = self.seat.token if self.seat is not None else ""
        time.sleep(random.uniform(0, self.wait_time()))

    @task
    def publish(self) -> None:
        """Post a message, now and then twice."""
        if self.crowd.is_settling or self.seat is None:
            return
        stamp = new_stamp()
        first = self._post_until_answered(stamp)
        if first is not None:
            self.crowd.acked(self.seat.chat_id, first, stamp)
            if random.random() < REPEAT_SHARE:
                self._post(stamp, expected=first)

    def _post_until_answered(self, stamp: str) -> int | None:
        for attempt in range(TRIES):
            if (seq := self._post(stamp)) is not None:
                return seq
            time.sleep(random.uniform(0, 2.0**attempt / 2))
        return None

    def _post(self, stamp: str, expected: int | None = None) -> int | None:
        """The seq in the response, or None and a failure in the statistics."""
        assert self.seat is not None
        with self.client.post(
            f"/api/v1/chats/{self.seat.chat_id}/messages",
            json={"text": TEXT},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": stamp},
            name="message",
            catch_response=True,
        ) as answer:
            if answer.status_code == 401:
                self.token = self.renew()
            if answer.status_code not in {200, 201}:
                answer.failure(f"HTTP {answer.status_code}")
                return None
            seq: int = answer.json()["seq"]
            if expected not in (None, seq):
                answer.failure("a retry was stored again")
            return seq
