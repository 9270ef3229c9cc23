"""Messages for the durable queue."""

from gateway.interfaces.rooms import RoomMessage


def message(text: str, room: str = "room1") -> RoomMessage:
    return RoomMessage(room, text, f"id of {text}")
