"""A broker that only has the health that the test sets."""


class QuietBroker:
    """Meets `gateway.interfaces.broker.Broker`."""

    def __init__(self) -> None:
        self.deaf = False
        self.down = False
        self.refusal = ""

    async def subscribe(self, chat_id: int) -> None:
        raise NotImplementedError

    def unsubscribe(self, chat_id: int) -> None:
        raise NotImplementedError

    def publish(self, chat_id: int, payload: bytes) -> None:
        raise NotImplementedError
