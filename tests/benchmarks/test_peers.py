"""Peers are measured if they are installed; missing ones are reported."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fanout import Contender, Fanout
from benchmarks.load import Load, LoadFailed
from benchmarks.measured import Measured, Meter
from benchmarks.peers import centrifugo
from benchmarks.progress import Progress
from benchmarks.result import Figure
from benchmarks.workloads import w1, w2, w3


@pytest.mark.parametrize("where", ["path", "go"])
def test_centrifugo_is_measured_if_there_is_a_binary(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(centrifugo, "_GO_BIN", tmp_path / "go")
    assert centrifugo.BUILD in centrifugo.missing()
    binary = tmp_path / where / "centrifugo"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    assert not centrifugo.missing()


def test_centrifugo_configuration_is_json_with_redis_address() -> None:
    made = centrifugo.configuration(1234, "redis://127.0.0.1:6379/0", channel={"presence": True}, client={})
    configuration = json.loads(json.dumps(made))
    assert configuration["engine"]["redis"]["address"] == "redis://127.0.0.1:6379/0"
    assert configuration["channel"]["without_namespace"]["presence"] is True


def test_missing_centrifugo_is_named_in_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centrifugo, "_binary", lambda: None)
    with Load([], tmp_path) as load:
        connects = w3.Connects("chat-gateway", lambda: load, Measured(os.getpid()), {})
        contender = w2.LoadedServer("chat-gateway", load, Meter(lambda: 0))
        for table in (w2._beside(contender), w3._beside(connects, connects)):
            assert "not measured" in table.markdown()
            assert centrifugo.BUILD in table.markdown()


@pytest.mark.skipif(bool(centrifugo.missing()), reason="no Centrifugo")
def test_centrifugo_pairs_connect_and_write(tmp_path: Path) -> None:
    with centrifugo.pairs(tmp_path / "server") as server:
        chats = server.sockets(3, "hello")
        clients = [writer for writer, _ in chats] + [reader for _, reader in chats]
        with Load(clients, tmp_path, prefix=centrifugo.PREFIX, lines=centrifugo.LINES) as load:
            assert load.open().count == 6
            written = load.write(0.2, 3)
            assert written.acked > 0
            assert written.delivered == written.acked
            assert load.frames() == 2 * written.acked  # the writer's own copy too
            assert written.errors == 0


def test_missing_peer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    peers = w1._peers(quick=False)
    assert w1.SOCKET_IO not in peers
    assert w1.count_steps(quick=False) == 2 * (1 + len(peers))


def test_failing_peer_does_not_stop_other_contenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = replace(w1.NCHAN, missing=lambda: "")  # whether this machine has it or not

    def measured(contenders: Sequence[Contender], *_: object, **__: object) -> list[Fanout]:
        if failing in contenders:
            raise LoadFailed("it ended")
        one = Figure((1.0,))
        return [Fanout(contender.name, one, one, one, kib=1, load=0.5, limit="") for contender in contenders]

    monkeypatch.setattr(w1, "measure", measured)
    monkeypatch.setattr(w1, "PEERS", (failing, w1.PEERS[-2]))
    section = w1.run(tmp_path, False, Progress(1))
    assert "nchan, Redis** failed with 5,000 subscribers: it ended" in section.tables[-1].markdown()
    assert [row[0] for row in section.tables[0].rows] == [w1.LIMIT.name, w1.US.name, w1.PEERS[-1].name]


def test_every_contender_states_its_settings() -> None:
    assert all(contender.settings for contender in (w1.US, w1.LIMIT, *w1.PEERS))
