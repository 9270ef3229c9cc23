"""The adapters over several independent Redis servers, each with its own leases, sweepers, probe and queues.

So a Redis that is unavailable or lost its data affects only the chats (with their presence), users (with their limits)
and client names that `shard_of` assigns to it. Every node subscribes to its own channel and to the channel of all nodes
on every shard; the publisher uses one shard that answers.
"""

import asyncio
import hashlib
import random
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from gateway.errors import RedisUnavailable
from gateway.interfaces.broker import BrokerListener
from gateway.interfaces.client_registry import ClientConnection, ConnectedClient
from gateway.interfaces.presence import Entered, Left, PresenceListener, Seat
from gateway.interfaces.rate_limits import Admitted, Exhausted, OnAdmission, RateLimited, Take
from gateway.protocol.replica_report import Report, Seen
from gateway.protocol.replies import Present
from gateway.redis.byte_quotas import RedisByteQuotas
from gateway.redis.caller_buckets import RedisBuckets
from gateway.redis.client_registry import RedisClients, client_field, fields_of, owned_field, user_field
from gateway.redis.peers import Peers
from gateway.redis.presence.presence import RedisPresence
from gateway.redis.pubsub.broker import ServerBroker
from gateway.redis.rate_limits import RedisRateLimits
from gateway.redis.replicas import RedisReplicas
from gateway.redis.tickets import RedisTickets
from storage.auth_records import Credential

_FACTOR = 2862933555777941757
_MASK = (1 << 64) - 1


def shard_of(number: int, count: int) -> int:
    """The shard, 0 … count - 1, of a chat or a user; `number` may be any integer."""
    shard, next_shard = 0, 0
    while next_shard < count:
        shard = next_shard
        number = (number * _FACTOR + 1) & _MASK
        next_shard = int((shard + 1) * ((1 << 31) / ((number >> 33) + 1)))
    return shard


def number_of(name: str) -> int:
    """A hash of a name, identical on every node."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Shard(Protocol):
    """The adapters over one Redis, such as `backend.RedisBackend`."""

    broker: ServerBroker
    presence: RedisPresence
    clients: RedisClients
    limits: RedisRateLimits
    stranger_limits: RedisRateLimits
    caller_buckets: RedisBuckets
    edit_limits: RedisRateLimits
    reaction_limits: RedisRateLimits
    byte_quotas: RedisByteQuotas
    tickets: RedisTickets
    replicas: RedisReplicas
    peers: Peers

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Tell the listeners what happens from now on."""
        ...

    async def close(self) -> None:
        """Send the pending publications, and end."""
        ...


