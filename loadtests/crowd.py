"""The users of one worker: their seats, assigned by the usher, and the messages acknowledged to them."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from queue import Empty, Queue
from typing import Any, Final

from locust.env import Environment
from locust.exception import StopUser
from locust.runners import Runner

from loadtests.app_member import AppMember
from loadtests.event_loop import EventLoop
from loadtests.measure import WS, Measure, Name
from loadtests.member import Member
from loadtests.participants import Kind, Seat

SETTLE_S: Final = 10.0
"""The longest wait, after the last send, for outstanding acknowledgements; then for outstanding deliveries."""
SEAT_WAIT_S: Final = 30.0


class Crowd:
    """One per process. Communicates with the usher by Locust messages, which are calls within one process."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self.measure = Measure(environment.events.request)
        self.members: set[Member | AppMember] = set()
        self.loop = EventLoop()
        self.is_settling = False
        self._runner = runner
        self._acked: dict[int, dict[int, str]] = defaultdict(dict)
        self._asked: dict[int, Queue[Any]] = {}
        self._numbers = count()
        runner.register_message("seat", self._seated)
        runner.register_message("storm", self._storm)
        runner.register_message("settle", self._settle, concurrent=True)
        runner.register_message("end", self._end, concurrent=True)
        environment.events.test_start.add_listener(self._start)

    def take(self, kind: Kind) -> Seat:
        """An exclusive seat until it is returned; blocks.

        Raises: StopUser if there is none.
        """
        number = next(self._numbers)
        answer = self._asked[number] = Queue()
        self._runner.send_message("seat_wanted", {"kind": kind.value, "number": number})
        try:
            fields = answer.get(timeout=SEAT_WAIT_S)
        except Empty:
            fields = None
        finally:
            del self._asked[number]
        if fields is None:
            raise StopUser(f"there is no {kind} seat: --users says how many are made")
        return Seat(**fields | {"kind": kind})

    def give_back(self, seat: Seat) -> None:
        """Return the seat for the next user."""
        self._runner.send_message("seat_left", asdict(seat))

    def acked(self, chat_id: int, seq: int, stamp: str) -> None:
        """Record a message that the target has acknowledged as stored."""
        self._acked[chat_id][seq] = stamp

    def _start(self, **_: object) -> None:
        self.is_settling = False
        self._acked.clear()

    def _seated(self, msg: Any, **_: object) -> None:
        if (waiting := self._asked.get(msg.data["number"])) is not None:
            waiting.put(msg.data["seat"])

    def _storm(self, **_: object) -> None:
        for member in list(self.members):
            member.drop()

    def _settle(self, **_: object) -> None:
        """Stop writing and, once all is acknowledged, send the usher the acknowledged ids. Members keep listening."""
        self.is_settling = True
        for member in list(self.members):
            member.come_back()
        self._while_any(lambda member: member.unacked > 0)
        acked = [(chat_id, list(stamps.items())) for chat_id, stamps in self._acked.items()]
        self._runner.send_message("settled", {"acked": acked})

    def _end(self, msg: Any, **_: object) -> None:
        """Close all members when they have received the last events of their chats, or after SETTLE_S."""
        last = dict(msg.data["last"])
        for _late in self._while_any(lambda member: member.lacks(last)):
            self.measure.failed(WS, Name.GAP, "the end of the chat never came")
        for member in list(self.members):
            threading.Thread(target=member.close, daemon=True).start()
        self._runner.send_message("ended")

    def _while_any(self, is_waiting: Callable[[Member | AppMember], bool]) -> list[Member | AppMember]:
        """Wait while any member satisfies the condition, at most SETTLE_S; the members that still do."""
        deadline = time.monotonic() + SETTLE_S
        while found := [member for member in list(self.members) if is_waiting(member)]:
            if time.monotonic() >= deadline:
                break
            time.sleep(0.05)
        return found
