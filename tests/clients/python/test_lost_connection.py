"""A command that finds its connection closed, before the client has read the end of it."""

import asyncio
import gc
import json

from chat_gateway_client import Client
from websockets.asyncio.server import ServerConnection, serve

LIMIT_S = 60
"""Ends a hang."""


async def answer(socket: ServerConnection) -> None:
    async for text in socket:
        command = json.loads(text)
        kind = {"hello": "hello", "ping": "pong"}[command["type"]]
        await socket.send(json.dumps({"type": kind, "id": command["id"], "user_id": 7, "authenticated": True}))


async def test_command_on_closed_socket_waits_for_next_one() -> None:
    async with serve(answer, "127.0.0.1", 0) as server, asyncio.timeout(LIMIT_S):
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with Client(url, "token") as client:
            assert client._socket is not None
            client._socket.transport.abort()
            await asyncio.sleep(0)  # the socket is closed, and its reader wakes in the next turn of the event loop
            assert (await client.command("ping"))["type"] == "pong"


async def test_connection_lost_while_command_is_sent_is_no_error() -> None:
    """The loop would report the exception of a reply that its command does not await yet."""
    problems: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    client = Client("http://127.0.0.1:1", "token")
    client._replies[1] = loop.create_future()
    client._lose()
    client._replies.clear()
    gc.collect()
    assert problems == []
