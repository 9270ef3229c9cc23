"""What services say to a user or to a client, wherever it is connected: at most once, and nothing is kept for later."""

from gateway.announcements import Announcement, DirectToClient, DirectToUser, encode
from gateway.broker import Broker
from gateway.clients import Clients


class Directs:
    """Addresses nodes by what Redis knows of their sockets."""

    def __init__(self, clients: Clients, broker: Broker) -> None:
        self._clients = clients
        self._broker = broker

    async def to_user(self, user_id: int, json: bytes) -> int:
        """Send JSON to the user's sockets; how many there are.

        Raises: RedisUnavailable.
        """
        return self._send(await self._clients.where_user(user_id), DirectToUser(user_id, json))

    async def to_client(self, client_id: str, json: bytes) -> int:
        """Send JSON to the sockets that bear this client_id, whoever they belong to; how many there are.

        Raises: RedisUnavailable.
        """
        return self._send(await self._clients.where_client(client_id), DirectToClient(client_id, json))

    def _send(self, nodes: dict[str, int], direct: Announcement) -> int:
        for node_id in nodes:
            self._broker.send(node_id, encode(direct))
        return sum(nodes.values())
