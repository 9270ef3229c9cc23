"""Random steps of client, application, server and timeouts: no order of them leaves illegal flags (conftest checks)."""

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected

from gateway.interfaces.connection import CONNECTION, Connection
from gateway.protocol.frames import text_frame
from gateway.transport import incoming
from gateway.transport.phase import Phase
from tests.gateway.transport.wire import BINARY, CONT, PING, PONG, TEXT, RawClient, close, frame, handshake
from tests.support.socket_phases import PhaseChecks, check
from tests.support.transport_server import LaneApp, Listener, Server, running, until

RUNS = 150

CLIENT = [
    frame(TEXT, b"hi"),
    frame(BINARY, b"\x00" * 300),
    frame(TEXT, b"x") * 400,
    frame(TEXT, b"x" * 20_000),
    frame(TEXT, b"part", fin=False),
    frame(CONT, b"end"),
    frame(PING, b"p"),
    frame(PONG),
    frame(TEXT, b"\xff"),
    frame(TEXT, b"cut")[:5],
    close(1000),
    b"\xff" * 20,
]


class RandomApp:
    """Accepts or rejects in any way, and then takes random steps."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chance, connection = self._chance, scope["extensions"][CONNECTION]
        await receive()
        await asyncio.sleep(chance.choice([0, 0, 0.005]))
        start = chance.choice(["accept"] * 8 + ["reject", "deny", "return", "raise"])
        if start == "raise":
            raise RuntimeError("a failure of the application")
        if start == "return":
            return
        with suppress(ClientDisconnected, RuntimeError):
            if start == "deny":
                await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
                await send({"type": "websocket.http.response.body", "body": b""})
            elif start == "reject":
                await send({"type": "websocket.close"})
            else:
                await send({"type": "websocket.accept"})
                try:
                    await self._go_on(connection, receive, send)
                finally:
                    connection.resume_reading()  # as every session does: while one pauses, no end of the peer is seen

    async def _go_on(self, connection: Connection, receive: Receive, send: Send) -> None:
        chance = self._chance
        if chance.random() < 0.7:
            connection.attach(Listener(connection, self._act))
        for _ in range(6):
            await asyncio.sleep(chance.choice([0, 0.001]))
            match chance.randrange(9):
                case 0 | 1:
                    connection.pause_reading()
                case 2 | 3:
                    connection.resume_reading()
                case 4:
                    connection.close(4000)
                case 5:
                    await send({"type": "websocket.close"})
                case 6:
                    await send({"type": "websocket.send", "text": "hi"})
                case 7:
                    connection.write(text_frame(b"x" * 1_000_000))
                case _:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(receive(), 0.001)

    def _act(self, listener: Listener, *_: object) -> None:
        match self._chance.randrange(20):
            case 0:
                listener.lane.pause_reading()
                asyncio.get_running_loop().call_soon(listener.lane.resume_reading)
            case 1:
                listener.lane.close(4001)
            case 2:
                raise RuntimeError("a failure of the listener")


def server_step(chance: random.Random, server: Server) -> None:
    for socket in server.sockets:
        step = chance.choice(["", "", "", "overdue", "no pong", "shutdown"])
        if step == "overdue":
            socket.handshake_overdue()
        elif step == "no pong" and socket.phase >= Phase.OPEN:
            socket.keepalive_timeout()
        elif step == "shutdown":
            socket.shutdown()


@pytest.mark.usefixtures("short_bounds")
async def test_flags_random_steps_stay_legal(monkeypatch: pytest.MonkeyPatch, phase_checks: PhaseChecks) -> None:
    for name, value in {"BURST": 300, "FLOOD_ROUNDS": 1}.items():
        monkeypatch.setattr(incoming, name, value)
    for seed in range(RUNS):
        chance = random.Random(seed)
        async with running(RandomApp(chance), ws_ping_interval=0.002, ws_ping_timeout=0.004) as server:
            client = await RawClient.connect(server.port, receive_buffer=4096)
            request = handshake() if chance.random() < 0.7 else handshake("/", f"Origin: {'x' * 8_200}")
            with suppress(OSError):
                await client.send(chance.choice([request, request, request + frame(TEXT, b"early")]))
                for _ in range(8):
                    await asyncio.sleep(chance.choice([0, 0, 0.002]))
                    if client.writer.transport.is_closing():
                        break
                    client.writer.write(chance.choice(CLIENT))
                    if chance.random() < 0.05:
                        server_step(chance, server)
                    if chance.random() < 0.05:
                        client.writer.write_eof()
                        break
            client.writer.transport.abort()
            await until(lambda: not server.sockets)
        assert phase_checks.failures == [], seed
    assert phase_checks.seen == set(Phase)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("disconnected", True), ("read_paused", True), ("_is_lost", True), ("handshake_complete", False)],
)
async def test_check_illegal_flag_fails(flag: str, value: Any) -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port):
        await app.listener()
        (socket,) = server.sockets
        check(socket)
        legal = getattr(socket, flag)
        setattr(socket, flag, value)
        with pytest.raises(AssertionError):
            check(socket)
        setattr(socket, flag, legal)
