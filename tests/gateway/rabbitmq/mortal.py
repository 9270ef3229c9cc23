"""A node's queue in a process that kills itself at one step of one message.

`python -m tests.gateway.rabbitmq.mortal DATABASE_URL AMQP_URL STEP TEXT`; the steps are those of STEPS.
"""

import asyncio
import os
import signal
import sys

from storage.records import Committed, NewEvent, OnOutcome, Outcome
from tests.gateway.rabbitmq.bench import running
from tests.storage.nodes import Node, open_node

STEPS = ("before_commit", "during_commit", "after_commit", "after_ack")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A store whose process dies over one message."""

    def __init__(self, node: Node, step: str, text: str) -> None:
        self._node = node
        self._step = step
        self._text = text
        self.committed = asyncio.Event()

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        if event.text != self._text:
            self._node.log.submit(event, done)
            return
        if self._step == "before_commit":
            die()

        def on_outcome(outcome: Outcome) -> None:
            assert isinstance(outcome, Committed)
            if self._step == "after_commit":
                die()
            done(outcome)
            self.committed.set()

        self._node.log.submit(event, on_outcome)
        if self._step == "during_commit":
            asyncio.get_running_loop().call_later(0.0005, die)


async def consume(database_url: str, amqp_url: str, step: str, text: str) -> None:
    async with open_node(database_url) as node:
        store = Mortal(node, step, text)
        async with running(node, amqp_url, store) as here:
            await store.committed.wait()
            while here.queue.unacked:
                await asyncio.sleep(0)
            die()


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:]))
