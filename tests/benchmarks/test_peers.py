"""Peers are measured where they are installed, and their absence is said."""

import json
from pathlib import Path

import pytest

from benchmarks import w1
from benchmarks.peers import centrifugo


def test_centrifugo_is_measured_where_its_binary_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert centrifugo.missing()
    binary = tmp_path / "centrifugo"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    assert not centrifugo.missing()


def test_its_configuration_is_json_that_names_its_redis() -> None:
    configuration = json.loads(json.dumps(centrifugo.configuration(1234, "redis://127.0.0.1:6379/0")))
    assert configuration["engine"]["redis"]["address"] == "redis://127.0.0.1:6379/0"


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    names = [contender.name for contender in w1._contenders(quick=False)]
    assert names[:2] == [w1.LIMIT.name, w1.US.name]
    assert w1.SOCKET_IO.name not in names
    assert w1.count_steps(quick=False) == 2 * len(names)


def test_every_contender_states_its_settings() -> None:
    assert all(contender.settings for contender in (w1.US, w1.LIMIT, *w1.PEERS))
