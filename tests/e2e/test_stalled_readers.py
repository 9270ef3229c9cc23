"""One in ten clients of a chat stops reading: others are not affected and resources are freed."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import quantiles

from gateway.sessions.send_queue import DEFAULT_LIMIT
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, User, run_cluster

READERS, STALLED = 36, 4
TEXT = "x" + "\x01" * 999
"""6 kB of JSON: what the kernel keeps for a stalled socket (some 4 MB) is soon full."""
MESSAGES = 200


def open_files(cluster: Cluster) -> int:
    """Descriptors of the node."""
    return len(list(Path(f"/proc/{cluster.nodes[0].pid}/fd").iterdir()))


def resident_bytes(cluster: Cluster) -> int:
    """The node's memory."""
    pages = Path(f"/proc/{cluster.nodes[0].pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def stalled(cluster: Cluster, chat: int, user: User) -> AsyncIterator[None]:
    """A client that says nothing and reads nothing, with a small window."""
    node = cluster.nodes[0]
    client = socket.socket()
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", node.port))
        head = f"GET /ws/chat/{chat}/ HTTP/1.1\r\nHost: 127.0.0.1:{node.port}\r\nAuthorization: Bearer {user.token}\r\n"
        head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        await loop.sock_sendall(client, (head + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode())
        assert b" 101 " in await loop.sock_recv(client, 200)
        yield
    finally:
        client.close()


async def say_all(clients: list[ChatClient]) -> float:
    """The 99th percentile of the time from a message to the last of the clients, in seconds.

    They write in turn, so that none exceeds the rate of a socket, which would slow it down.
    """
    took = []
    for number in range(MESSAGES):
        started = time.perf_counter()
        writer = clients[number % len(clients)]
        seq = (await writer.say(TEXT))["seq"]
        for reader in clients:
            if reader is not writer:
                await reader.next("message", lambda frame, seq=seq: frame["data"]["seq"] == seq)
        took.append(time.perf_counter() - started)
    return quantiles(took, n=100)[98]


async def test_stalled_readers_do_not_affect_others_and_free_resources(
    tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    settings = {"MESSAGES_PER_MINUTE": 0, "PING_INTERVAL_S": 5}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster, AsyncExitStack() as stack:
        ann = await cluster.user("ann")
        users = [await cluster.user("user") for _ in range(READERS + STALLED)]
        chat = await cluster.chat(ann, *users)
        writer = await cluster.enter(0, chat, ann)
        readers = [await cluster.enter(0, chat, user) for user in users[:READERS]]
        baseline_s = min([await say_all([writer, *readers]) for _ in range(2)])
        files, memory = open_files(cluster), resident_bytes(cluster)
        for user in users[READERS:]:
            await stack.enter_async_context(stalled(cluster, chat, user))
        assert open_files(cluster) == files + STALLED
        rounds: list[float] = []  # the best of them says what stalled readers cost: other processes disturb some
        peak = memory
        while "code=4001" not in cluster.nodes[0].log:
            rounds.append(await say_all([writer, *readers]))
            peak = max(peak, resident_bytes(cluster))
        assert peak - memory <= (1 + READERS + STALLED) * DEFAULT_LIMIT
        assert min(rounds) <= 2 * baseline_s
        closed = time.monotonic()
        while open_files(cluster) > files:
            assert time.monotonic() - closed < 90
            await asyncio.sleep(0.1)
        assert all(reader.seqs == writer.seqs[-len(reader.seqs) :] for reader in readers)
        assert cluster.nodes[0].log.count("code=4001") == STALLED
        # The slow ones come back and lack nothing.
        back = await cluster.enter(0, chat, users[-1], since=0)
        await back.next("caught_up")
        assert back.seqs == writer.seqs
