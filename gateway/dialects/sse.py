"""The native protocol's JSON in an event stream. Each payload that moves the stream's position names the new one first.

The line before the JSON is `<chat> <seq>` of an event, or with an epoch `+…` at the start of a subscription and `=…` at
the end of a replay and at a reset. So a payload is encoded once for all streams, and each stream adds its own `id`.
"""

from gateway.dialects.base import Request
from gateway.dialects.native import NativeDialect
from gateway.protocol.pushes import Push
from gateway.protocol.replies import CaughtUp, Established, Reply, Reset
from gateway.protocol.stream_positions import StreamPositions
from storage.records import ChatEvent


class SseDialect(NativeDialect):
    """What a stream writes. Its commands are the native ones."""

    name = "sse"

    def push(self, push: Push) -> bytes | None:
        """The encoding of `push`, behind the position of a stored event."""
        payload = super().push(push)
        if payload is None or not isinstance(push, ChatEvent):
            return payload
        return b"%d %d\n%b" % (push.chat_id, push.seq, payload)

    def reply(self, reply: Reply, request: Request | None) -> bytes | None:
        """The encoding of `reply`, behind the position of one that has a position."""
        payload = super().reply(reply, request)
        match reply:
            case _ if payload is None:
                return None
            case Established(chat_id=chat_id, last_seq=seq, epoch=epoch):
                return b"+%d %d %b\n%b" % (chat_id, seq, epoch.encode(), payload)
            case CaughtUp(chat_id=chat_id, seq=seq, epoch=epoch) | Reset(chat_id=chat_id, last_seq=seq, epoch=epoch):
                return b"=%d %d %b\n%b" % (chat_id, seq, epoch.encode(), payload)
        return payload


def event_of(payload: bytes, positions: StreamPositions) -> bytes:
    """A payload of SseDialect as an event of one stream, whose positions it moves."""
    if payload.startswith(b"{"):
        return b"data: %b\n\n" % _one_line(payload)
    position, _, json = payload.partition(b"\n")
    _advance(positions, position.decode())
    return b"id: %b\ndata: %b\n\n" % (positions.id.encode(), _one_line(json))


def _advance(positions: StreamPositions, position: str) -> None:
    chat_id, seq, *epoch = position.lstrip("+=").split(" ")
    if not epoch:
        positions.move(int(chat_id), int(seq))
    elif position.startswith("+"):
        positions.start(int(chat_id), int(seq), epoch[0])
    else:
        positions.reset(int(chat_id), int(seq), epoch[0])


def _one_line(json: bytes) -> bytes:
    """JSON without line breaks: those of a service's own JSON are between its tokens."""
    return json.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in json or b"\r" in json else json
