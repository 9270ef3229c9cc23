"""Peers are measured if they are installed; missing ones are reported."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.fanout import Contender, Fanout
from benchmarks.load import LoadFailed
from benchmarks.peers import centrifugo
from benchmarks.progress import Progress
from benchmarks.result import Figure
from benchmarks.workloads import w1


def test_centrifugo_is_measured_if_binary_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert centrifugo.missing()
    binary = tmp_path / "centrifugo"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    assert not centrifugo.missing()


def test_centrifugo_configuration_is_json_with_redis_address() -> None:
    configuration = json.loads(json.dumps(centrifugo.configuration(1234, "redis://127.0.0.1:6379/0")))
    assert configuration["engine"]["redis"]["address"] == "redis://127.0.0.1:6379/0"


def test_missing_peer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    names = [contender.name for contender in w1._contenders(quick=False)]
    assert names[:2] == [w1.LIMIT.name, w1.US.name]
    assert w1.SOCKET_IO.name not in names
    assert w1.count_steps(quick=False) == 2 * len(names)


def test_failing_peer_does_not_stop_other_contenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = replace(w1.NCHAN, missing=lambda: "")  # whether this machine has it or not

    def measured(contender: Contender, *_: object, **__: object) -> Fanout:
        if contender is failing:
            raise LoadFailed("it ended")
        one = Figure((1.0,))
        return Fanout(contender.name, one, one, one, kib=1, load=0.5, limit="")

    monkeypatch.setattr(w1, "measure", measured)
    monkeypatch.setattr(w1, "PEERS", (failing, w1.PEERS[-2]))
    section = w1.run(tmp_path, False, Progress(1))
    assert "nchan, Redis** failed with 5,000 subscribers: it ended" in section.tables[-1].markdown()
    assert [row[0] for row in section.tables[0].rows] == [w1.LIMIT.name, w1.US.name, w1.PEERS[-1].name]


def test_every_contender_states_its_settings() -> None:
    assert all(contender.settings for contender in (w1.US, w1.LIMIT, *w1.PEERS))
