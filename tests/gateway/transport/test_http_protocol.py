"""The timers and bounds of one HTTP socket, and its check of Host, with a transport that records."""

import asyncio
import gc
import weakref
from operator import sub
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from gateway.transport import http_protocol
from gateway.transport.http_protocol import MAX_HEAD_BYTES, MAX_UNREAD_BYTES, STALL_S, HttpProtocol
from gateway.transport.server_queues import BODY_S, HEAD_S, REQUESTS_A_TURN, queues_of
from gateway.transport.websocket_protocol import WebSocketProtocol
from gateway.turns import Turns
from httpapi.security_headers import HEADERS
from tests.gateway.transport.wire import handshake
from tests.support.recorded_transport import Transport, settle

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """A socket of HTTP, and an application that answers a request when `may_answer` is set."""

    def __init__(self, state: ServerState | None = None) -> None:
        self.may_answer = asyncio.Event()
        self.messages: list[Any] = []
        self.begun = 0
        config = uvicorn.Config(self.app, http=HttpProtocol, ws=WebSocketProtocol, interface="asgi3", log_config=None)
        config.load()
        self.state = state or ServerState()
        self.queues = queues_of(self.state, config)
        self.transport: Any = Transport()
        self.http = HttpProtocol(config, self.state, {})
        self.http.connection_made(self.transport)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await self.may_answer.wait()
        self.messages.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def answers(self) -> int:
        """The number of responses so far, after a few turns of the loop."""
        await settle()
        return bytes(self.transport.written).count(b"HTTP/1.1 200 ")

    @property
    def request_s(self) -> float | None:
        queues = ((HEAD_S, self.queues.heads), (BODY_S, self.queues.bodies))
        return next((seconds for seconds, queue in queues if self.http in queue._due), None)

    @property
    def response_s(self) -> float | None:
        """The seconds until the timer runs, rounded up; None without one."""
        timer = self.http._response_timer
        if timer is None or timer.cancelled():
            return None
        return round(timer.when() - asyncio.get_running_loop().time() + 0.4)


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.mark.parametrize("request_", [GET, handshake()], ids=["request", "handshake"])
async def test_herd_of_requests_begins_a_few_a_turn(client: Client, request_: bytes) -> None:
    herd = [client, *(Client(client.state) for _ in range(2 * REQUESTS_A_TURN))]
    for each in herd:
        each.http.data_received(request_)
    begun: list[int] = []
    while not begun or begun[-1] < len(herd):
        await asyncio.sleep(0)
        begun.append(sum(each.begun for each in herd))
    assert max(map(sub, begun, [0, *begun])) <= REQUESTS_A_TURN
    assert [each.begun for each in herd] == [1] * len(herd)


async def test_probe_does_not_wait_for_herd(client: Client) -> None:
    herd = [client, *(Client(client.state) for _ in range(2 * REQUESTS_A_TURN))]
    for each in herd:
        each.http.data_received(GET)
    probes = [Client(client.state), Client(client.state)]
    for probe in probes:
        probe.http.data_received(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0)
    assert (sum(each.begun for each in herd), [probe.begun for probe in probes]) == (REQUESTS_A_TURN, [1, 0])
    await settle()
    assert [probe.begun for probe in probes] == [1, 1]


async def test_connection_starts_timeout_of_first_head(client: Client) -> None:
    assert (client.request_s, client.response_s, client.transport.limits) == (HEAD_S, None, [0])
    due = client.queues.heads._due[client.http]
    client.http.data_received(GET[:20])
    assert client.queues.heads._due[client.http] == due
    client.http.connection_lost(None)
    assert client.request_s is None


async def test_request_timer_follows_its_parts(client: Client) -> None:
    client.may_answer.set()
    for _ in range(2):
        client.http.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r")
        assert client.request_s == HEAD_S
        client.http.data_received(b"\n1")
        assert client.request_s == BODY_S
        client.http.data_received(b"2")
        assert client.request_s is None
        await client.answers()
    assert client.transport.ends == []


@pytest.mark.parametrize("request_", [GET, handshake()], ids=["request", "handshake"])
async def test_past_connection_leaves_nothing_to_collect(client: Client, request_: bytes) -> None:
    http, connection = weakref.ref(client.http), client.http
    client.may_answer.set()
    gc.disable()
    try:
        connection.data_received(request_)
        await settle()
        if request_ == GET:  # else it is a WebSocket now
            connection.connection_lost(None)
        del client.http, connection
        await settle()
        assert http() is None
    finally:
        gc.enable()


async def test_overdue_request_is_aborted(client: Client) -> None:
    client.http.request_overdue()
    assert client.transport.ends == ["abort"]


