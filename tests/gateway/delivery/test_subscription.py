"""Which own messages a socket gets back, in every order of arrival."""

import asyncio

import pytest

from gateway.delivery.hub import Hub, LocalChat
from gateway.delivery.subscription import Subscription
from gateway.dialects.service import ServiceDialect
from gateway.interfaces.presence import Seat
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Disconnect
from gateway.protocol.frames import NOT_DIRECT, FrameSink
from gateway.protocol.replies import Reply
from storage.records import ChatEvent, Committed, Refusal
from tests.gateway.delivery.events import event


class Recipient:
    """A session that keeps what it is offered."""

    fd = NOT_DIRECT

    def __init__(self, *, resumes: bool) -> None:
        self.dialect = ServiceDialect(resumes=resumes)
        self.written = b""

    @property
    def outlet(self) -> FrameSink:
        return self

    def queue(self, frames: bytes) -> bool:
        self.written += frames
        return True

    def tell(self, reply: Reply) -> None:
        raise NotImplementedError

    async def wait_writable(self) -> bool:
        return True

    def close(self, disconnect: Disconnect) -> None:
        raise NotImplementedError


@pytest.fixture
def hub() -> Hub:
    return Hub()


def live(hub: Hub, connection_id: str, *, resumes: bool = True, user_id: int = 1) -> Subscription:
    local, is_first = hub.open(1)
    if is_first:
        hub.start(local, 0, "epoch")
    subscription = Subscription(
        Recipient(resumes=resumes), local, Seat(1, user_id, "ann", connection_id), Claim.settled(0)
    )
    hub.join(local, subscription)
    subscription.is_live = True
    return subscription


def chat(hub: Hub) -> LocalChat:
    local = hub.chat(1)
    assert local is not None
    return local


def texts(subscription: Subscription) -> list[str]:
    session = subscription.session
    assert isinstance(session, Recipient)
    return [f"message {seq}" for seq in range(1, 9) if f'"message {seq}"'.encode() in session.written]


def remembers_nothing(subscription: Subscription) -> bool:
    return not subscription._sent


async def turns() -> None:
    """Let what is due now, and what that makes due, happen."""
    for _ in range(3):
        await asyncio.sleep(0)


def stored(subscription: Subscription, stored: ChatEvent, *, duplicate: bool = False) -> None:
    subscription.settles(stored.client_msg_id, Committed(stored, duplicate))


async def test_only_sending_socket_skips_its_message(hub: Hub) -> None:
    sending, second, other = live(hub, "a"), live(hub, "b"), live(hub, "c", user_id=2)
    sending.sends("c1")
    hub.deliver(chat(hub), [event(1)])
    stored(sending, event(1))
    await turns()
    assert (texts(sending), texts(second), texts(other)) == ([], ["message 1"], ["message 1"])
    assert remembers_nothing(sending)


async def test_socket_without_since_skips_messages_of_its_user(hub: Hub) -> None:
    mine, others = live(hub, "a", resumes=False), live(hub, "b", resumes=False, user_id=2)
    hub.deliver(chat(hub), [event(1)])
    await turns()
    assert (texts(mine), texts(others)) == ([], ["message 1"])


async def test_own_message_is_skipped_if_it_arrives_before_outcome(hub: Hub) -> None:
    sending = live(hub, "a")
    sending.sends("c1")
    hub.deliver(chat(hub), [event(1)])  # from Redis, or read by a repair
    await turns()
    stored(sending, event(1), duplicate=True)
    await turns()
    assert texts(sending) == []
    assert remembers_nothing(sending)


async def test_own_message_is_skipped_if_it_arrives_after_outcome(hub: Hub) -> None:
    sending = live(hub, "a")
    sending.sends("c2")
    stored(sending, event(2), duplicate=True)  # another node has committed it, and the event before it is missing still
    await turns()
    hub.deliver(chat(hub), [event(2)])
    await turns()
    hub.deliver(chat(hub), [event(1)])
    await turns()
    assert texts(sending) == ["message 1"]
    assert remembers_nothing(sending)


async def test_immediate_retry_of_own_message_is_skipped(hub: Hub) -> None:
    sending = live(hub, "a")
    for _ in range(2):
        sending.sends("c1")
    hub.deliver(chat(hub), [event(1)])
    stored(sending, event(1))
    stored(sending, event(1), duplicate=True)
    await turns()
    assert texts(sending) == []
    assert remembers_nothing(sending)


async def test_late_retry_leaves_no_pending_skip(hub: Hub) -> None:
    sending = live(hub, "a")
    hub.deliver(chat(hub), [event(1)])
    await turns()
    sending.sends("c1")
    stored(sending, event(1), duplicate=True)
    await turns()
    assert remembers_nothing(sending)


async def test_rejected_message_is_not_skipped(hub: Hub) -> None:
    sending = live(hub, "a")
    sending.sends("c1")
    sending.settles("c1", Refusal.UNAVAILABLE)
    assert remembers_nothing(sending)
    hub.deliver(chat(hub), [event(1)])  # it was stored after all, without a notification to this socket
    await turns()
    assert texts(sending) == ["message 1"]


async def test_socket_that_gets_every_echo_remembers_nothing(hub: Hub) -> None:
    sending = live(hub, "a", resumes=False)
    sending.sends("c1")
    stored(sending, event(1))
    assert remembers_nothing(sending)
