"""The limits of what echo sessions store, on a socket."""

import asyncio

from websockets.asyncio.client import ClientConnection

from gateway.interfaces.rate_limits import RateLimited
from gateway.protocol.codes import Close
from gateway.sessions.echo_quota import LINE_BYTES, PORTION_BYTES, EchoLimits, EchoQuota
from gateway.tasks import Tasks
from storage.records import Quota
from tests.gateway.echo_server import USER_ID, EchoServer, LocalQuotas, echo_server, end_of, everything
from tests.support.transport_server import until

MESSAGE = "x" * 768
COST = 2 * (len(MESSAGE) + LINE_BYTES)
"""What its echo costs."""


def stored_bytes(server: EchoServer) -> int:
    return sum(len(line.payload) + LINE_BYTES for line in server.transcripts.stored)


async def send_until_closed(client: ClientConnection, count: int) -> list[str | bytes]:
    """Send messages without waiting, and return the echoes."""
    for _ in range(count):
        await client.send(MESSAGE)
    return await everything(client)


async def test_session_ends_when_its_transcript_is_full() -> None:
    async with echo_server(limits=EchoLimits(session=10 * COST)) as server:
        async with server.client() as client:
            assert len(await send_until_closed(client, 12)) == 10
            assert await end_of(client) == (Close.QUOTA_EXCEEDED, "this session's transcript is full")
        assert stored_bytes(server) == 10 * COST
        assert server.metric("chat_gateway_quota_rejections_total", quota="echo_session") == 1
        assert server.metric("chat_gateway_transcripts_lost_total") == 0
        async with server.client() as client:
            await client.send("again")
            assert await client.recv() == "again"


async def test_user_and_address_store_no_more_than_their_hour() -> None:
    for limits, quota in (
        (EchoLimits(user=100 * COST, address=10_000 * COST), Quota.ECHO_USER),
        (EchoLimits(user=10_000 * COST, address=100 * COST), Quota.ECHO_ADDRESS),
    ):
        async with echo_server(limits=limits) as server:
            async with server.client() as first, server.client() as second:
                echoes = await asyncio.gather(*(send_until_closed(client, 90) for client in (first, second)))
                assert (await end_of(first))[0] == (await end_of(second))[0] == Close.QUOTA_EXCEEDED
            assert sum(len(each) for each in echoes) <= 100
            assert stored_bytes(server) <= 100 * COST
            assert stored_bytes(server) > 100 * COST - 2 * PORTION_BYTES
            assert server.metric("chat_gateway_quota_rejections_total", quota=quota) == 2


async def test_closed_session_gives_back_what_it_did_not_use() -> None:
    limits = EchoLimits(user=PORTION_BYTES, address=PORTION_BYTES)
    async with echo_server(limits=limits) as server:
        for _ in range(10):
            async with server.client() as client:
                await client.send("hi")
                assert await client.recv() == "hi"
            await until(lambda: len(server.echo.tasks) == 0)
        used = 10 * 2 * (len("hi") + LINE_BYTES)
        assert all(abs(left - (PORTION_BYTES - used)) < 20 for left in await left_of(server.quotas, limits))


async def test_refused_request_takes_nothing_of_other_limits() -> None:
    limits = EchoLimits(user=10 * PORTION_BYTES, address=COST)
    async with echo_server(limits=limits) as server, server.client() as client:
        await client.send("x" * COST)
        assert (await end_of(client))[0] == Close.QUOTA_EXCEEDED
        assert await left_of(server.quotas, limits) == [10 * PORTION_BYTES, COST]


async def test_user_without_room_for_a_message_is_recognised() -> None:
    tasks, quotas = Tasks(), LocalQuotas()
    quota = EchoQuota(quotas, EchoLimits(user=10_000, address=20_000), tasks)
    assert await quota.exceeded(USER_ID, "a") is None
    await quotas.take(f"echo:user:{USER_ID}", 9_900, 9_900, 10_000)
    exceeded = await quota.exceeded(USER_ID, "a")
    assert exceeded is not None
    assert exceeded.quota is Quota.ECHO_USER
    assert 100 < exceeded.retry_after_s < 200
    assert await quota.exceeded(USER_ID + 1, "a") is None


async def test_session_takes_only_what_it_has_requested() -> None:
    tasks, quotas = Tasks(), LocalQuotas()
    allowance = EchoQuota(quotas, EchoLimits(user=PORTION_BYTES), tasks).allowance(USER_ID, "a")
    assert not allowance.take(1)
    exceeded: list[Quota | None] = []
    allowance.request(10, exceeded.append)
    await until(lambda: len(exceeded) == 1)
    assert (exceeded, allowance.take(PORTION_BYTES - 1), allowance.take(2)) == ([None], True, False)
    allowance.close()
    await until(lambda: len(tasks) == 0)
    assert not allowance.take(1), "it was given back"
    assert await quotas.take(f"echo:user:{USER_ID}", 1, PORTION_BYTES, PORTION_BYTES) == 1


async def left_of(quotas: LocalQuotas, limits: EchoLimits) -> list[int]:
    """What is left of the user's and the address's bucket."""
    left: list[int] = []
    for key, size in ((f"echo:user:{USER_ID}", limits.user), ("echo:address:192.0.2.1", limits.address)):
        taken = await quotas.take(key, 0, size, size)
        assert not isinstance(taken, RateLimited)
        left.append(taken)
    return left
