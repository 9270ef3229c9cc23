"""`up` with stubs for the gateway: which processes are started and restarted, and that none remains."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.server import interpreter
from gateway.up.ports import free_port
from tests.support.log_secrets import fail_on_secrets
from tests.support.machine_speed import slowness
from tests.support.servers import wait_until
from tests.up.process_tree import command_of, listening_sockets
from tests.up.run import Up, can_answer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MakeUp = Callable[..., Up]


@pytest.fixture
def make_up(tmp_path: Path) -> Iterator[MakeUp]:
    """A function that makes runs of `up` and ends them all."""
    runs: list[Up] = []

    def make(*options: str, environ: dict[str, str] | None = None) -> Up:
        folder = tmp_path / f"run-{len(runs)}"
        folder.mkdir()
        runs.append(Up(folder, *options, environ=environ))
        return runs[-1]

    yield make
    for run in runs:
        run.stop()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A run for those tests that change nothing."""
    folder = tmp_path_factory.mktemp("up")
    run = Up(folder, "--replicas", "3")
    try:
        yield run.start()
    finally:
        run.stop()
    fail_on_secrets(folder)


def test_replicas_serve_own_ports_and_share_the_public_one(up: Up) -> None:
    own = {up.replica(port)["pid"] for port in up.own_ports()}
    assert len(own) == 3
    assert own < up.descendants()
    public: set[int] = set()

    def all_seen() -> bool:
        public.add(up.replica()["pid"])
        return public == own

    wait_until(all_seen, "the kernel has spread connections over all replicas")
    assert up.replica()["open"]


def test_replica_ports_follow_the_first(make_up: MakeUp) -> None:
    first = free_port()
    assert make_up("--replicas", "2", "--replica-ports", str(first)).start().own_ports() == [first, first + 1]


def test_plain_build_of_python_is_named_once(up: Up) -> None:
    assert up.output().count("slow_python") == bool(interpreter.slowness())


def test_supervisor_listens_on_no_port(up: Up) -> None:
    assert listening_sockets(up.process.pid) == set()
    assert all(listening_sockets(up.replica(port)["pid"]) for port in up.own_ports())


def test_no_replica_is_ready_before_all_listen(make_up: MakeUp, tmp_path: Path) -> None:
    first, late_file = free_port(), tmp_path / "go"
    late = {"STUB_LATE_PORT": str(first + 1), "STUB_LATE_FILE": str(late_file)}
    up = make_up("--replica-ports", str(first), environ=late).start(until_ready=False)
    wait_until(lambda: can_answer(up, first), "the first replica serves")
    assert not up.replica(first)["open"]
    assert "is up" not in up.output()
    late_file.touch()
    wait_until(lambda: "is up" in up.output(), "all are up")
    wait_until(lambda: all(up.replica(port)["open"] for port in (first, first + 1)), "every gate is open")


def test_killed_replica_restarts_within_two_seconds_each_time(make_up: MakeUp) -> None:
    up = make_up("--replicas", "2").start()
    port = up.own_ports()[0]
    for _ in range(3):
        old = up.replica(port)["pid"]
        os.kill(old, signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: can_answer(up, port), "it is back")
        assert time.monotonic() - killed_at < 2 * slowness()
        assert up.replica(port)["pid"] != old
        wait_until(lambda: up.replica(port)["open"], "its gate is open")


def test_replica_killed_during_startup_is_restarted(make_up: MakeUp, tmp_path: Path) -> None:
    first, late_file = free_port(), tmp_path / "go"
    late = {"STUB_LATE_PORT": str(first + 1), "STUB_LATE_FILE": str(late_file)}
    up = make_up("--replica-ports", str(first), environ=late).start(until_ready=False)
    wait_until(lambda: can_answer(up, first), "the first replica serves")
    old = up.replica(first)["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: can_answer(up, first) and up.replica(first)["pid"] != old, "it is back")
    late_file.touch()
    wait_until(lambda: "is up" in up.output(), "all are up")


def test_replica_that_does_not_listen_in_time_is_restarted(make_up: MakeUp, tmp_path: Path) -> None:
    first, late_file = free_port(), tmp_path / "go"
    start_s = 1.5 * min(slowness(), 10)
    late = {"STUB_LATE_PORT": str(first), "STUB_LATE_FILE": str(late_file), "STUB_START_S": str(start_s)}
    up = make_up("--replica-ports", str(first), environ=late).start(until_ready=False)
    wait_until(lambda: 'start_overdue process="replica 1"' in up.output(), "the first is given up")
    late_file.touch()
    wait_until(lambda: "is up" in up.output(), "all are up")


def test_killed_redis_restarts_at_same_address(make_up: MakeUp) -> None:
    up = make_up().start()
    with Redis.from_url(up.replica()["redis"]) as redis:
        old = int(redis.info()["process_id"])
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: _answers(redis), "it is back")
        assert int(redis.info()["process_id"]) in up.descendants() - {old}


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisConnectionError:
        return False


