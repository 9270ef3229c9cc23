"""Publishes changes of presence to all nodes: joins and leaves, and seats that were taken over or crowded out."""

from gateway.delivery.subscription import SubscriptionRegistry
from gateway.interfaces.broker import Broker
from gateway.interfaces.presence import Entered, Left, Seat
from gateway.node.evictions import Evictions
from gateway.protocol.publications import CrowdedOut, Publication, Takeover, encode
from gateway.protocol.pushes import PresenceChange


class PresencePublisher:
    """Called for every seat that is taken or released. Every method is synchronous."""

    def __init__(self, broker: Broker, subscriptions: SubscriptionRegistry, evictions: Evictions) -> None:
        self._broker = broker
        self._subscriptions = subscriptions
        self._evictions = evictions

    def entered(self, seat: Seat, entered: Entered, *, is_takeover: bool) -> None:
        """Publish a join if the user was not present before, and the seats that this one displaced or crowded out."""
        self._subscriptions.settle(seat, entered.claim)
        if is_takeover:
            self._publish(Takeover(seat.chat_id, seat.user_id, entered.claim, seat.connection_id))
        for user_id, claim in entered.crowded_out:
            crowded = CrowdedOut(seat.chat_id, user_id, claim)
            self._evictions.crowd_out(crowded)
            self._publish(crowded)
        if entered.first:
            place = seat.chat_id, seat.user_id, seat.username
            self._publish(PresenceChange(*place, "join", entered.count, seat.display_name))

    def left(self, seat: Seat, left: Left) -> None:
        """Publish a leave if this was the user's last seat in the chat."""
        if left.last:
            self.gone(seat.chat_id, seat.user_id, seat.username, left.count, seat.display_name)

    def gone(self, chat_id: int, user_id: int, username: str, count: int, display_name: str = "") -> None:
        """Publish that the user left, and how many users are present now."""
        self._publish(PresenceChange(chat_id, user_id, username, "leave", count, display_name))

    def _publish(self, publication: Publication) -> None:
        self._broker.publish(publication.chat_id, encode(publication))
