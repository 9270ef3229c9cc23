"""How a session reaches the live stream of a chat from wherever it was.

Keeps invariant 4: until its position is exactly the node's, a session gets pages of what it lacks, at the pace of its
own outbox; in the turn of the loop in which nothing is missing it joins. There is no await between check and join.
"""

from gateway.hub import Hub
from gateway.messages import CaughtUp, Established, Reset
from gateway.outlet import write_to_all
from gateway.pages import Pages
from gateway.repair import Repair
from gateway.since import Since
from gateway.subscription import Subscription
from storage.records import ChatEvent

WRITE_BYTES = 128 * 1024
"""A write, up to its last event, which has at most some 60 KB: far from the size of an outbox."""


class Resume:
    """Brings subscriptions up to date."""

    def __init__(self, hub: Hub, pages: Pages, repair: Repair) -> None:
        self._hub = hub
        self._pages = pages
        self._repair = repair

    async def run(self, subscription: Subscription, since: Since | None, epoch: str, node_id: str) -> None:
        """Greet, replay what came after `since` (None: nothing), say `caught_up`, join.

        Returns early if the session closes meanwhile. Raises: StorageUnavailable.
        """
        local, session = subscription.local, subscription.session
        await self._repair.follow(local, epoch)
        if subscription.has_left():
            return
        timeline = local.timeline
        if since is not None and since.seq > timeline.last_seq:
            # The client may know more than this node has heard yet; the store decides.
            await self._repair.reach(local, since.seq)
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
            await self._repair.follow(local, epoch)
        session.tell(CaughtUp(subscription.chat_id, subscription.pos, epoch))
        self._join(subscription)

    async def _page(self, subscription: Subscription) -> bool:
        """Write what comes next once there is room for it; False if the session is gone.

        One write a page: what would wait for room is asked for again, as it may be edited or deleted meanwhile.
        """
        if not await subscription.session.room() or subscription.has_left():
            return False
        local = subscription.local
        replay = await self._pages.after(local.chat_id, subscription.pos, subscription.dialect)
        if subscription.has_left():
            return False
        # What the store has and Redis has not brought yet moves the whole node on, so that the two meet.
        self._hub.feed(local, [event for event in replay.events if event.seq > local.timeline.last_seq])
        subscription.pos = replay.events[-1].seq if replay.events else local.timeline.last_seq
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


def _is_skipped(subscription: Subscription, event: ChatEvent) -> bool:
    return event.sender.id == subscription.user_id and subscription.skips(event)
