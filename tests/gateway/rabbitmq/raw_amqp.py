"""An AMQP client that sends exactly the given bytes: no generated id, and properties that no library would write."""

import socket
import struct

from pamqp import commands, frame
from pamqp.base import Frame

_HEADER = b"AMQP\x00\x00\x09\x01"
_BITS = {
    "content_type": 15,
    "headers": 13,
    "message_id": 7,
    "timestamp": 6,
    "user_id": 4,
    "reply_to": 9,
    "expiration": 8,
}


def publish_raw(port: int, queue: str, body: bytes, **properties: bytes) -> None:
    """Publish one message; properties as the bytes that go over the wire. Returns when the broker has read it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        link.sendall(_HEADER)
        _expect(link, commands.Connection.Start)
        _send(link, 0, commands.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"))
        tune = _expect(link, commands.Connection.Tune)
        assert isinstance(tune, commands.Connection.Tune)
        _send(link, 0, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        _send(link, 0, commands.Connection.Open("/"))
        _expect(link, commands.Connection.OpenOk)
        _send(link, 1, commands.Channel.Open())
        _expect(link, commands.Channel.OpenOk)
        _send(link, 1, commands.Basic.Publish(exchange="", routing_key=queue))
        order = sorted(properties, key=lambda name: -_BITS[name])
        flags = sum(1 << _BITS[name] for name in order)
        header = struct.pack(">HHQH", 60, 0, len(body), flags) + b"".join(properties[name] for name in order)
        link.sendall(_frame(2, header) + (_frame(3, body) if body else b""))
        _send(link, 1, commands.Channel.Close(200, "bye", 0, 0))
        _expect(link, commands.Channel.CloseOk)


def short(text: bytes) -> bytes:
    """A short string."""
    return bytes([len(text)]) + text


def table(content: bytes) -> bytes:
    """A field table."""
    return struct.pack(">I", len(content)) + content


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"


def _send(link: socket.socket, channel: int, method: Frame) -> None:
    link.sendall(frame.marshal(method, channel))


def _expect(link: socket.socket, kind: type[Frame]) -> object:
    head = _read(link, 7)
    (size,) = struct.unpack(">I", head[3:])
    _, _, method = frame.unmarshal(head + _read(link, size + 1))
    assert isinstance(method, kind), method
    return method


def _read(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = link.recv(size - len(data))
        assert chunk, "the broker hung up"
        data += chunk
    return data
