"""Which client_ids are connected where. Meets `gateway.clients.Clients`.

Each node has one hash of its own, which nobody else writes and which lives as long as a lease: so nothing stays behind
a dead node, and there is nothing to sweep. A field is always written whole, from what this node knows, so that to write
it again is all that a loss in Redis asks for. A question goes to the hashes of all known nodes, in one write.
"""

import asyncio
from collections.abc import Iterable
from itertools import islice

import orjson

from gateway.clients import Bearer, ConnectedClient
from gateway.errors import RedisUnavailable
from gateway.redis.lease import INTERVAL_S, LEASE_S, NODES, node_of
from gateway.redis.link import Commands, Script

MAX_LISTED = 100
"""Of a user's sockets on one node; more are only counted."""
FIELDS_A_CALL = 500
RETRY_S = 0.5

_CHANGE = Script("clients")


class RedisClients:
    """The clients of all nodes. `keep` is its owner task."""

    def __init__(
        self, link: Commands, node_id: str, *, lease_s: float = LEASE_S, interval_s: float = INTERVAL_S
    ) -> None:
        self._link = link
        self._node_id = node_id
        self._ttl_ms = round(lease_s * 1000)
        self._interval_s = interval_s
        self._bearers: dict[str, dict[str, Bearer]] = {}
        """By field, then by connection id."""
        self._stale: dict[str, None] = {}
        """Fields that Redis does not have as they are."""
        self._due = asyncio.Event()

    def arrive(self, bearer: Bearer) -> None:
        """See `Clients`."""
        for field in fields_of(bearer):
            self.add(field, bearer)

    def depart(self, bearer: Bearer) -> None:
        """See `Clients`."""
        for field in fields_of(bearer):
            self.remove(field, bearer)

    def add(self, field: str, bearer: Bearer) -> None:
        """The field of `fields_of` has one bearer more."""
        self._bearers.setdefault(field, {})[bearer.connection_id] = bearer
        self._change(field)

    def remove(self, field: str, bearer: Bearer) -> None:
        """It has one less."""
        bearers = self._bearers.get(field, {})
        bearers.pop(bearer.connection_id, None)
        if not bearers:
            self._bearers.pop(field, None)
        self._change(field)

    def _change(self, field: str) -> None:
        self._stale[field] = None
        self._due.set()

    async def of_user(self, user_id: int) -> list[ConnectedClient]:
        """See `Clients`."""
        found = await self._ask(user_field(user_id))
        clients = [ConnectedClient(name, node, since) for node, (_, listed) in found.items() for name, since in listed]
        return sorted(clients, key=lambda client: (client.connected_at, client.client_id))

    async def where_user(self, user_id: int) -> dict[str, int]:
        """See `Clients`."""
        return {node: count for node, (count, _) in (await self._ask(user_field(user_id))).items()}

    async def where_client(self, client_id: str) -> dict[str, int]:
        """See `Clients`."""
        return {node: count for node, (count, _) in (await self._ask(client_field(client_id))).items()}

    async def _ask(self, field: str) -> dict[str, tuple[int, list[tuple[str, int]]]]:
        nodes = {node_of(name.decode()) for name in await self._link.call("SMEMBERS", NODES)}
        known = sorted(nodes | {self._node_id})
        values = await asyncio.gather(*(self._link.call("HGET", _key(node), field) for node in known))
        return {node: orjson.loads(value) for node, value in zip(known, values, strict=True) if value is not None}

    async def keep(self) -> None:
        """Keep this node's hash alive and as it should be, for ever."""
        while True:
            await self._link.connected.wait()
            self._due.clear()
            try:
                await self._renew()
                await self._write()
            except RedisUnavailable:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._due.wait()
            except TimeoutError:
                pass

    async def _renew(self) -> None:
        is_there = await self._link.call("PEXPIRE", _key(self._node_id), self._ttl_ms)
        if not is_there:
            self._stale.update(dict.fromkeys(self._bearers))

    async def _write(self) -> None:
        while batch := list(islice(self._stale, FIELDS_A_CALL)):
            for field in batch:
                del self._stale[field]  # before the call: what changes meanwhile is stale again
            try:
                values = [word for field in batch for word in (field, self._value(field))]
                await self._link.run_script(_CHANGE, _key(self._node_id), self._ttl_ms, *values)
            except RedisUnavailable:
                self._stale.update(dict.fromkeys(batch))
                raise

    def _value(self, field: str) -> bytes:
        bearers = self._bearers.get(field)
        if bearers is None:
            return b""
        listed = islice(bearers.values(), MAX_LISTED if field[0] == _USER else 0)
        return orjson.dumps([len(bearers), [(bearer.client_id, bearer.connected_at) for bearer in listed]])


_USER, _CLIENT = "u", "c"


def user_field(user_id: int) -> str:
    """What is asked for by a user."""
    return f"{_USER}{user_id}"


def client_field(client_id: str) -> str:
    """What is asked for by a client_id."""
    return _CLIENT + client_id


def fields_of(bearer: Bearer) -> Iterable[str]:
    """What a bearer is found by."""
    yield client_field(bearer.client_id)
    if bearer.user_id is not None:
        yield user_field(bearer.user_id)


def _key(node_id: str) -> str:
    return f"clients:{node_id}"
