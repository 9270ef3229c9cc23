"""The fast path of the handshake, compared with websockets, which handles all other requests."""

import random

import pytest
from starlette.types import Receive, Scope, Send
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gateway.interfaces.connection import CONNECTION
from gateway.protocol.frames import text_frame
from gateway.transport.fast_handshake import MAX_HEADERS, MAX_LINE_BYTES, plain_handshake
from tests.gateway.transport.wire import PING, TEXT, RawClient, Received, frame, handshake
from tests.support.transport_server import LaneApp, Listener, echo, running, until

Headers = list[tuple[bytes, bytes]]

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
PLAIN: Headers = [
    (b"host", b"example.com"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", KEY),
    (b"sec-websocket-version", b"13"),
]


def by_websockets(url: bytes, headers: Headers) -> tuple[str, list[tuple[str, str]]] | None:
    """The key of the response and the headers that websockets parses; None if it rejects the request."""
    protocol = ServerProtocol()
    lines = [b"GET " + url + b" HTTP/1.1", *(name + b": " + value for name, value in headers), b"", b""]
    protocol.receive_data(b"\r\n".join(lines))
    (request,) = protocol.events_received() or (None,)
    if not isinstance(request, Request):
        return None
    answer = protocol.accept(request)
    if answer.status_code != 101:
        return None
    return answer.headers["Sec-WebSocket-Accept"], list(request.headers.raw_items())


def changed(**changes: bytes | None) -> Headers:
    """The headers of a plain handshake with some replaced; None removes one."""
    named = dict(PLAIN) | {name.replace("_", "-").encode(): value for name, value in changes.items()}
    return [(name, value) for name, value in named.items() if value is not None]


@pytest.mark.parametrize(
    "headers",
    [
        PLAIN,
        changed(connection=b"keep-alive, Upgrade"),
        changed(upgrade=b"WebSocket"),
        changed(
            origin=b"https://example.com", cookie=b"access_token=x", sec_websocket_extensions=b"permessage-deflate"
        ),
        changed(authorization=b"Bearer x", x_name="naïve".encode("latin-1"), x_padded=b"between \t"),
    ],
    ids=["bare", "through a proxy", "another case", "a browser's", "a program's"],
)
def test_common_handshakes_are_answered_as_by_websockets(headers: Headers) -> None:
    taken = plain_handshake(b"/ws/chat/1/?since=0", headers)
    theirs = by_websockets(b"/ws/chat/1/?since=0", headers)
    assert taken is not None
    assert theirs is not None
    read = [(name.decode(), value.decode("latin-1")) for name, value in taken.headers]
    assert (taken.accept.decode(), read) == theirs


def test_response_equals_the_rfc_example() -> None:
    taken = plain_handshake(b"/", PLAIN)
    assert taken is not None
    assert taken.accept == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert taken.subprotocols == []


def test_subprotocols_keep_their_order() -> None:
    taken = plain_handshake(b"/", changed(sec_websocket_protocol=b"bearer ,\ta.b-c, X-Y"))
    assert taken is not None
    assert taken.subprotocols == ["bearer", "a.b-c", "X-Y"]


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (b"/" + b"x" * (MAX_LINE_BYTES - 1), PLAIN),
        (b"/", [*PLAIN, *[(b"x", b"")] * (MAX_HEADERS - len(PLAIN))]),
        (b"/", changed(x_long=b"x" * (MAX_LINE_BYTES - len("x-long")))),
        (b"/", [*PLAIN, (b"x", b"1"), (b"x", b"1")]),
    ],
    ids=["url", "headers", "header", "repeated header"],
)
def test_handshake_at_its_bounds_is_plain(url: bytes, headers: Headers) -> None:
    taken = plain_handshake(url, headers)
    assert taken is not None and taken.headers == headers


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (b"/" + b"x" * MAX_LINE_BYTES, PLAIN),
        (b"/", [*PLAIN, *[(b"x", b"")] * (MAX_HEADERS + 1 - len(PLAIN))]),
        (b"/", changed(x_long=b"x" * (MAX_LINE_BYTES + 1 - len("x-long")))),
    ],
    ids=["url", "headers", "header"],
)
def test_handshake_one_beyond_its_bounds_is_not_plain(url: bytes, headers: Headers) -> None:
    assert plain_handshake(url, headers) is None


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (b"/", changed(sec_websocket_key=None)),
        (b"/", changed(sec_websocket_key=b"short==")),
        (b"/", changed(sec_websocket_key=KEY + b"x")),
        (b"/", changed(sec_websocket_key=KEY.replace(b"G", b"!"))),
        (b"/", changed(sec_websocket_version=b"8")),
        (b"/", changed(sec_websocket_version=None)),
        (b"/", changed(upgrade=b"h2c")),
        (b"/", changed(upgrade=b"websocket, h2c")),
        (b"/", changed(connection=b"keep-alive")),
        (b"/", changed(connection=b"Upgrade; x")),
        (b"/", changed(connection=b"Upgrade, (x)")),
        (b"/", changed(connection=None)),
        (b"/", changed(sec_websocket_protocol=b"a b")),
        (b"/", changed(sec_websocket_protocol=b"")),
        (b"/", changed(content_length=b"1")),
        (b"/", changed(transfer_encoding=b"chunked")),
        *((b"/", [*PLAIN, header]) for header in PLAIN if header[0] != b"host"),
        (b"/", [*PLAIN, (b"origin", b"https://a"), (b"origin", b"https://b")]),
        (b"/", changed(x_long=b"x" * MAX_LINE_BYTES)),
        (b"/" + b"x" * MAX_LINE_BYTES, PLAIN),
        (b"/", [*PLAIN, *[(b"x", b"")] * MAX_HEADERS]),
    ],
)
def test_other_handshakes_are_left_to_websockets(url: bytes, headers: Headers) -> None:
    assert plain_handshake(url, headers) is None


