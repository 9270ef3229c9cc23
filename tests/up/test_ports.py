"""A free port stays free for the server that it was found for."""

import socket
import subprocess
import sys

import pytest

from gateway.up import ports
from gateway.up.ports import free_port, why_not

RESERVED = "Linux lets a server bind a port that a socket without a listener has"


@pytest.mark.skipif(sys.platform != "linux", reason=RESERVED)
def test_other_calls_never_return_a_reserved_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "HIGHEST", ports.LOWEST + 59)
    command = (
        f"from gateway.up import ports; ports.HIGHEST = {ports.HIGHEST}\n"
        "found = [ports.free_port() for _ in range(10)]\n"
        "print(*found, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        ours = {free_port() for _ in range(5)}
        other.communicate(b"\n")
    assert (len(theirs), len(ours), theirs & ours) == (10, 5, set())


def test_server_listens_on_its_free_port_again_and_again() -> None:
    port = free_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)):
            assert why_not("127.0.0.1", port) == "it is taken"
        assert why_not("127.0.0.1", port) is None
