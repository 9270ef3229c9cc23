"""A member with a server that breaks its guarantees: each breach must become a failure."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from websockets.sync.server import ServerConnection, serve

from loadtests.accounts import TargetRefused
from loadtests.measure import Measure
from loadtests.member import Member
from loadtests.participants import Kind, Seat
from loadtests.stamp import new_stamp
from tests.support.servers import wait_until

SEAT = Seat(Kind.ROOM, "ann", "secret", "token", 1)
Script = Callable[[ServerConnection], None]


class Report:
    """Locust's request event, as far as Measure knows it."""

    def __init__(self) -> None:
        self.well: list[str] = []
        self.failed: list[str] = []

    def fire(self, *, name: str, exception: Exception | None, **_: object) -> None:
        (self.failed if exception else self.well).append(name)


def _renewed() -> str:
    return "renewed"


@contextmanager
def _member(
    script: Script, renew: Callable[[], str] = _renewed
) -> Iterator[tuple[Member, Report, list[tuple[int, str]]]]:
    """A member of chat 1 on a server that follows the script on each connection."""
    report, acked = Report(), []
    with serve(script, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        measure = Measure(report)  # type: ignore[arg-type]
        member = Member(SEAT, url, measure, lambda seq, stamp: acked.append((seq, stamp)), renew)
        assert member.enter(5)
        yield member, report, acked
        member.close()
        server.shutdown()


def _tell(socket: ServerConnection, **frame: Any) -> None:
    socket.send(orjson.dumps(frame).decode())


def _greet(socket: ServerConnection, last_seq: int) -> None:
    _tell(socket, type="connection_established", last_seq=last_seq)


def _push(socket: ServerConnection, seq: int, stamp: str = "foreign") -> None:
    _tell(socket, type="message", data={"seq": seq, "client_msg_id": stamp})


def _until_closed(socket: ServerConnection) -> None:
    for _ in socket:
        pass


def test_gap_and_duplicate_are_failures() -> None:
    def script(socket: ServerConnection) -> None:
        _greet(socket, 3)
        for seq in (4, 6, 6, 7):
            _push(socket, seq)
        _until_closed(socket)

    with _member(script) as (_, report, _acked):
        wait_until(lambda: len(report.failed) >= 2, "both are reported")
    assert report.failed == ["gap", "duplicate"]


def test_unacknowledged_message_is_resent_with_same_id() -> None:
    seen: list[str] = []

    def script(socket: ServerConnection) -> None:
        _greet(socket, 0)
        if not seen:  # receives the message and ends without a response
            seen.append(orjson.loads(socket.recv())["client_msg_id"])
            socket.socket.shutdown(2)
            return
        assert socket.request is not None
        assert socket.request.path.endswith("?since=0")
        seen.append(orjson.loads(socket.recv())["client_msg_id"])
        _push(socket, 1, seen[0])
        _tell(socket, type="caught_up", seq=1)
        _until_closed(socket)

    with _member(script) as (member, report, acked):
        member.say("Hello")
        wait_until(lambda: bool(acked), "the ack")
    assert seen[0] == seen[1]
    assert acked == [(1, seen[0])]
    assert "ack after a reconnect" in report.well
    assert report.failed == ["closed"], "an end without a close frame"


def test_message_queued_before_caught_up_is_sent_after_it() -> None:
    connections: list[str] = []
    may_catch_up = threading.Event()

    def script(socket: ServerConnection) -> None:
        connections.append("")
        _greet(socket, 0)
        if len(connections) == 1:
            socket.close(4000, '{"retry_after_ms":1}')
            return
        _push(socket, 1, new_stamp())
        assert may_catch_up.wait(5)
        _tell(socket, type="caught_up", seq=1)
        _push(socket, 2, orjson.loads(socket.recv())["client_msg_id"])
        _until_closed(socket)

    with _member(script) as (member, report, acked):
        wait_until(lambda: "replay" in report.well, "it is greeted, and no more")
        member.say("Hello")
        may_catch_up.set()
        wait_until(lambda: bool(acked), "the ack")
    assert report.failed == []


def test_drain_is_no_failure_and_missing_final_ack_is_one() -> None:
    connections: list[str] = []

    def script(socket: ServerConnection) -> None:
        connections.append("")
        _greet(socket, 0)
        if len(connections) == 1:
            socket.close(4000, '{"retry_after_ms":1}')
            return
        _tell(socket, type="caught_up", seq=0)
        _until_closed(socket)

    with _member(script) as (member, report, _acked):
        wait_until(lambda: "resume" in report.well, "it is back")
        assert report.failed == []
        member.say("Hello")
    assert report.failed == ["unacked"]


def test_failed_token_renewal_is_reported_and_retried() -> None:
    tokens: list[str] = []
    renewals: list[str] = []

    def renew() -> str:
        renewals.append("")
        if len(renewals) == 1:
            raise TargetRefused("POST /login → Connection refused")
        return "renewed"

    def script(socket: ServerConnection) -> None:
        assert socket.request is not None
        tokens.append(socket.request.headers["Authorization"])
        _greet(socket, 0)
        if tokens[-1] != "Bearer renewed":
            socket.close(4401)
            return
        _tell(socket, type="caught_up", seq=0)
        _until_closed(socket)

    with _member(script, renew) as (_, report, _acked):
        wait_until(lambda: "resume" in report.well, "it is back", 10)
    assert tokens == ["Bearer token", "Bearer token", "Bearer renewed"]
    assert report.failed == ["closed", "connect", "closed"]


def test_member_without_last_message_lacks_it() -> None:
    def script(socket: ServerConnection) -> None:
        _greet(socket, 3)
        _push(socket, 4, new_stamp())
        _until_closed(socket)

    with _member(script) as (member, report, _acked):
        wait_until(lambda: "delivery" in report.well, "the message")
        assert [member.lacks({SEAT.chat_id: seq}) for seq in (3, 4, 5)] == [False, False, True]
        assert not member.lacks({SEAT.chat_id + 1: 9}), "another chat's"


def test_leaving_member_waits_for_its_acks() -> None:
    may_answer = threading.Event()

    def script(socket: ServerConnection) -> None:
        _greet(socket, 0)
        stamp = orjson.loads(socket.recv())["client_msg_id"]
        assert may_answer.wait(5)
        _push(socket, 1, stamp)
        _until_closed(socket)

    with _member(script) as (member, report, acked):
        member.say("Hello")
        leaving = threading.Thread(target=member.finish, args=(5,))
        leaving.start()
        leaving.join(0.2)
        assert leaving.is_alive()
        may_answer.set()
        leaving.join(5)
    assert report.failed == []
    assert len(acked) == 1
