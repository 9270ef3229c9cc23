"""The users: what people and programs do in chats, each at a pace that the target's limit on messages allows."""

import random
import threading
import time
from typing import ClassVar, Final

from locust import FastHttpUser, User, task

from loadtests.accounts import log_in
from loadtests.crowd import SETTLE_S, Crowd
from loadtests.member import Member
from loadtests.seats import Kind, Seat
from loadtests.stamp import new_stamp

TEXT: Final = "Are you there? I shall be at the station at half past seven, under the clock."
SPREAD: Final = 0.4
"""Of the pace, either way: with a mean of 12 s nobody writes more than 9 times in any 60 s."""
AWAY_S: Final = (1.0, 10.0)
CUT_SHARE: Final = 0.5
"""Of a reconnector's absences, those that begin with a lost network just after a message was sent."""
REPEAT_SHARE: Final = 0.1
"""Of a publisher's posts, those that it sends again though they were answered."""
TRIES: Final = 5


class Seated(User):
    """Anyone: a user with a seat in a chat of the given kind."""

    abstract = True
    crowd: ClassVar[Crowd]
    kind: ClassVar[Kind]
    seat: Seat | None = None

    def on_start(self) -> None:
        """Take it."""
        self.seat = self.crowd.take(self.kind)

    def on_stop(self) -> None:
        """Give the seat back."""
        if self.seat is not None:
            self.crowd.give_back(self.seat)

    def wait_time(self) -> float:
        """Between two messages."""
        assert self.environment.parsed_options is not None
        pace_s: float = self.environment.parsed_options.pace
        return random.uniform((1 - SPREAD) * pace_s, (1 + SPREAD) * pace_s)

    def renew(self) -> str:
        """A new token."""
        assert self.seat is not None
        return log_in(self.host or "", self.seat.login, self.seat.password)


class Connected(Seated):
    """One with a WebSocket; measures every delivery."""

    abstract = True
    member: Member | None = None

    def on_start(self) -> None:
        """Connect."""
        super().on_start()
        seat = self.seat
        assert seat is not None
        self.member = Member(
            seat,
            self.host or "",
            self.crowd.measure,
            lambda seq, stamp: self.crowd.acked(seat.chat_id, seq, stamp),
            self.renew,
        )
        self.crowd.members.add(self.member)
        self.member.enter()
        time.sleep(random.uniform(0, self.wait_time()))

    def on_stop(self) -> None:
        """Disconnect. A shape may send users away while something of theirs is on its way: it is waited for, though not
        here, where Locust has no patience.
        """
        threading.Thread(target=self._leave, daemon=True).start()

    def _leave(self) -> None:
        if self.member is not None:
            self.member.finish(SETTLE_S)
            self.crowd.members.discard(self.member)
        super().on_stop()

    def say(self) -> None:
        """Write a message, unless the run is about to end."""
        if self.member is not None and not self.crowd.is_settling:
            self.member.say(TEXT)


class Talker(Connected):
    """One of two: both write now and then."""

    kind = Kind.PAIR
    weight = 10

    @task
    def talk(self) -> None:
        """A message."""
        self.say()


class RoomTalker(Connected):
    """One of many, who writes."""

    kind = Kind.ROOM
    weight = 2

    @task
    def talk(self) -> None:
        """A message to everybody."""
        self.say()


class Lurker(Connected):
    """One of many, who only reads: most of what is delivered in a room goes to such."""

    kind = Kind.ROOM
    weight = 6

    @task
    def read(self) -> None:
        """The socket does it."""


class Reconnector(Connected):
    """One of many, whose network is bad: leaves, or loses the connection between a message and its acknowledgement, and
    comes back with `since`."""

    kind = Kind.ROOM
    weight = 1

    @task
    def talk_and_vanish(self) -> None:
        """A message and an absence."""
        self.say()
        if self.member is None or self.crowd.is_settling:
            return
        if random.random() < CUT_SHARE:
            self.member.drop()
            return
        self.member.leave()
        time.sleep(random.uniform(*AWAY_S))
        self.member.come_back()


class Publisher(Seated, FastHttpUser):
    """A program that posts to a room over HTTP; a retry has the same Idempotency-Key and must get the first answer."""

    kind = Kind.ROOM
    weight = 1
    network_timeout = 10.0
    connection_timeout = 10.0
    token = ""

    def on_start(self) -> None:
        """Be there."""
        super().on_start()
        self.token = self.seat.token if self.seat is not None else ""
        time.sleep(random.uniform(0, self.wait_time()))

    @task
    def publish(self) -> None:
        """A message, now and then twice."""
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
        """The seq in the answer, or None and a failure in the statistics."""
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