def test_handshake_rejected_by_websockets_is_not_accepted() -> None:
    chance = random.Random(6455)
    names = [name for name, _ in PLAIN] + [b"origin", b"sec-websocket-protocol", b"content-length", b"x"]
    values = [value for _, value in PLAIN] + [b"", b"a, b", b"a,,b", b"0", b"UPGRADE ,x", b'"q"', b"upgrade\t", b" 13"]
    taken = 0
    for _ in range(3000):
        headers = [pair for pair in PLAIN if chance.random() < 0.9]
        for _ in range(chance.randrange(3)):
            headers.insert(chance.randrange(len(headers) + 1), (chance.choice(names), chance.choice(values)))
        ours = plain_handshake(b"/", headers)
        if ours is not None:
            taken += 1
            theirs = by_websockets(b"/", headers)
            assert theirs is not None, headers
            assert ours.accept.decode() == theirs[0]
    assert taken > 300


async def test_unusual_handshake_opens_same_connection() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake("/", "Connection: Upgrade"))  # a second one
        assert (await client.answer()).startswith(b"HTTP/1.1 101 ")
        await client.send(frame(TEXT, b"hi"))
        assert await client.read() == Received(TEXT, b"hi")


async def test_idle_socket_keeps_no_parser_and_no_handshake_state() -> None:
    listeners: list[Listener] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        listeners.append(Listener(scope["extensions"][CONNECTION]))
        await send({"type": "websocket.accept"})
        listeners[0].lane.attach(listeners[0])

    async with running(app, ws_ping_interval=0.02) as server, await RawClient.open(server.port) as client:
        for _ in range(3):
            ping = await client.read()
            assert ping is not None
            assert ping.opcode == PING
            await client.send(frame(0xA, ping.payload))
        (socket,) = server.sockets
        await until(lambda: socket.pending_ping_payload is None)
        assert (socket.conn, socket.scope) == (None, None)
        assert not socket.__dict__, "an attribute of uvicorn's that is none of our slots"
        listeners[0].lane.write(text_frame(b"still here"))
        while (received := await client.read()) is not None and received.opcode == PING:
            pass
        assert received == Received(TEXT, b"still here")
