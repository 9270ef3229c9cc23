"""A member on the Python client with a server that breaks its guarantees: each breach must become a failure."""

import threading
from typing import Any

import orjson
from websockets.sync.server import ServerConnection, serve

from loadtests.app_member import AppMember
from loadtests.event_loop import EventLoop
from loadtests.measure import Measure
from loadtests.participants import Kind, Seat
from loadtests.stamp import new_stamp
from tests.support.servers import wait_until

SEAT = Seat(Kind.ROOM, "ann", "secret", "token", 1)
ANN = {"id": 7, "username": "ann", "display_name": "Ann"}
BOB = {"id": 8, "username": "bob", "display_name": "Bob"}


def _message(seq: int, sender: dict[str, Any], stamp: str) -> dict[str, Any]:
    state = {"is_edited": False, "is_deleted": False, "timestamp": "2026-11-28T10:30:00Z", "text": "Hi"}
    data = {"id": seq, "seq": seq, "sender": sender, "client_msg_id": stamp, **state}
    return {"type": "message", "chat_id": 1, "data": data}


def _serve_badly(socket: ServerConnection) -> None:
    """A hole after the first event; the first command is acknowledged, the second is not."""

    def tell(**frame: Any) -> None:
        socket.send(orjson.dumps(frame).decode())

    for text in socket:
        match orjson.loads(text):
            case {"type": "hello", "id": number}:
                tell(type="hello", id=number, user_id=ANN["id"], authenticated=True)
            case {"type": "subscribe", "id": number}:
                tell(type="ack", id=number, chat_id=1, result={"epoch": "e", "last_seq": 3})
                for frame in (_message(4, BOB, new_stamp()), _message(6, BOB, new_stamp())):
                    tell(**frame)
            case {"type": "message", "id": number, "text": "one", "client_msg_id": stamp}:
                tell(type="ack", id=number, chat_id=1, message_id=7, seq=7, client_msg_id=stamp)
                tell(**_message(7, ANN, stamp))


def test_gap_and_missing_ack_are_failures() -> None:
    told: list[tuple[str, bool]] = []
    acked: list[int] = []

    class Report:
        def fire(self, *, request_type: str, name: str, exception: Exception | None, **_: object) -> None:
            assert request_type == "WS"
            told.append((name, exception is None))

    with serve(_serve_badly, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        measure = Measure(Report())  # type: ignore[arg-type]
        member = AppMember(SEAT, url, measure, lambda seq, _: acked.append(seq), lambda: "renewed", EventLoop())
        assert member.enter(30)
        member.say("one")
        wait_until(lambda: not member.lacks({1: 7}), "its own message arrives")
        wait_until(lambda: acked == [7], "it is acknowledged")
        member.say("two")
        assert member.lacks({1: 8})
        member.finish(0.5)
        server.shutdown()
    assert sorted(told) == [("ack", True), ("connect", True), ("delivery", True), ("gap", False), ("unacked", False)]
