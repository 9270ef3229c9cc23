"""What becomes a line of Locust's statistics: by what it is called there, and whether it is a failure."""

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # importing Locust patches the process, which the tests of a member do not want
    from locust.event import EventHook

logger = logging.getLogger("loadtests")

WS: Final = "WS"
HTTP: Final = "HTTP"
CLOCK_ERROR_S: Final = 0.005


class Name(StrEnum):
    """The lines. Those of the second half are there only if something is wrong."""

    CONNECT = "connect"  # handshake to greeting
    RESUME = "resume"  # handshake with ?since= to caught_up
    ACK = "ack"  # a message's first sending to its sender's own copy
    LATE_ACK = "ack after a reconnect"  # the same where the connection was lost before it came
    DELIVERY = "delivery"  # a message's first sending to another member's copy
    REPLAY = "replay"  # the same where the member was away: how long it lacked the message
    POST = "post"  # POST …/messages to its answer

    CLOSED = "closed"  # the server or the network ended a socket, other than by a drain
    REFUSED = "refused"  # an error frame
    GAP = "gap"
    DUPLICATE = "duplicate"
    UNACKED = "unacked"  # sent, and not acknowledged by the end
    LOST = "lost"  # acknowledged, and not in the history


class Broken(Exception):
    """A failure's text in the statistics; the same words for the same thing, as each text is a line of its own."""


class Measure:
    """Fires Locust's request event."""

    def __init__(self, request: "EventHook") -> None:
        self._request = request
        self._clocks_told = False

    def took(self, kind: str, name: Name, seconds: float, size: int = 0) -> None:
        """It went well, in so long."""
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
        """It went wrong; `what` is from a small set of words."""
        self._request.fire(
            request_type=kind,
            name=name.value,
            response_time=seconds * 1e3,
            response_length=0,
            exception=Broken(what),
            context={},
        )
