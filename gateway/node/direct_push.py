"""Direct pushes from services to the sockets of a user or client on any node: at-most-once, nothing is stored.

Anyone can connect with any client_id, so a push to a client goes to the sockets of one owner only.
"""

from gateway.errors import SeveralOwners
from gateway.interfaces.broker import Broker
from gateway.interfaces.client_registry import ClientRegistry
from gateway.protocol.control import ControlMessage, DirectToClient, DirectToUser, encode


class DirectPusher:
    """Sends a push to the nodes that hold matching sockets according to the client registry in Redis."""

    def __init__(self, clients: ClientRegistry, broker: Broker) -> None:
        self._clients = clients
        self._broker = broker

    async def to_user(self, user_id: int, json: bytes) -> int:
        """Send JSON to the user's sockets and return their number.

        Raises: RedisUnavailable.
        """
        return self._send(await self._clients.where_user(user_id), DirectToUser(user_id, json))

    async def to_client(self, client_id: str, user_id: int | None, json: bytes) -> int:
        """Send JSON to the user's sockets with this client_id, and return their number; None: the anonymous ones.

        Raises: RedisUnavailable.
        """
        nodes = await self._clients.where_client(client_id, user_id)
        return self._send(nodes, DirectToClient(client_id, user_id, json))

    async def to_owner(self, client_id: str, json: bytes) -> int:
        """Send JSON to the sockets of the one user who has this client_id; never to anonymous ones.

        Raises: SeveralOwners, RedisUnavailable.
        """
        owners = await self._clients.owners_of(client_id)
        if len(owners) > 1:
            raise SeveralOwners
        return await self.to_client(client_id, owners.pop(), json) if owners else 0

    def _send(self, nodes: dict[str, int], direct: ControlMessage) -> int:
        for node_id in nodes:
            self._broker.send(node_id, encode(direct))
        return sum(nodes.values())
