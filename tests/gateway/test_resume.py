"""How a session joins the live stream, where it crosses its own end."""

from typing import Any

from gateway.dialects.chat import ChatDialect
from gateway.hub import Hub, LocalChat
from gateway.resume import Resume
from gateway.subscription import Subscription


class Gone:
    """A session that must not be spoken to any more."""

    dialect = ChatDialect()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a session that has left")


class Unmoved:
    """A store whose history is the same as before."""

    async def follow(self, local: LocalChat, epoch: str) -> None: ...


async def test_a_session_that_left_while_its_chat_was_opened_does_not_join_it() -> None:
    hub = Hub()
    local, _ = hub.open(5)
    hub.open(5)  # somebody else, who stays
    subscription = Subscription(Gone(), local, None, 0)  # type: ignore[arg-type]
    subscription.end()
    hub.give_up(local)
    hub.start(local, 3, "e1")
    resume: Any = Resume(hub, None, Unmoved())  # type: ignore[arg-type]
    await resume.run(subscription, None, "e1", "node")
    assert (local.waiting, len(local.live)) == (1, 0)
