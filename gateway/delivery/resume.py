"""Brings a session from its last position to the live stream of a chat.

Keeps invariant 4: until its position equals the node's, a session gets pages of missed events at the pace of its own
send queue; it joins in the turn of the event loop in which nothing is missing. No await is between check and join.
"""

from gateway.delivery.hub import Hub
from gateway.delivery.repair import Repair
from gateway.delivery.replay_cache import ReplayCache
from gateway.delivery.subscription import Subscription
from gateway.protocol.frames import write_to_all
from gateway.protocol.ids import Since
from gateway.protocol.replies import CaughtUp, Established, Reset
from storage.records import ChatEvent

WRITE_BYTES = 128 * 1024
"""A write ends with the event that exceeds this; an event has at most some 60 KB, so it is far below a send queue."""


class Resume:
    """Replays missed events to subscriptions and makes them live."""

    def __init__(self, hub: Hub, pages: ReplayCache, repair: Repair) -> None:
        self._hub = hub
        self._pages = pages
        self._repair = repair

    def begin(self, subscription: Subscription, since: Since | None, epoch: str, node_id: str) -> bool:
        """Greet and join at once, if nothing was missed and the chat is in this epoch; False: `run` must do it."""
        local = subscription.local
        if subscription.has_left():
            return True
        if since is not None or local.epoch != epoch or not local.reorder_buffer.is_started:
            return False
        self._greet(subscription, epoch, node_id)
        self._join(subscription)
        return True

    def _greet(self, subscription: Subscription, epoch: str, node_id: str) -> None:
        last_seq = subscription.local.reorder_buffer.last_seq
        subscription.session.tell(Established(subscription.chat_id, node_id, last_seq, epoch))

    async def run(self, subscription: Subscription, since: Since | None, epoch: str, node_id: str) -> None:
        """Greet, replay the events after `since` (None: nothing), send `caught_up`, and join.

        Returns early if the session closes meanwhile. Raises: StorageUnavailable.
        """
        local, session = subscription.local, subscription.session
        await self._repair.ensure_epoch(local, epoch)
        if subscription.has_left():
            return
        reorder_buffer = local.reorder_buffer
        if since is not None and since.seq > reorder_buffer.last_seq:
            # The client may know events that this node has not received yet; the store decides.
            await self._repair.catch_up_to(local, since.seq)
            if subscription.has_left():
                return
        last_seq = reorder_buffer.last_seq
        self._greet(subscription, epoch, node_id)
        is_foreign = since is not None and (since.seq > last_seq or since.epoch not in (None, epoch))
        if is_foreign:
            session.tell(Reset(subscription.chat_id, last_seq, epoch))
        if since is None or is_foreign:
            self._join(subscription)
            return
        subscription.pos = since.seq
        _skip(subscription, local.first_seq)
        while subscription.pos < reorder_buffer.last_seq:
            if not await self._page(subscription, epoch):
                return
            await self._repair.ensure_epoch(local, epoch)
        session.tell(CaughtUp(subscription.chat_id, subscription.pos, epoch))
        self._join(subscription)

    async def _page(self, subscription: Subscription, epoch: str) -> bool:
        """Write the next events once the send queue has room; False if the session is closed.

        One write per page: the events after the write are requested again, as they may be edited or deleted meanwhile.
        """
        if not await subscription.session.wait_writable() or subscription.has_left():
            return False
        local = subscription.local
        replay = await self._pages.after(local.chat_id, subscription.pos, subscription.dialect)
        if subscription.has_left():
            return False
        is_same_history = local.epoch == epoch
        if is_same_history:
            _skip(subscription, replay.events[0].seq if replay.events else local.reorder_buffer.next_seq)
        # Events that are stored but not received from Redis yet advance the whole node, so that the positions meet.
        ahead = [event for event in replay.events if event.seq > local.reorder_buffer.last_seq]
        if is_same_history and ahead and ahead[0].seq > local.reorder_buffer.next_seq:
            self._hub.skip(local, ahead[0].seq)
        self._hub.deliver(local, ahead)
        subscription.pos = replay.events[-1].seq if replay.events else local.reorder_buffer.last_seq
        frames: list[bytes] = []
        size = 0
        for event, frame in zip(replay.events, replay.frames, strict=True):
            if not _is_skipped(subscription, event):
                frames.append(frame)
                size += len(frame)
            if size >= WRITE_BYTES:
                subscription.pos = event.seq
                break
        if frames:
            write_to_all((subscription.outlet,), b"".join(frames))
        return True

    def _join(self, subscription: Subscription) -> None:
        self._hub.join(subscription.local, subscription)
        subscription.is_live = True
        change = subscription.local.change
        if change is not None and change.details.version > subscription.version:
            subscription.session.tell(change)  # pushed to the live ones while this one was not live yet


def _skip(subscription: Subscription, first_seq: int) -> None:
    """Go on at the first event that retention has left, and tell the client if it has not seen one before it."""
    if subscription.pos + 1 < first_seq:
        subscription.truncate(first_seq)
        subscription.pos = first_seq - 1


def _is_skipped(subscription: Subscription, event: ChatEvent) -> bool:
    return event.actor.id == subscription.user_id and subscription.consume_echo(event)
