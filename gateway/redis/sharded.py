"""The rooms over several Redis, each of which is whole in itself: with its own leases, sweepers, probe and queues.

So a Redis that is away, or lost everything, concerns what belongs to it and nothing else. What belongs where is in
`shards`: chats with their presence, users with their limit, and the names by which clients are found. A node hears
what is said to it, or to all, on every shard: the speaker takes one that answers.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from gateway.broker import BrokerListener
from gateway.clients import Bearer, ConnectedClient
from gateway.errors import RedisUnavailable
from gateway.messages import Present, RateLimited
from gateway.presence import Entered, Left, PresenceListener, Seat
from gateway.rate_limits import Admitted
from gateway.redis.clients import RedisClients, client_field, fields_of, user_field
from gateway.redis.presence import RedisPresence
from gateway.redis.rate_limits import RedisRateLimits
from gateway.redis.server_broker import ServerBroker
from gateway.redis.shards import number_of, shard_of
from gateway.redis.tickets import RedisTickets
from gateway.tickets import Redeemed


class Shard(Protocol):
    """The rooms over one Redis: see `client.RedisRooms`."""

    broker: ServerBroker
    presence: RedisPresence
    clients: RedisClients
    limits: RedisRateLimits
    tickets: RedisTickets

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Tell the listeners what happens from now on."""
        ...

    async def close(self) -> None:
        """Let what was handed over reach Redis, and end."""
        ...


class ShardedRooms:
    """The rooms of one node over all shards, in the same order on all nodes. They work once `start` was called."""

    def __init__(self, shards: Sequence[Shard], node_id: str) -> None:
        self._shards = shards
        self.broker = ShardedBroker([shard.broker for shard in shards], node_id)
        self.presence = ShardedPresence([shard.presence for shard in shards])
        self.clients = ShardedClients([shard.clients for shard in shards])
        self.limits = ShardedLimits([shard.limits for shard in shards])
        self.tickets = ShardedTickets([shard.tickets for shard in shards])

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Tell the listeners what happens from now on."""
        for shard in self._shards:
            shard.start(broker_listener, presence_listener)

    async def close(self) -> None:
        """Let what was handed over reach each Redis that answers, and end."""
        await asyncio.gather(*(shard.close() for shard in self._shards))


_Room = TypeVar("_Room")


class _Sharded(Generic[_Room]):
    """One room of each shard."""

    def __init__(self, rooms: Sequence[_Room]) -> None:
        self._rooms = rooms
        self._count = len(rooms)

    def _of(self, number: int) -> _Room:
        return self._rooms[shard_of(number, self._count)]


class ShardedBroker(_Sharded[ServerBroker]):
    """Meets `gateway.broker.Broker`."""

    def __init__(self, brokers: Sequence[ServerBroker], node_id: str) -> None:
        super().__init__(brokers)
        self._node_id = node_id

    @property
    def deaf(self) -> bool:
        """Whether a subscription of this node's is broken although the Redis beside it works."""
        return any(broker.deaf for broker in self._rooms)

    @property
    def down(self) -> bool:
        """Whether any of them does not answer."""
        return any(broker.down for broker in self._rooms)

    @property
    def unpublished(self) -> int:
        """How many publications wait for a Redis."""
        return sum(broker.unpublished for broker in self._rooms)

    async def subscribe(self, chat_id: int) -> None:
        """See `Broker`."""
        await self._of(chat_id).subscribe(chat_id)

    def unsubscribe(self, chat_id: int) -> None:
        """See `Broker`."""
        self._of(chat_id).unsubscribe(chat_id)

    def publish(self, chat_id: int, payload: bytes) -> None:
        """See `Broker`."""
        self._of(chat_id).publish(chat_id, payload)

    def announce(self, payload: bytes) -> None:
        """See `Broker`. Of one node in order, as long as the same Redis are up; of many nodes spread over them."""
        self._one_that_is_up(self._node_id).announce(payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """See `Broker`; in order as `announce`."""
        self._one_that_is_up(node_id).send(node_id, payload)

    def _one_that_is_up(self, name: str) -> ServerBroker:
        """The one that the name belongs to, or else the next; that one too if all are away."""
        home = shard_of(number_of(name), self._count)
        turns = [*self._rooms[home:], *self._rooms[:home]]
        return next((broker for broker in turns if not broker.down), turns[0])


class ShardedPresence(_Sharded[RedisPresence]):
    """Meets `gateway.presence.Presence`."""

    @property
    def seats(self) -> int:
        """How many seats this node holds."""
        return sum(presence.seats for presence in self._rooms)

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """See `Presence`."""
        return await self._of(seat.chat_id).enter(seat, reject_second=reject_second)

    async def leave(self, seat: Seat) -> Left:
        """See `Presence`."""
        return await self._of(seat.chat_id).leave(seat)

    async def loosen(self, seat: Seat) -> None:
        """See `Presence`."""
        await self._of(seat.chat_id).loosen(seat)

    def give_up(self, seat: Seat) -> None:
        """See `Presence`."""
        self._of(seat.chat_id).give_up(seat)

    async def members(self, chat_id: int) -> list[Present]:
        """See `Presence`."""
        return await self._of(chat_id).members(chat_id)

    async def stop(self, linger_s: float) -> None:
        """This node is leaving, on every shard."""
        await asyncio.gather(*(presence.stop(linger_s) for presence in self._rooms))


class ShardedClients(_Sharded[RedisClients]):
    """Meets `gateway.clients.Clients`: a bearer is known where its name is asked for, and where its user is."""

    def arrive(self, bearer: Bearer) -> None:
        """See `Clients`."""
        for field in fields_of(bearer):
            self._of(number_of(field)).add(field, bearer)

    def depart(self, bearer: Bearer) -> None:
        """See `Clients`."""
        for field in fields_of(bearer):
            self._of(number_of(field)).remove(field, bearer)

    async def of_user(self, user_id: int) -> list[ConnectedClient]:
        """See `Clients`."""
        return await self._of(number_of(user_field(user_id))).of_user(user_id)

    async def where_user(self, user_id: int) -> dict[str, int]:
        """See `Clients`."""
        return await self._of(number_of(user_field(user_id))).where_user(user_id)

    async def where_client(self, client_id: str) -> dict[str, int]:
        """See `Clients`."""
        return await self._of(number_of(client_field(client_id))).where_client(client_id)


class ShardedLimits(_Sharded[RedisRateLimits]):
    """Meets `gateway.rate_limits.RateLimits`."""

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """See `RateLimits`."""
        return await self._of(user_id).admit(user_id, entry)

    def forget(self, user_id: int, entry: str) -> None:
        """See `RateLimits`."""
        self._of(user_id).forget(user_id, entry)


class ShardedTickets(_Sharded[RedisTickets]):
    """Meets `gateway.tickets.Tickets`: a ticket is on one shard, whichever answered, and looked for on all of them."""

    async def issue(self, user_id: int, expires_at: int) -> str:
        """See `Tickets`."""
        for tickets in random.sample(self._rooms, self._count):  # spreads load, guards nothing
            try:
                return await tickets.issue(user_id, expires_at)
            except RedisUnavailable:
                continue
        raise RedisUnavailable

    async def redeem(self, ticket: str) -> Redeemed | None:
        """See `Tickets`."""
        answers = await asyncio.gather(*(tickets.redeem(ticket) for tickets in self._rooms), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, Redeemed):
                return answer
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return None
