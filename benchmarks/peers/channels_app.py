"""The application of the Channels peer. As a program it sends the number of messages of each line of stdin."""

import asyncio
import os
import sys

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["channels"],
    SECRET_KEY="for a benchmark",
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
        }
    },
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One socket in the group."""

    async def connect(self) -> None:
        """Join."""
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave."""
        await self.channel_layer.group_discard("room", self.channel_name)

    async def chat_message(self, event: dict[str, str]) -> None:
        """Pass a message on."""
        await self.send(text_data=event["text"])


app = ProtocolTypeRouter({"websocket": URLRouter([path("ws", Consumer.as_asgi())])})


async def _send(size: int) -> None:
    layer = get_channel_layer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for _ in range(int(line)):
            await layer.group_send("room", {"type": "chat.message", "text": "x" * size})


if __name__ == "__main__":
    asyncio.run(_send(int(sys.argv[1])))