def test_embedded_redis_needs_a_password(up: Up) -> None:
    url = up.replica()["redis"]
    password = url.split(":")[2].split("@")[0]
    assert len(password) >= 32
    assert not any(password in command_of(pid) for pid in up.descendants())
    assert password not in up.output()
    with Redis.from_url(url.replace(f":{password}@", "")) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def test_configured_redis_prevents_an_embedded_one(make_up: MakeUp, redis_url: str) -> None:
    up = make_up(environ={"REDIS_URL": redis_url}).start()
    assert up.replica()["redis"] == redis_url
    assert len(up.descendants()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_everything_and_leaves_nothing(make_up: MakeUp, number: signal.Signals, tmp_path: Path) -> None:
    up = make_up(environ={"TMPDIR": str(tmp_path)}).start()
    ports = [up.port, *up.own_ports()]
    before = set(tmp_path.rglob("*"))
    assert up.end(number) == 0
    assert up.left_behind() == set()
    assert set(tmp_path.rglob("*")) == before
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection in TIME_WAIT is no listener
            probe.bind(("127.0.0.1", port))


def test_endless_drain_and_frozen_replica_are_ended_in_time(make_up: MakeUp) -> None:
    up = make_up(environ={"STUB_DRAIN_S": "60", "DRAIN_S": "60"}).start()
    os.kill(up.replica()["pid"], signal.SIGSTOP)
    assert up.end(timeout_s=10 * slowness()) == 0
    assert up.left_behind() == set()


def test_ctrl_c_makes_supervisor_stop_processes_in_order(make_up: MakeUp) -> None:
    up = make_up(environ={"STUB_DRAIN_S": "1", "DRAIN_S": "1"}).start()
    with Redis.from_url(up.replica()["redis"]) as redis:
        os.killpg(up.process.pid, signal.SIGINT)  # as a terminal does it
        while "replica_drained" not in up.output():
            assert _answers(redis)  # the replicas still need it
            assert up.process.poll() is None
            time.sleep(0.02)
        assert up.process.wait(30) == 0
    assert up.output().count("replica_drained") == 2  # none of them was hurried


def test_second_signal_hurries_the_drain(make_up: MakeUp) -> None:
    up = make_up(environ={"STUB_DRAIN_S": "60", "DRAIN_S": "60"}).start()
    up.descendants()
    up.process.send_signal(signal.SIGINT)
    with pytest.raises(TimeoutError):
        wait_until(lambda: up.process.poll() is not None, "it ends", 1)
    assert up.end(timeout_s=3 * slowness()) == 0


def test_killed_supervisor_ends_every_process(make_up: MakeUp) -> None:
    up = make_up("--replicas", "2").start()
    assert len(up.descendants()) == 3
    up.end(signal.SIGKILL)
    wait_until(lambda: up.left_behind() == set(), "everybody is gone")


def test_supervisor_killed_during_startup_ends_every_process(make_up: MakeUp, tmp_path: Path) -> None:
    first = free_port()
    late = {"STUB_LATE_PORT": str(first + 1), "STUB_LATE_FILE": str(tmp_path / "never")}
    up = make_up("--replica-ports", str(first), environ=late).start(until_ready=False)
    wait_until(lambda: can_answer(up, first), "the first replica serves")
    up.end(signal.SIGKILL)
    wait_until(lambda: up.left_behind() == set(), "everybody is gone")


def test_signal_during_startup_stops_everything(make_up: MakeUp, tmp_path: Path) -> None:
    first = free_port()
    late = {"STUB_LATE_PORT": str(first + 1), "STUB_LATE_FILE": str(tmp_path / "never")}
    up = make_up("--replica-ports", str(first), environ=late).start(until_ready=False)
    wait_until(lambda: can_answer(up, first), "the first replica serves")
    assert up.end() == 0
    assert up.left_behind() == set()


def test_taken_port_is_named_at_once(make_up: MakeUp, up: Up) -> None:
    second = make_up("--port", str(up.port)).start(until_ready=False)  # `up` would share it: SO_REUSEPORT
    assert second.process.wait(10) == 1
    assert f"Port {up.port} on 127.0.0.1 cannot be used: it is taken. Choose another with --port." in second.output()
    assert "Traceback" not in second.output()


def test_second_run_on_same_data_dir_is_rejected(make_up: MakeUp, tmp_path: Path) -> None:
    folder = {"DATA_DIR": str(tmp_path / "data")}
    first = make_up(environ=folder).start()
    second = make_up(environ=folder).start(until_ready=False)
    assert second.process.wait(30) == 1
    assert f"Another `up` runs on {tmp_path / 'data'}: stop it, or set DATA_DIR" in second.output()
    assert "Traceback" not in second.output()
    assert can_answer(first, first.port)
    first.end(signal.SIGKILL)
    assert make_up(environ=folder).start().end() == 0
    assert list((tmp_path / "data").iterdir()) == []


def test_runs_on_another_database_may_share_a_data_dir(make_up: MakeUp, tmp_path: Path) -> None:
    settings = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": "postgres://127.0.0.1/x"}
    for up in [make_up(environ=settings).start() for _ in range(2)]:
        assert up.end() == 0


def test_unusable_data_dir_gives_clear_error(make_up: MakeUp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    up = make_up(environ={"DATA_DIR": str(tmp_path / "file/data")}).start(until_ready=False)
    assert up.process.wait(30) == 1
    assert "DATA_DIR" in up.output() and "cannot be used" in up.output()
    assert "Traceback" not in up.output()


def test_failing_replicas_abort_startup(make_up: MakeUp) -> None:
    up = make_up(environ={"STUB_FAILS": "1"}).start(until_ready=False)
    assert up.process.wait(30) == 1
    assert "gave up with exit code 7" in up.output()
    assert "Traceback" not in up.output()
    assert up.descendants() == set()


def test_invalid_setting_gives_clear_error_and_exit_code_2(make_up: MakeUp) -> None:
    up = make_up(environ={"MAX_TEXT_LENGTH": "many"}).start(until_ready=False)
    assert up.process.wait(30) == 2
    assert "MAX_TEXT_LENGTH must be a whole number from 1 to 10000, not 'many'." in up.output()
