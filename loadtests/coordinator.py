"""Assigns seats to the workers. At the end it collects the acknowledged messages, makes the workers check that every
member has received them, and compares them with the history.

It runs in the process that decides the result: the master, or the only process.
"""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import httpx
from locust.env import Environment
from locust.runners import WORKER_REPORT_INTERVAL, MasterRunner, Runner

from loadtests.accounts import TargetRefused, log_in
from loadtests.crowd import SETTLE_S
from loadtests.measure import HTTP, Measure, Name
from loadtests.participants import Kind, Seat

PAGE: Final = 200
"""The longest page of the API."""

logger = logging.getLogger("loadtests")


class Usher:
    """Keeps the free seats and a user that can read each chat."""

    def __init__(self, environment: Environment, runner: Runner, seats: Iterable[Seat]) -> None:
        self._environment = environment
        self._runner = runner
        self._measure = Measure(environment.events.request)
        self._free: dict[Kind, deque[Seat]] = defaultdict(deque)
        self._readers: dict[int, Seat] = {}
        self._acked: dict[int, dict[int, str]] = defaultdict(dict)
        self._answers = 0
        self._is_open = False
        for seat in seats:
            self._free[seat.kind].append(seat)
            self._readers.setdefault(seat.chat_id, seat)
        runner.register_message("seat_wanted", self._deal)
        runner.register_message("seat_left", self._take_back)
        runner.register_message("settled", self._note)
        runner.register_message("ended", self._count)
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stopping.add_listener(self.conclude)

    def _start(self, **_: object) -> None:
        self._is_open = True
        self._acked.clear()

    def _deal(self, msg: Any, **_: object) -> None:
        free = self._free[Kind(msg.data["kind"])]
        seat = asdict(free.popleft()) if free else None
        self._runner.send_message("seat", {"number": msg.data["number"], "seat": seat}, client_id=msg.node_id)

    def _take_back(self, msg: Any, **_: object) -> None:
        seat = Seat(**msg.data | {"kind": Kind(msg.data["kind"])})
        self._free[seat.kind].append(seat)

    def _note(self, msg: Any, **_: object) -> None:
        for chat_id, stamps in msg.data["acked"]:
            self._acked[chat_id].update(stamps)
        self._count()

    def _count(self, *_: object, **__: object) -> None:
        self._answers += 1

    def _ask(self, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Return once every worker has responded; a missing response is a failure."""
        workers = len(self._runner.clients.all) if isinstance(self._runner, MasterRunner) else 1
        self._answers = 0
        self._runner.send_message(message, data)
        deadline = time.monotonic() + 2 * SETTLE_S
        while self._answers < workers and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._answers < workers:
            self._measure.failed(HTTP, Name.LOST, "a worker did not say what was acknowledged, or heard")

    def conclude(self, **_: object) -> None:
        """Let every worker finish and compare with the history; once per run. Called before users are stopped: Locust
        gives workers half a second for that and drops later reports."""
        if not self._is_open:
            return
        self._is_open = False
        self._ask("settle")
        self._ask("end", {"last": [(chat_id, max(stamps)) for chat_id, stamps in self._acked.items()]})
        if isinstance(self._runner, MasterRunner):
            time.sleep(WORKER_REPORT_INTERVAL + 0.5)  # until every worker has reported its last figures
        self._look_for_acked()

    def _look_for_acked(self) -> None:
        lost = 0
        with httpx.Client(base_url=self._environment.host or "", timeout=30) as http:
            for chat_id, stamps in self._acked.items():
                stored = _history(http, self._readers[chat_id], min(stamps) - 1, max(stamps))
                for seq, stamp in stamps.items():
                    if stored.get(seq) != stamp:
                        self._measure.failed(HTTP, Name.LOST, "acknowledged, and not in the history")
                        lost += 1
        total = sum(map(len, self._acked.values()))
        logger.info("%d of %d acknowledged messages are in the history", total - lost, total)


def _history(http: httpx.Client, reader: Seat, after: int, last: int) -> dict[int, str]:
    """The ids of the stored messages, by seq. Messages that cannot be read are missing and count as lost."""
    found: dict[int, str] = {}
    with suppress(httpx.TransportError, TargetRefused):
        while after < last and (page := _page(http, reader, after)):
            found.update((message["seq"], message["client_msg_id"]) for message in page)
            after = page[-1]["seq"]
    return found


def _page(http: httpx.Client, reader: Seat, after: int) -> list[Any]:
    """The messages after this seq; none if they cannot be read. Raises: httpx.TransportError, TargetRefused."""

    def ask(token: str) -> httpx.Response:
        return http.get(
            f"/api/v1/chats/{reader.chat_id}/messages",
            params={"after_seq": after, "limit": PAGE},
            headers={"Authorization": f"Bearer {token}"},
        )

    answer = ask(reader.token)
    if answer.status_code == 401:  # the token has expired in a long run
        answer = ask(log_in(str(http.base_url), reader.login, reader.password))
    page: list[Any] = answer.json()["messages"] if answer.is_success else []
    return page
