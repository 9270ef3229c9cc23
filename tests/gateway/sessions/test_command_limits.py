"""The limits of commands: buckets of sockets and users, on a hand-moved clock."""

import pytest

from gateway.config.settings import Settings
from gateway.protocol.commands import Command, DeleteMessage, EditMessage, GetHistory, Ping, Refresh, SendMessage
from gateway.sessions import command_limits
from gateway.sessions.command_limits import (
    LIMITED,
    SOCKETS_AN_OWNER,
    CommandLimits,
    CommandRates,
    SocketLimits,
    rates_of,
)

EDIT = EditMessage(1, "again", None)
RATE = 60


class World:
    """Limits of edits and history only."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.limits = CommandLimits(CommandRates(edits=RATE, history=RATE), now=lambda: self.seconds)

    def allowed(self, socket: SocketLimits, command: Command = EDIT, tries: int = 10 * RATE) -> int:
        return sum(socket.wait_s(command) == 0.0 for _ in range(tries))


@pytest.fixture
def world() -> World:
    return World()


def test_socket_has_a_minutes_worth_that_refills(world: World) -> None:
    socket = world.limits.of_socket("10.0.0.1")
    assert world.allowed(socket) == RATE
    world.seconds += 10
    assert world.allowed(socket) == 10
    world.seconds += 3600
    assert world.allowed(socket) == RATE


def test_wait_is_as_long_as_told(world: World) -> None:
    socket = world.limits.of_socket("10.0.0.1")
    world.allowed(socket)
    wait_s = socket.wait_s(EDIT)
    assert 0 < wait_s <= 60 / RATE
    world.seconds += wait_s - 0.001
    assert socket.wait_s(EDIT) > 0
    world.seconds += 0.002
    assert socket.wait_s(EDIT) == 0.0


def test_wait_for_other_sockets_is_as_long_as_told(world: World) -> None:
    for _ in range(SOCKETS_AN_OWNER):
        world.allowed(world.limits.of_socket(7))
    socket = world.limits.of_socket(7)
    wait_s = socket.wait_s(EDIT)
    assert wait_s == pytest.approx(60 / RATE / SOCKETS_AN_OWNER)
    world.seconds += wait_s + 0.001
    assert socket.wait_s(EDIT) == 0.0
    assert world.limits.wait_of_user_s(EDIT, 7) > 0


def test_user_has_a_few_sockets_worth(world: World) -> None:
    sockets = [world.limits.of_socket(7) for _ in range(5)]
    assert sum(world.allowed(socket) for socket in sockets) == SOCKETS_AN_OWNER * RATE
    assert world.allowed(world.limits.of_socket(8)) == RATE


def test_user_has_exactly_its_worth() -> None:
    limits = CommandLimits(CommandRates(edits=20), now=lambda: 1000.0)  # intervals without a rounding error
    sockets = [limits.of_socket(7) for _ in range(SOCKETS_AN_OWNER + 1)]
    taken = [sum(socket.wait_s(EDIT) == 0.0 for _ in range(30)) for socket in sockets]
    assert taken == [20] * SOCKETS_AN_OWNER + [0]


def test_anonymous_sockets_of_an_address_share_as_much(world: World) -> None:
    sockets = [world.limits.of_socket("10.0.0.1") for _ in range(5)]
    assert sum(world.allowed(socket) for socket in sockets) == SOCKETS_AN_OWNER * RATE
    assert world.allowed(world.limits.of_socket("10.0.0.2")) == RATE
    assert world.allowed(world.limits.of_socket(7)) == RATE


def test_new_sockets_of_a_user_start_with_what_is_left(world: World) -> None:
    assert sum(world.allowed(world.limits.of_socket(7)) for _ in range(50)) == SOCKETS_AN_OWNER * RATE


def test_commands_of_one_bucket_share_it_and_others_do_not(world: World) -> None:
    socket = world.limits.of_socket(7)
    assert world.allowed(socket, EDIT) == RATE
    assert world.allowed(socket, DeleteMessage(1, None)) == 0
    assert world.allowed(socket, GetHistory(None, None, 1)) == RATE
    assert world.allowed(socket, Ping(), 1000) == 1000
    assert world.allowed(socket, SendMessage("x", None), 1000) == 1000


def test_kept_users_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_limits, "MAX_OWNERS", 3)
    for user_id in range(1, 10):
        world.allowed(world.limits.of_socket(user_id))
        world.allowed(world.limits.of_socket(f"10.0.0.{user_id}"))
    assert len(world.limits._users) == len(world.limits._addresses) == 3
    assert world.allowed(world.limits.of_socket(9)) == RATE
    assert sum(world.allowed(world.limits.of_socket(9)) for _ in range(5)) == RATE


def test_every_command_without_own_limit_has_a_bucket() -> None:
    assert set(LIMITED) == set(Command.__args__) - {SendMessage, Refresh}  # type: ignore[attr-defined]
    assert {*LIMITED.values()} == {*CommandRates.__slots__}


def test_rates_are_those_of_the_settings() -> None:
    rates = {bucket: number for number, bucket in enumerate(CommandRates.__slots__, 1)}
    settings = Settings(**{f"{bucket}_per_minute": rate for bucket, rate in rates.items()})
    assert rates_of(settings) == CommandRates(**rates)
