"""Client of chat-gateway.

`Client` is for a user's chats, `Server` and `AsyncServer` for a backend, `is_signed` for webhooks.
"""

from chat_gateway_client.client import Client
from chat_gateway_client.errors import Disconnected, GatewayError, Rejected, Unauthorized
from chat_gateway_client.events import (
    CaughtUp,
    Event,
    Message,
    Other,
    Position,
    Reaction,
    Reset,
    Sender,
    Stored,
    Truncated,
    message_in,
)
from chat_gateway_client.server import AsyncServer, Server
from chat_gateway_client.webhooks import is_signed

__all__ = [
    "AsyncServer",
    "CaughtUp",
    "Client",
    "Disconnected",
    "Event",
    "GatewayError",
    "Message",
    "Other",
    "Position",
    "Reaction",
    "Rejected",
    "Reset",
    "Sender",
    "Server",
    "Stored",
    "Truncated",
    "Unauthorized",
    "is_signed",
    "message_in",
]
