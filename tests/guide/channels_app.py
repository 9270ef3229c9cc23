"""Serves the consumers of the page about Django Channels: `channels_app.py PORT FOLDER`.

The folder has `consumers.py` and `publish.py`, taken from the page. Around them: a user, and a model in memory.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import uvicorn
from asgiref.sync import async_to_sync, sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path


async def _acreate(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(**fields)


MESSAGE = SimpleNamespace(objects=SimpleNamespace(acreate=_acreate))
"""A model whose rows are forgotten."""


def main(port: int, folder: Path) -> None:
    """Serve until the process ends."""
    settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})
    django.setup()
    names = {"AsyncJsonWebsocketConsumer": AsyncJsonWebsocketConsumer, "Message": MESSAGE}
    exec((folder / "consumers.py").read_text(), names)
    consumer: Any = names["OrderConsumer"]
    socket = URLRouter([path("ws/order-7/", consumer.as_asgi())])
    publish = (folder / "publish.py").read_text()

    async def with_user(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await socket(scope | {"user": SimpleNamespace(is_anonymous=False)}, receive, send)

    async def http(scope: dict[str, Any], _: Any, send: Any) -> None:
        is_publish = scope["path"] == "/publish"
        if is_publish:
            callables = {"async_to_sync": async_to_sync, "get_channel_layer": get_channel_layer}
            await sync_to_async(exec)(publish, callables)
        await send({"type": "http.response.start", "status": 200 if is_publish else 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    application = ProtocolTypeRouter({"http": http, "websocket": with_user})
    uvicorn.run(application, port=port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