class ShardedBackend:
    """The adapters of one node over all shards, in the same order on all nodes. Call `start` before using them."""

    def __init__(self, shards: Sequence[Shard], node_id: str) -> None:
        self._shards = shards
        self.broker = ShardedBroker([shard.broker for shard in shards], node_id)
        self.presence = ShardedPresence([shard.presence for shard in shards])
        self.clients = ShardedClients([shard.clients for shard in shards])
        self.limits = ShardedLimits([shard.limits for shard in shards])
        self.stranger_limits = ShardedLimits([shard.stranger_limits for shard in shards])
        self.caller_buckets = ShardedBuckets([shard.caller_buckets for shard in shards])
        self.edit_limits = ShardedLimits([shard.edit_limits for shard in shards])
        self.reaction_limits = ShardedLimits([shard.reaction_limits for shard in shards])
        self.byte_quotas = ShardedByteQuotas([shard.byte_quotas for shard in shards])
        self.tickets = ShardedTickets([shard.tickets for shard in shards])
        self.replicas = ShardedReplicas([shard.replicas for shard in shards])

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Tell the listeners what happens from now on."""
        for shard in self._shards:
            shard.start(broker_listener, presence_listener)

    @property
    def differing(self) -> int:
        """The number of disagreeing processes about REDIS_URL or REDIS_PREFIX, summed over all shards."""
        return sum(shard.peers.differing for shard in self._shards)

    def differences(self) -> list[str]:
        """One sentence per such process, up to a limit per shard."""
        return sorted({text for shard in self._shards for text in shard.peers.differences()})

    async def close(self) -> None:
        """Send the pending publications to each Redis that answers, and end."""
        await asyncio.gather(*(shard.close() for shard in self._shards))


_Room = TypeVar("_Room")


class _Sharded(Generic[_Room]):
    """The same adapter of each shard."""

    def __init__(self, rooms: Sequence[_Room]) -> None:
        self._rooms = rooms
        self._count = len(rooms)

    def _of(self, number: int) -> _Room:
        return self._rooms[shard_of(number, self._count)]


class ShardedBroker(_Sharded[ServerBroker]):
    """Implements `gateway.interfaces.broker.Broker`."""

    def __init__(self, brokers: Sequence[ServerBroker], node_id: str) -> None:
        super().__init__(brokers)
        self._node_id = node_id

    @property
    def deaf(self) -> bool:
        """Whether a subscription is broken although commands to the same Redis work."""
        return any(broker.deaf for broker in self._rooms)

    @property
    def down(self) -> bool:
        """Whether any Redis does not answer."""
        return any(broker.down for broker in self._rooms)

    @property
    def refusal(self) -> str:
        """The first refusal, with its place in the list of REDIS_URL."""
        for place, broker in enumerate(self._rooms, start=1):
            if broker.refusal:
                return f"{broker.refusal}, number {place} of the list"
        return ""

    @property
    def unpublished(self) -> int:
        """How many publications wait for a Redis."""
        return sum(broker.unpublished for broker in self._rooms)

    async def subscribe(self, chat_id: int) -> None:
        """Implement `Broker.subscribe`."""
        await self._of(chat_id).subscribe(chat_id)

    def unsubscribe(self, chat_id: int) -> None:
        """Implement `Broker.unsubscribe`."""
        self._of(chat_id).unsubscribe(chat_id)

    def publish(self, chat_id: int, payload: bytes) -> None:
        """Implement `Broker.publish`."""
        self._of(chat_id).publish(chat_id, payload)

    def announce(self, payload: bytes) -> None:
        """Publish to all nodes. One node's messages keep their order as long as the same servers are up."""
        self._one_that_is_up(self._node_id).announce(payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """Publish to one node, in the same order as `announce`."""
        self._one_that_is_up(node_id).send(node_id, payload)

    def _one_that_is_up(self, name: str) -> ServerBroker:
        """The broker of the name's shard, or the next one that is up; the name's own if all are down."""
        home = shard_of(number_of(name), self._count)
        turns = [*self._rooms[home:], *self._rooms[:home]]
        return next((broker for broker in turns if not broker.down), turns[0])


class ShardedPresence(_Sharded[RedisPresence]):
    """Implements `gateway.interfaces.presence.Presence`."""

    @property
    def seats(self) -> int:
        """The number of seats that this node holds."""
        return sum(presence.seats for presence in self._rooms)

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """Implement `Presence.enter`."""
        return await self._of(seat.chat_id).enter(seat, reject_second=reject_second)

    async def leave(self, seat: Seat) -> Left:
        """Implement `Presence.leave`."""
        return await self._of(seat.chat_id).leave(seat)

    async def loosen(self, seat: Seat) -> None:
        """Implement `Presence.loosen`."""
        await self._of(seat.chat_id).loosen(seat)

    def give_up(self, seat: Seat) -> None:
        """Implement `Presence.give_up`."""
        self._of(seat.chat_id).give_up(seat)

    async def members(self, chat_id: int) -> list[Present]:
        """Implement `Presence.members`."""
        return await self._of(chat_id).members(chat_id)

    async def stop(self, linger_s: float) -> None:
        """Give up this node's seats on every shard."""
        await asyncio.gather(*(presence.stop(linger_s) for presence in self._rooms))


class ShardedClients(_Sharded[RedisClients]):
    """Implements `ClientRegistry`: a connection is known on the shards of its client_id, its user, and of both."""

    def arrive(self, bearer: ClientConnection) -> None:
        """Implement `ClientRegistry.arrive`."""
        for field in fields_of(bearer):
            self._of(number_of(field)).add(field, bearer)

    def depart(self, bearer: ClientConnection) -> None:
        """Implement `ClientRegistry.depart`."""
        for field in fields_of(bearer):
            self._of(number_of(field)).remove(field, bearer)

    def enter(self, user_id: int) -> None:
        """Implement `ClientRegistry.enter`."""
        self._of(user_id).enter(user_id)

    def leave(self, user_id: int) -> None:
        """Implement `ClientRegistry.leave`."""
        self._of(user_id).leave(user_id)

    async def online(self, user_ids: Collection[int]) -> set[int]:
        """Implement `ClientRegistry.online`: all shards at once."""
        by_shard: dict[RedisClients, list[int]] = {}
        for user_id in user_ids:
            by_shard.setdefault(self._of(user_id), []).append(user_id)
        return set[int]().union(*await asyncio.gather(*(shard.online(ids) for shard, ids in by_shard.items())))

    async def of_user(self, user_id: int) -> list[ConnectedClient]:
        """Implement `ClientRegistry.of_user`."""
        return await self._of(number_of(user_field(user_id))).of_user(user_id)

    async def where_user(self, user_id: int) -> dict[str, int]:
        """Implement `ClientRegistry.where_user`."""
        return await self._of(number_of(user_field(user_id))).where_user(user_id)

    async def connected_among(self, user_ids: Sequence[int]) -> set[int]:
        """Implement `ClientRegistry.connected_among`."""
        by_shard: dict[RedisClients, list[int]] = {}
        for user_id in user_ids:
            by_shard.setdefault(self._of(number_of(user_field(user_id))), []).append(user_id)
        found = await asyncio.gather(*(shard.connected_among(ids) for shard, ids in by_shard.items()))
        return set().union(*found)

    async def where_client(self, client_id: str, user_id: int | None) -> dict[str, int]:
        """Implement `ClientRegistry.where_client`."""
        return await self._of(number_of(owned_field(client_id, user_id))).where_client(client_id, user_id)

    async def owners_of(self, client_id: str) -> set[int]:
        """Implement `ClientRegistry.owners_of`."""
        return await self._of(number_of(client_field(client_id))).owners_of(client_id)


class ShardedLimits(_Sharded[RedisRateLimits]):
    """Implements `gateway.interfaces.rate_limits.RateLimits`."""

    def decide(self, user_id: int, entry: str, on_admission: OnAdmission) -> None:
        """Implement `RateLimits.decide`."""
        self._of(user_id).decide(user_id, entry, on_admission)

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """Implement `RateLimits.admit`."""
        return await self._of(user_id).admit(user_id, entry)

    def forget(self, user_id: int, entry: str) -> None:
        """Implement `RateLimits.forget`."""
        self._of(user_id).forget(user_id, entry)


class ShardedBuckets(_Sharded[RedisBuckets]):
    """Implements `gateway.interfaces.rate_limits.CallerBuckets`."""

    def known_refusal(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Implement `CallerBuckets.known_refusal`."""
        return self._of(number_of(caller)).known_refusal(caller, takes)

    async def take(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Implement `CallerBuckets.take`."""
        return await self._of(number_of(caller)).take(caller, takes)


class ShardedByteQuotas(_Sharded[RedisByteQuotas]):
    """Implements `gateway.interfaces.rate_limits.ByteQuotas`."""

    async def take(self, key: str, fewest: int, most: int, size: int) -> int | RateLimited:
        """Implement `ByteQuotas.take`."""
        return await self._of(number_of(key)).take(key, fewest, most, size)

    async def give_back(self, key: str, unused: int, size: int) -> None:
        """Implement `ByteQuotas.give_back`."""
        await self._of(number_of(key)).give_back(key, unused, size)


class ShardedTickets(_Sharded[RedisTickets]):
    """Implements `Tickets`: a ticket is stored on one shard that answered, and looked up on all of them."""

    async def issue(self, credential: Credential) -> str:
        """Implement `Tickets.issue`."""
        for tickets in random.sample(self._rooms, self._count):  # spreads load, guards nothing
            try:
                return await tickets.issue(credential)
            except RedisUnavailable:
                continue
        raise RedisUnavailable

    async def redeem(self, ticket: str) -> Credential | None:
        """Implement `Tickets.redeem`."""
        answers = await asyncio.gather(*(tickets.redeem(ticket) for tickets in self._rooms), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, Credential):
                return answer
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return None


class ShardedReplicas(_Sharded[RedisReplicas]):
    """Implements `ReplicaReports`: a report is on every shard that answers, and read from the first one that does."""

    async def put(self, report: Report) -> None:
        """Implement `ReplicaReports.put`."""
        await asyncio.gather(*(replicas.put(report) for replicas in self._rooms), return_exceptions=True)

    async def all(self) -> list[Seen]:
        """Implement `ReplicaReports.all`."""
        for replicas in self._rooms:
            with suppress(RedisUnavailable):
                return await replicas.all()
        raise RedisUnavailable
