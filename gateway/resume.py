"""How a session reaches the live stream of a chat from wherever it was.

Keeps invariant 4: until its position is exactly the node's, a session pages from the store, at the pace of its own
outbox; in the turn of the loop in which nothing is missing it joins. There is no await between that check and the join.
"""

from gateway.chat_log import ChatLog
from gateway.frames import text_frame
from gateway.hub import Hub
from gateway.messages import CaughtUp, Established, Reset
from gateway.repair import Repair
from gateway.since import Since
from gateway.subscription import Subscription
from storage.records import ChatEvent

PAGE = 200
SLICE = 10
"""Events a write: of the longest texts allowed (10,000 code points, six bytes each in JSON) less than an outbox."""


class Resume:
    """Brings subscriptions up to date."""

    def __init__(self, hub: Hub, log: ChatLog, repair: Repair) -> None:
        self._hub = hub
        self._log = log
        self._repair = repair

    async def run(self, subscription: Subscription, since: Since | None, epoch: str, node_id: str) -> None:
        """Greet, replay what came after `since` (None: nothing), say `caught_up`, join.

        Returns early if the session closes meanwhile. Raises: StorageUnavailable.
        """
        if subscription.has_left():
            return
        timeline, session = subscription.local.timeline, subscription.session
        if since is not None and since.seq > timeline.last_seq:
            # The client may know more than this node has heard yet; the store decides.
            await self._repair.mend(subscription.local)
            if subscription.has_left():
                return
        last_seq = timeline.last_seq
        session.tell(Established(subscription.chat_id, node_id, last_seq, epoch))
        is_foreign = since is not None and (since.seq > last_seq or since.epoch not in (None, epoch))
        if is_foreign:
            session.tell(Reset(subscription.chat_id, last_seq, epoch))
        if since is None or is_foreign:
            self._join(subscription)
            return
        subscription.pos = since.seq
        while subscription.pos < timeline.last_seq:
            if not await self._page(subscription):
                return
        session.tell(CaughtUp(subscription.chat_id, subscription.pos, epoch))
        self._join(subscription)

    async def _page(self, subscription: Subscription) -> bool:
        """Write the next page once there is room for it; False if the session is gone."""
        if not await subscription.session.room() or subscription.has_left():
            return False
        local = subscription.local
        events = await self._log.events_after(local.chat_id, subscription.pos, PAGE)
        if subscription.has_left():
            return False
        # What the store has and Redis has not brought yet moves the whole node on, so that the two meet.
        self._hub.feed(local, [event for event in events if event.seq > local.timeline.last_seq])
        for start in range(0, len(events), SLICE):
            # A page of the longest texts is larger than an outbox.
            if start and (not await subscription.session.room() or subscription.has_left()):
                return False
            wanted = [event for event in events[start : start + SLICE] if not _is_skipped(subscription, event)]
            payloads = [subscription.dialect.push(event) for event in wanted]
            subscription.offer(b"".join([text_frame(payload) for payload in payloads if payload is not None]))
        subscription.pos = events[-1].seq if events else local.timeline.last_seq
        return True

    def _join(self, subscription: Subscription) -> None:
        self._hub.join(subscription.local, subscription)
        subscription.is_live = True


def _is_skipped(subscription: Subscription, event: ChatEvent) -> bool:
    return event.sender.id == subscription.user_id and subscription.skips(event)
