"""The lines of Locust's statistics: their names and the recording of successes and failures."""

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # importing Locust patches the process, which the tests of `Member` must avoid
    from locust.event import EventHook

logger = logging.getLogger("loadtests")

WS: Final = "WS"
HTTP: Final = "HTTP"
CLOCK_ERROR_S: Final = 0.005


class Name(StrEnum):
    """The lines. Those of the second half appear only if something is wrong."""

    CONNECT = "connect"  # from handshake to greeting, or to the end of `subscribe`
    RESUME = "resume"  # from handshake with ?since=, or from the new connection, to caught_up
    ACK = "ack"  # from the first sending of a message to the sender's own copy, or to the return of `send`
    LATE_ACK = "ack after a reconnect"  # the same if the connection was lost in between
    DELIVERY = "delivery"  # from the first sending of a message to the copy of another member
    REPLAY = "replay"  # the same for a member that was disconnected: how long it lacked the message
    POST = "post"  # from POST …/messages to the response

    CLOSED = "closed"  # the server or the network ended a socket, other than by a drain
    REFUSED = "refused"  # an error frame
    GAP = "gap"
    DUPLICATE = "duplicate"
    UNACKED = "unacked"  # sent, and not acknowledged by the end
    LOST = "lost"  # acknowledged, and not in the history


class Broken(Exception):
    """The text of a failure in the statistics. A small set: Locust makes a separate line for each text."""


class Measure:
    """Fires Locust's request event."""

    def __init__(self, request: "EventHook") -> None:
        self._request = request
        self._clocks_told = False

    def took(self, kind: str, name: Name, seconds: float, size: int = 0) -> None:
        """Record a success and its duration."""
        if seconds < -CLOCK_ERROR_S and not self._clocks_told:
            self._clocks_told = True
            logger.warning(
                "Clocks differ by %.0f ms or more: latencies of deliveries are off by as much", -1e3 * seconds
            )
        self._request.fire(
            request_type=kind,
            name=name.value,
            response_time=max(0.0, seconds) * 1e3,
            response_length=size,
            exception=None,
            context={},
        )

    def failed(self, kind: str, name: Name, what: str, seconds: float = 0.0) -> None:
        """Record a failure; `what` is from a small set of words."""
        self._request.fire(
            request_type=kind,
            name=name.value,
            response_time=seconds * 1e3,
            response_length=0,
            exception=Broken(what),
            context={},
        )
