"""One WebSocket to one chat, by websocket-client: blocking calls, which Locust's gevent makes cooperative."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
import websocket
from websocket import ABNF

CONNECT_TIMEOUT_S: Final = 10.0
SILENCE_S: Final = 60.0
"""Without even a ping for so long, the connection is dead: the server pings every 25 s (PING_INTERVAL_S)."""
ABNORMAL: Final = 1006  # RFC 6455 §7.4.1: ended without a close frame

Frame = dict[str, Any]


@dataclass
class Refused(Exception):
    """The handshake failed: with an HTTP status, or 0 if there was no answer."""

    status: int
    what: str


@dataclass
class Lost(Exception):
    """The connection is over."""

    code: int
    reason: str = ""

    @property
    def retry_after_s(self) -> float | None:
        """When the server asks to be seen again, if it says so."""
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):
            return float(orjson.loads(self.reason)["retry_after_ms"]) / 1e3
        return None


class ChatSocket:
    """Open when made. One may read while others send.

    Raises: Refused.
    """

    def __init__(self, url: str, token: str) -> None:
        try:
            self._socket = websocket.create_connection(
                url,
                timeout=CONNECT_TIMEOUT_S,
                header=[f"Authorization: Bearer {token}"],
                enable_multithread=True,  # the reader answers pings while a user sends
                suppress_origin=True,  # who has one is refused by a close code, on which no balancer can act
                skip_utf8_validation=True,  # orjson does it; the pure Python one costs more than all the rest
                sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            )
        except websocket.WebSocketBadStatusException as error:
            raise Refused(error.status_code, f"HTTP {error.status_code}") from None
        except (websocket.WebSocketException, OSError) as error:
            raise Refused(0, type(error).__name__) from None
        self._socket.settimeout(SILENCE_S)

    def receive(self) -> tuple[Frame, int]:
        """The next frame and its size in bytes; blocks. Pings are answered meanwhile.

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
        """Send a command; of a connection that is over, its reader hears."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.send_text(orjson.dumps(frame).decode())

    def leave(self) -> None:
        """Say goodbye: the reader gets Lost once the server has answered."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.send((1000).to_bytes(2, "big"), ABNF.OPCODE_CLOSE)

    def cut(self) -> None:
        """End it without a word, as a lost network does; the reader gets Lost."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.abort()

    def close(self) -> None:
        """Let go of the file descriptor; for the reader, once it is done."""
        with suppress(websocket.WebSocketException, OSError):
            self._socket.shutdown()