async def test_overdue_request_behind_another_waits(client: Client) -> None:
    client.http.data_received(GET + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
    assert not client.transport.is_read
    client.queues.bodies.discard(client.http)
    client.http.request_overdue()
    assert (client.transport.ends, client.request_s) == ([], BODY_S)
    client.http.connection_lost(None)


async def test_unread_response_has_its_own_timeout(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.http.pause_writing()
    assert (client.response_s, client.http.flow.write_paused) == (STALL_S, True)
    timer = client.http._response_timer
    client.http.resume_writing()
    assert (client.response_s, client.http.flow.write_paused) == (None, False)
    assert timer is not None and timer.cancelled() and client.transport.ends == []
    monkeypatch.setattr(http_protocol, "STALL_S", 0)
    client.http.pause_writing()
    async with asyncio.timeout(6):
        while not client.transport.ends:
            await asyncio.sleep(0)
    assert client.transport.ends == ["abort"]


async def test_lost_connection_cancels_both_timers(client: Client) -> None:
    client.http.pause_writing()
    timer = client.http._response_timer
    client.http.connection_lost(OSError())
    assert (client.request_s, timer and timer.cancelled()) == (None, True)


@pytest.mark.parametrize(
    "lines",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n",
        b"GET / HTTP/1.1\r\nHost: a@b\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n",
    ],
)
async def test_invalid_host_is_rejected(client: Client, lines: bytes) -> None:
    client.may_answer.set()
    client.http.data_received(lines + b"\r\n")
    assert await client.answers() == 0
    head, _, body = client.transport.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body == b"The request needs exactly one valid Host header."
    assert client.transport.ends == ["close"]


@pytest.mark.parametrize(
    "lines",
    [
        b"GET / HTTP/1.0\r\n",
        b"GET / HTTP/1.1\r\nHost: \r\n",
        b"GET / HTTP/1.1\r\nHost: a-1.example.com:8000 \r\n",
        b"GET / HTTP/1.1\r\nX-Host: a/b\r\nHost: [::1]\t\r\n",
        b"GET / HTTP/1.1\r\nhOST: A~z_%!$&'()*+,;=\r\n",
    ],
)
async def test_valid_host_is_accepted(client: Client, lines: bytes) -> None:
    client.may_answer.set()
    client.http.data_received(lines + b"\r\n")
    assert await client.answers() == 1


async def test_other_bad_request_is_named_so(client: Client) -> None:
    client.http.data_received(b"nonsense\r\n\r\n")
    assert client.transport.written.endswith(b"\r\n\r\nInvalid HTTP request received.")
    assert client.transport.ends == ["close"]


async def test_head_one_byte_too_long_is_aborted(client: Client) -> None:
    client.http.data_received(b"G")  # the read with the beginning is not counted
    client.http.data_received(b"ET / HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES - 18))
    assert client.transport.ends == []
    client.http.data_received(b"x")
    assert client.transport.ends == ["abort"]


async def test_body_does_not_count_as_head(client: Client) -> None:
    client.may_answer.set()
    client.http.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * MAX_HEAD_BYTES))
    for _ in range(2):
        client.http.data_received(b"x" * MAX_HEAD_BYTES)
    client.http.data_received(GET[:20] + b"x" * (MAX_HEAD_BYTES - 100))
    assert client.transport.ends == []


async def test_held_input_one_byte_too_long_is_aborted(client: Client) -> None:
    client.http.data_received(GET * 200)
    assert (client.http.flow.is_held, client.transport.is_read) == (True, False)
    held = len(client.http._unread) - client.http._at
    client.http.data_received(b"x" * (MAX_UNREAD_BYTES - held))
    assert client.transport.ends == []
    assert (len(client.http._unread), client.http._at) == (MAX_UNREAD_BYTES, 0)
    client.http.data_received(b"x")
    assert client.transport.ends == ["abort"]
    client.http.connection_lost(None)
    assert (client.http._unread, client.http.flow.is_held) == (b"", False)


async def test_held_requests_are_answered_in_turns(client: Client) -> None:
    count = 4 * http_protocol.PORTION_BYTES // len(GET)
    client.http.data_received(GET * count)
    assert client.http.flow.is_held and 0 < client.http._at < len(GET) * count
    client.http.flow.resume_reading()
    assert not client.transport.is_read, "held input keeps reading paused"
    client.may_answer.set()
    async with asyncio.timeout(6):
        while await client.answers() < count:
            assert len(client.http.pipeline) <= http_protocol.PORTION_BYTES // len(GET) + 1
    assert (client.http.flow.is_held, client.http._unread, client.transport.is_read) == (False, b"", True)
    assert len(client.queues.turns) == 0


