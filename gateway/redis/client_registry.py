"""The connected client_ids and their nodes. Implements `gateway.interfaces.client_registry.ClientRegistry`.

Each node has one hash, which only this node writes and which expires like a lease, so a dead node leaves nothing to
sweep. A field is always written as a whole from this node's memory, so writing it again repairs any loss in Redis. A
lookup reads the hashes of all known nodes in one pipelined write.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import RedisUnavailable
from gateway.interfaces.client_registry import ClientConnection, ConnectedClient
from gateway.redis.connection.command_client import CommandExecutor, Script
from gateway.redis.presence.lease import INTERVAL_S, LEASE_S, NODES, node_of

MAX_LISTED = 100
"""The maximum of sockets of a user or a client_id that a node lists; further ones are only counted."""
FIELDS_A_CALL = 500
RETRY_S = 0.5

_CHANGE = Script(Path(__file__).with_name("client_registry.lua"))


class RedisClients:
    """The clients of all nodes. `keep` is its owner task."""

    def __init__(
        self, link: CommandExecutor, node_id: str, *, lease_s: float = LEASE_S, interval_s: float = INTERVAL_S
    ) -> None:
        self._link = link
        self._node_id = node_id
        self._ttl_ms = round(lease_s * 1000)
        self._interval_s = interval_s
        self._bearers: dict[str, dict[str, ClientConnection]] = {}
        """By field, then by connection id."""
        self._stale: dict[str, None] = {}
        """Fields whose value in Redis is missing or outdated."""
        self._due = asyncio.Event()

    def arrive(self, bearer: ClientConnection) -> None:
        """Implement `ClientRegistry.arrive`."""
        for field in fields_of(bearer):
            self.add(field, bearer)

    def depart(self, bearer: ClientConnection) -> None:
        """Implement `ClientRegistry.depart`."""
        for field in fields_of(bearer):
            self.remove(field, bearer)

    def add(self, field: str, bearer: ClientConnection) -> None:
        """Add a connection to one of its `fields_of`."""
        self._bearers.setdefault(field, {})[bearer.connection_id] = bearer
        self._change(field)

    def remove(self, field: str, bearer: ClientConnection) -> None:
        """Remove a connection from one of its `fields_of`."""
        bearers = self._bearers.get(field, {})
        bearers.pop(bearer.connection_id, None)
        if not bearers:
            self._bearers.pop(field, None)
        self._change(field)

    def _change(self, field: str) -> None:
        self._stale[field] = None
        self._due.set()

    def enter(self, user_id: int) -> None:
        """Implement `ClientRegistry.enter`."""
        self.add(present_field(user_id), ClientConnection("", user_id, "", 0))

    def leave(self, user_id: int) -> None:
        """Implement `ClientRegistry.leave`."""
        self.remove(present_field(user_id), ClientConnection("", user_id, "", 0))

    async def online(self, user_ids: Collection[int]) -> set[int]:
        """Implement `ClientRegistry.online`: one read of each known node's hash, all in one write."""
        fields = [present_field(user_id) for user_id in user_ids]
        if not fields:
            return set()
        known = await self._nodes()
        found = await asyncio.gather(*(self._link.call("HMGET", _key(node), *fields) for node in known))
        return {user_id for values in found for user_id, value in zip(user_ids, values, strict=True) if value}

    async def of_user(self, user_id: int) -> list[ConnectedClient]:
        """Implement `ClientRegistry.of_user`."""
        by_node = await self._lookup(user_field(user_id))
        clients = [
            ConnectedClient(name, node, since) for node, (_, listed) in by_node.items() for name, since in listed
        ]
        return sorted(clients, key=lambda client: (client.connected_at, client.client_id))

    async def where_user(self, user_id: int) -> dict[str, int]:
        """Implement `ClientRegistry.where_user`."""
        return {node: count for node, (count, _) in (await self._lookup(user_field(user_id))).items()}

    async def connected_among(self, user_ids: Sequence[int]) -> set[int]:
        """Implement `ClientRegistry.connected_among`, in one pipelined write of every field of every node."""
        nodes = await self._nodes()
        asked = [(user_id, node) for user_id in user_ids for node in nodes]
        values = await asyncio.gather(*(self._link.call("HGET", _key(node), user_field(id_)) for id_, node in asked))
        return {user_id for (user_id, _), value in zip(asked, values, strict=True) if value is not None}

    async def where_client(self, client_id: str, user_id: int | None) -> dict[str, int]:
        """Implement `ClientRegistry.where_client`."""
        field = owned_field(client_id, user_id)
        return {node: count for node, (count, _) in (await self._lookup(field)).items()}

    async def owners_of(self, client_id: str) -> set[int]:
        """Implement `ClientRegistry.owners_of`."""
        by_node = await self._lookup(client_field(client_id))
        return {user_id for _, listed in by_node.values() for user_id in listed}

    async def _lookup(self, field: str) -> dict[str, tuple[int, list[Any]]]:
        known = await self._nodes()
        values = await asyncio.gather(*(self._link.call("HGET", _key(node), field) for node in known))
        return {node: orjson.loads(value) for node, value in zip(known, values, strict=True) if value is not None}

    async def _nodes(self) -> list[str]:
        nodes = {node_of(name.decode()) for name in await self._link.call("SMEMBERS", NODES)}
        return sorted(nodes | {self._node_id})

    async def keep(self) -> None:
        """Keep this node's hash alive and up to date, until cancelled."""
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
                del self._stale[field]  # before the call, so that a change during the call marks it stale again
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
        first = list(islice(bearers.values(), MAX_LISTED))
        listed: list[Any] = []
        if field[0] == _USER:
            listed = [(bearer.client_id, bearer.connected_at) for bearer in first]
        elif field[0] == _CLIENT:
            listed = list(dict.fromkeys(bearer.user_id for bearer in first))
        return orjson.dumps([len(bearers), listed])


_USER, _CLIENT, _OWNED, _PRESENT = "u", "c", "o", "p"


def user_field(user_id: int) -> str:
    """The hash field of a user's connections."""
    return f"{_USER}{user_id}"


def present_field(user_id: int) -> str:
    """The hash field of a user who has a socket of any kind."""
    return f"{_PRESENT}{user_id}"


def client_field(client_id: str) -> str:
    """The hash field of the users' connections with a client_id, which lists their users."""
    return _CLIENT + client_id


def owned_field(client_id: str, user_id: int | None) -> str:
    """The hash field of one user's connections with a client_id, or of the anonymous ones."""
    return f"{_OWNED}{'' if user_id is None else user_id}:{client_id}"


def fields_of(bearer: ClientConnection) -> Iterable[str]:
    """The hash fields in which a connection is listed."""
    yield owned_field(bearer.client_id, bearer.user_id)
    if bearer.user_id is not None:
        yield client_field(bearer.client_id)
        yield user_field(bearer.user_id)


def _key(node_id: str) -> str:
    return f"clients:{node_id}"
