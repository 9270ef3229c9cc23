"""One WebSocket to one chat with websocket-client: blocking calls, which Locust's gevent makes cooperative.

Not the Python client: a user must be able to cut its connection, and a delivery must cost the measuring process little.
"""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
import websocket
from websocket import ABNF

CONNECT_TIMEOUT_S: Final = 10.0
SILENCE_S: Final = 60.0
"""A connection without even a ping for this long is dead: the server pings every 25 s (PING_INTERVAL_S)."""
ABNORMAL: Final = 1006  # RFC 6455 §7.4.1: ended without a close frame

Frame = dict[str, Any]


@dataclass
class Refused(Exception):
    """The handshake failed with an HTTP status, or 0 if there was no response."""

    status: int
    what: str


@dataclass
class Lost(Exception):
    """The connection has ended."""

    code: int
    reason: str = ""

    @property
    def retry_after_s(self) -> float | None:
        """The reconnect delay that the server requests, if any."""
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):
            return float(orjson.loads(self.reason)["retry_after_ms"]) / 1e3
        return None


class ChatSocket:
    """Connected on creation. One thread may read while others send.

    Raises: Refused.
    """

    def __init__(self, url: str, token: str) -> None:
        try:
            self._socket = websocket.create_connection(
                url,
                timeout=CONNECT_TIMEOUT_S,
                header=[f"Authorization: Bearer {token}"],
                enable_multithread=True,  # the reader answers pings while a user sends
                suppress_origin=True,  # with an Origin it would be rejected by a close code, not by a status
                skip_utf8_validation=True,  # orjson checks it; the check in pure Python costs more than everything else
                sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            )
        except websocket.WebSocketBadStatusException as error:
            raise Refused(error.status_code, f"HTTP {error.status_code}") from None
        except (websocket.WebSocketException, OSError) as error:
            raise Refused(0, type(error).__name__) from None
        self._socket.settimeout(SILENCE_S)

    def receive(self) -> tuple[Frame, int]:
        """The next frame and its size in bytes; blocks and responds to pings meanwhile.

        Raises: Lost.
        """
        try:
            while True:
                opcode, payload = self._socket.recv_data(control_frame=True)
                if opcode == ABNF.OPCODE_TEXT:
                    return orjson.loads(payload), len(payload)
                if opcode == ABNF.OPCODE_CLOSE:
                    code = int.from_bytes(payload[:2], "big") if payload else 1005
                    raise Lost(code, payload[2:].decode(errors="replace"))
        except (websocket.WebSocketException, OSError) as error:
            raise Lost(ABNORMAL, type(error).__name__) from None
        except orjson.JSONDecodeError:
            raise Lost(ABNORMAL, "no JSON") from None

    def send(self, frame: Frame) -> None:
        """Send a command. If the connection has ended, only the reader raises."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.send_text(orjson.dumps(frame).decode())

    def leave(self) -> None:
        """Start the closing handshake; the reader gets Lost once the server has responded."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.send((1000).to_bytes(2, "big"), ABNF.OPCODE_CLOSE)

    def cut(self) -> None:
        """End the connection without a close frame, like a lost network; the reader gets Lost."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.abort()

    def close(self) -> None:
        """Close the file descriptor; called by the reader when it is done."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.shutdown()
