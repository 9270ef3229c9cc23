"""A broker whose health is what the test says, and that does nothing else."""


class QuietBroker:
    """Meets `gateway.broker.Broker`."""

    def __init__(self) -> None:
        self.deaf = False
        self.down = False

    async def subscribe(self, chat_id: int) -> None:
        raise NotImplementedError

    def unsubscribe(self, chat_id: int) -> None:
        raise NotImplementedError

    def publish(self, chat_id: int, payload: bytes) -> None:
        raise NotImplementedError
