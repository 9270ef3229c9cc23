"""Ends the sessions of a user on every node: by an entry of the log of revocations, or once, without one."""

from collections.abc import Collection

from gateway.delivery.subscription import SubscriptionRegistry
from gateway.interfaces.broker import Broker
from gateway.interfaces.session import OpenSession
from gateway.node.local_clients import LocalClients
from gateway.node.policy.revocation_list import RevocationList
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.control import RevocationsAdded, UserDisconnected, encode

_DISCONNECTED = Disconnect(Close.FORBIDDEN, "disconnected by the service")
_RECONNECT = Disconnect(Close.DRAIN, '{"retry_after_ms":1000}')


class UserSessions:
    """Every method is synchronous. Redis carries only the hint; without it nodes read the log within seconds."""

    def __init__(
        self,
        sessions: Collection[OpenSession],
        local_clients: LocalClients,
        subscriptions: SubscriptionRegistry,
        revocation_list: RevocationList,
        broker: Broker,
    ) -> None:
        self._sessions = sessions
        self._local_clients = local_clients
        self._subscriptions = subscriptions
        self._revocation_list = revocation_list
        self._broker = broker

    def revoked(self) -> None:
        """Make every node read the log of revocations, after an entry was committed."""
        self._revocation_list.announce()
        self._broker.announce(encode(RevocationsAdded()))

    def disconnect(self, disconnected: UserDisconnected) -> None:
        """Close the user's sockets on every node that Redis reaches. They may connect again."""
        self.take(disconnected)
        self._broker.announce(encode(disconnected))

    def take(self, announcement: RevocationsAdded | UserDisconnected) -> None:
        """Do on this node what another has announced."""
        if isinstance(announcement, RevocationsAdded):
            self._revocation_list.announce()
        else:
            self._close(announcement)

    def _close(self, disconnected: UserDisconnected) -> None:
        reason = _RECONNECT if disconnected.reconnect else _DISCONNECTED
        user_id, chat_id = disconnected.user_id, disconnected.chat_id
        if disconnected.client_id is not None:
            for client in self._local_clients.of_client(disconnected.client_id, user_id):
                client.close(reason)
        elif chat_id is not None:
            for subscription in self._subscriptions.of(chat_id, user_id):
                session: object = subscription.session
                if session in self._sessions:  # else it is one of many chats of its socket
                    subscription.close(reason)
        else:
            for session in [session for session in self._sessions if session.credential.user_id == user_id]:
                session.close(reason)