async def test_response_with_nothing_held_takes_no_turn(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[Any] = []
    monkeypatch.setattr(Turns, "add", lambda _, one: added.append(one))
    client.may_answer.set()
    client.http.data_received(GET * 2)
    assert (await client.answers(), added) == (2, [])


async def test_held_input_of_closing_socket_is_dropped(client: Client) -> None:
    client.http.data_received(GET * 200)
    client.transport.close()
    client.http.proceed()
    assert (client.http._unread, client.http.flow.is_held, client.transport.is_read) == (b"", False, False)


async def test_lost_connection_ends_request_in_progress(client: Client) -> None:
    client.http.data_received(GET * 3)
    await client.answers()
    client.http.connection_lost(None)
    client.may_answer.set()
    assert await client.answers() == 0
    assert [message["type"] for message in client.messages] == ["http.disconnect"]


@pytest.mark.parametrize("headers", [[], ["Connection: Upgrade"]], ids=["plain", "other"])
async def test_upgrade_hands_socket_over(client: Client, headers: list[str]) -> None:
    client.http.data_received(handshake("/", *headers))
    assert isinstance(client.transport.protocol, WebSocketProtocol)
    assert (client.request_s, client.transport.limits) == (None, [0, None])
    assert client.state.connections == {client.transport.protocol}
    assert (client.transport.protocol._handshake is None) is bool(headers)
    client.transport.protocol.connection_lost(None)
    client.may_answer.set()
    await client.answers()


async def test_bad_request_has_security_headers(client: Client) -> None:
    client.http.data_received(b"NONSENSE\r\n\r\n")
    head = client.transport.written.partition(b"\r\n\r\n")[0].decode()
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert headers.items() >= HEADERS.items()
    assert client.transport.ends == ["close"]


async def test_bad_request_behind_unanswered_one_is_aborted(client: Client) -> None:
    client.http.data_received(GET + b"NONSENSE\r\n\r\n")
    assert (client.transport.written, client.transport.ends) == (b"", ["abort"])
    client.http.connection_lost(None)


async def test_malformed_body_is_its_requests_only_response(client: Client) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    client.http.data_received(chunked)
    assert client.transport.written.startswith(b"HTTP/1.1 400 ")
    client.may_answer.set()
    assert await client.answers() == 0
    assert client.messages == [{"type": "http.disconnect"}]


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_other_upgrade_is_ignored_and_body_read(client: Client, size: int) -> None:
    client.may_answer.set()
    body = b"\r\n" * 2000 + GET
    request = b"POST / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for at in range(0, len(request), size):
        client.http.data_received(request[at : at + size])
    assert await client.answers() == 1
    client.http.data_received(GET)
    assert await client.answers() == 2
    assert client.transport.ends == []


async def test_request_behind_ignored_upgrade_is_answered(client: Client) -> None:
    client.may_answer.set()
    client.http.data_received((b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n" + GET) * 5)
    for _ in range(20):
        await settle()
    assert await client.answers() == 10


async def test_frames_behind_ignored_upgrade_are_rejected(client: Client) -> None:
    client.may_answer.set()
    client.http.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n")
    assert await client.answers() == 1
    client.transport.take()
    client.http.data_received(handshake() + b"x")
    assert client.transport.written.endswith(b"Nothing may follow the request for a WebSocket until it is answered.")


@pytest.mark.parametrize("target", [b"a:1", b"/"])
async def test_connect_is_rejected(client: Client, target: bytes) -> None:
    client.http.data_received(b"CONNECT " + target + b" HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
    assert client.transport.written.startswith(b"HTTP/1.1 400 ")
    assert (client.transport.ends, client.messages) == (["close"], [])


@pytest.mark.parametrize("method", ["POST / HTTP/1.1", "GET / HTTP/1.0"])
async def test_upgrade_of_other_request_is_not_plain(client: Client, method: str) -> None:
    client.http.data_received(handshake().replace(b"GET / HTTP/1.1", method.encode()))
    protocol = client.transport.protocol
    assert protocol is None or protocol._handshake is None
    if protocol is not None:
        protocol.connection_lost(None)
    client.may_answer.set()
    await client.answers()


async def test_bytes_after_upgrade_request_are_rejected(client: Client) -> None:
    client.http.data_received(handshake() + b"x")
    assert client.transport.written.startswith(b"HTTP/1.1 400 ")
    assert client.transport.written.endswith(b"Nothing may follow the request for a WebSocket until it is answered.")
    assert (client.transport.ends, client.transport.protocol) == (["close"], None)


@pytest.mark.parametrize("is_unread", [False, True], ids=["unanswered", "unread"])
async def test_upgrade_behind_open_response_is_aborted(client: Client, is_unread: bool) -> None:
    if is_unread:
        client.http.pause_writing()
    else:
        client.http.data_received(GET)
    client.http.data_received(handshake())
    assert (client.transport.ends, client.transport.protocol) == (["abort"], None)
    client.http.connection_lost(None)


async def test_upgrade_after_answered_request_is_made(client: Client) -> None:
    client.may_answer.set()
    client.http.data_received(GET)
    assert await client.answers() == 1
    client.http.data_received(handshake())
    assert isinstance(client.transport.protocol, WebSocketProtocol)
    client.transport.protocol.connection_lost(None)
    await client.answers()
