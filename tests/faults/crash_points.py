"""Where a node of the rig kills itself with −9. The product knows nothing of it: the node's runner patches these in.

The rig writes an order ("after_commit 7": at the seventh from now) into a file and sends SIGUSR1.
"""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway.node.node import Node
from storage.log.commit_postgres import PostgresCommit, _Column
from storage.records import ChatEvent, NewEvent

LAST_WORDS_S = 0.02
"""So long a node lives on where something must still leave it, or must not."""


class CrashPoint(StrEnum):
    """On the way of a message through a node."""

    BEFORE_COMMIT = "before_commit"
    DURING_COMMIT = "during_commit"  # sent to the database, no answer yet: the outcome is unknown
    AFTER_COMMIT = "after_commit"  # stored and not published
    AFTER_PUBLISH = "after_publish"  # published to other nodes, delivered to no client of this node: no ack
    AFTER_ACK = "after_ack"  # delivered to clients of this node only: the PUBLISH is lost


class CrashPoints:
    """The order that this process is under."""

    def __init__(self, orders: Path) -> None:
        self._orders = orders
        self._point = ""
        self._left = 0

    def install(self) -> None:
        """Obey from now on."""
        signal.signal(signal.SIGUSR1, lambda *_: self._read())
        self._patch_commit()
        self._patch_serve()

    def _read(self) -> None:
        point, number = self._orders.read_text().split()
        self._point, self._left = point, int(number)

    def _is_due(self, point: CrashPoint) -> bool:
        if self._point == point:
            self._left -= 1
        return self._point == point and self._left == 0

    def _patch_commit(self) -> None:
        call = PostgresCommit._call

        async def watched_call(
            commit: PostgresCommit, events: Sequence[NewEvent], columns: Sequence[_Column], patient: bool
        ) -> Any:
            if self._is_due(CrashPoint.BEFORE_COMMIT):
                die()
            if self._is_due(CrashPoint.DURING_COMMIT):
                asyncio.get_running_loop().call_later(random.uniform(0, 0.003), die)
            answer = await call(commit, events, columns, patient)
            if self._is_due(CrashPoint.AFTER_COMMIT):
                die()
            return answer

        PostgresCommit._call = watched_call  # type: ignore[method-assign, assignment]

    def _patch_serve(self) -> None:
        serve = Node._serve

        def watched_serve(node: Node, event: ChatEvent) -> None:
            if self._is_due(CrashPoint.AFTER_ACK):
                node._publish = _nothing  # type: ignore[method-assign]
                asyncio.get_running_loop().call_later(LAST_WORDS_S, die)
            if self._is_due(CrashPoint.AFTER_PUBLISH):
                node._hub.broadcast = _nothing  # type: ignore[method-assign]
                asyncio.get_running_loop().call_later(LAST_WORDS_S, die)
            serve(node, event)

        Node._serve = watched_serve  # type: ignore[method-assign, assignment]


def _nothing(*_: object, **__: object) -> None:
    pass


def die() -> None:
    """kill −9."""
    os.kill(os.getpid(), signal.SIGKILL)


ALL_POINTS: Sequence[CrashPoint] = tuple(CrashPoint)
