"""Metrics: names, units and bounded labels."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from auth.events import LoginResult
from gateway.metrics import Metrics
from gateway.metrics.auth import LOGIN_OUTCOMES
from gateway.metrics.clients import DIALECTS
from gateway.metrics.exposition import CONTENT_TYPE
from gateway.metrics.servers import QUEUE_LINKS, REDIS_EVENTS
from gateway.protocol.codes import Close
from gateway.rabbitmq.queue import OUTCOMES
from gateway.redis.connection.events import Happening
from httpapi.docs_pages import program_version
from tests.support.servers import find_binary
from tests.support.used_metrics import FakeClient, event, used

ROOT = Path(__file__).parents[3]


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"chat_gateway_{sample}", labels)


def test_events_are_counted() -> None:
    metrics = used()
    assert value(metrics, "connections", dialect="chat") == 1
    assert value(metrics, "handshakes_total", dialect="chat", outcome="accepted") == 2
    assert value(metrics, "handshakes_total", dialect="chat", outcome="unauthorized") == 1
    assert value(metrics, "closes_total", code="4000") == 1
    assert value(metrics, "commands_total", dialect="chat", command="message", outcome="ok") == 1
    assert value(metrics, "commands_total", dialect="chat", command="message", outcome="rate_limited") == 1
    assert value(metrics, "ack_seconds_sum", dialect="chat") == 0.002
    assert value(metrics, "answer_seconds_sum", dialect="chat") == 0.006
    assert value(metrics, "commit_batch_events_sum") == 12
    assert value(metrics, "transcript_batch_lines_sum") == 8
    assert value(metrics, "transcript_commit_seconds_sum") == 0.003
    assert value(metrics, "upstream_ends_total", end="closed") == 1
    assert value(metrics, "notices_total", kind="chat_added") == 2
    assert value(metrics, "commit_seconds_sum") == 0.004
    assert value(metrics, "broadcast_pushes_total") == 3
    assert value(metrics, "broadcast_deliveries_total") == 10
    assert value(metrics, "broadcast_bytes_total") == 900
    assert value(metrics, "gaps_total") == 1
    assert value(metrics, "gap_events_repaired_total") == 5
    assert value(metrics, "replay_pages_total", source="memory") == 1
    assert value(metrics, "redis_events_total", event="reconnected", shard="0") == 1
    assert value(metrics, "redis_wait_seconds_sum", shard="0") == 0.001
    assert value(metrics, "redis_probe_seconds_sum", shard="0") == 0.002
    assert value(metrics, "database_wait_seconds_sum") == 0.003
    assert value(metrics, "event_loop_lag_seconds_sum") == 0.25
    assert value(metrics, "auth_logins_total", outcome="granted") == 1
    assert value(metrics, "auth_registrations_total") == 1
    assert value(metrics, "auth_guest_tokens_total") == 1
    assert value(metrics, "auth_hash_seconds_sum") == 0.02


def test_watched_values_are_read_at_each_scrape() -> None:
    metrics, clients = Metrics(), [FakeClient(10)]
    metrics.clients.watch(clients, lambda: 7)
    assert (value(metrics, "outbox_bytes"), value(metrics, "outbox_largest_bytes")) == (10, 10)
    clients.append(FakeClient(20))
    assert (value(metrics, "outbox_bytes"), value(metrics, "outbox_largest_bytes")) == (30, 20)
    clients.clear()
    assert (value(metrics, "outbox_bytes"), value(metrics, "outbox_largest_bytes")) == (0, 0)
    metrics = used()
    assert (value(metrics, "ready"), value(metrics, "draining"), value(metrics, "seats")) == (1, 0, 7)
    assert (value(metrics, "chats"), value(metrics, "gaps_unrepaired"), value(metrics, "commit_waiting_events")) == (
        2,
        1,
        6,
    )
    assert value(metrics, "dependency_up", dependency="redis") == 1
    assert value(metrics, "dependency_up", dependency="database") == 0
    assert (value(metrics, "redis_unpublished"), value(metrics, "queue_unacked")) == (3, 4)
    assert value(metrics, "auth_hashing") == 9


def test_delivery_lag_is_measured_from_store_time() -> None:
    metrics = used()
    assert value(metrics, "delivery_lag_seconds_count") == 1
    assert 0.2 <= (value(metrics, "delivery_lag_seconds_sum") or 0) < 2
    ahead = Metrics()
    ahead.delivery.broadcast([event(-5)], 1, 1)
    assert value(ahead, "delivery_lag_seconds_sum") == 0


def test_command_that_stores_nothing_has_no_ack_time() -> None:
    metrics = Metrics()
    metrics.clients.handled("chat", "ping")
    assert value(metrics, "ack_seconds_count", dialect="chat") is None


def test_counters_of_rare_failures_start_at_zero() -> None:
    metrics = Metrics()
    for dialect in DIALECTS:
        assert value(metrics, "handshakes_total", dialect=dialect, outcome="unavailable") == 0
        assert value(metrics, "connections", dialect=dialect) == 0
    metrics.clients.handled("chat", "message", 0.1)
    assert value(metrics, "commands_total", dialect="chat", command="message", outcome="unavailable") == 0
    assert get_args(Happening) == REDIS_EVENTS
    assert value(metrics, "redis_events_total", event="publish_dropped", shard="0") == 0
    metrics.queue.watch(lambda: 0, OUTCOMES)
    assert value(metrics, "queue_messages_total", outcome="not_stored") == 0
    assert [value(metrics, "queue_links_lost_total", link=link) for link in QUEUE_LINKS] == [0] * len(QUEUE_LINKS)
    assert get_args(LoginResult) == LOGIN_OUTCOMES


def test_names_follow_prometheus_conventions() -> None:
    families = list(text_string_to_metric_families(used().registry.exposition().decode()))
    assert len(families) > 40
    for family in families:
        assert re.fullmatch(r"(chat_gateway|process)_[a-z_]+", family.name)
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info_info", "_created")), family.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|counter|gauge|histogram)(_|$)", family.name)
        samples = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert samples == {f"{family.name}_total"}
        assert not any(name.endswith("_created") for name in samples)
    assert CONTENT_TYPE.startswith("text/plain")


def test_promtool_finds_nothing() -> None:
    command = [find_binary("promtool"), "check", "metrics"]
    ended = subprocess.run(command, input=used().registry.exposition(), capture_output=True, timeout=300)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")


def test_process_metrics_are_exported() -> None:
    text = Metrics().registry.exposition().decode()
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        assert re.search(rf"^process_{name} [0-9.e+]+$", text, re.M), name


def test_version_is_that_of_the_project() -> None:
    assert program_version() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert 'chat_gateway_build_info{python="3' in Metrics().registry.exposition().decode()
    assert f'version="{program_version()}"' in Metrics().registry.exposition().decode()


def test_unknown_close_codes_count_as_other() -> None:
    metrics = Metrics()
    for code in [*range(1000), *range(1016, 5000), 65_535]:
        metrics.clients.closed("chat", code)
    labels = {
        sample.labels["code"]
        for family in metrics.registry.collect()
        if family.name == "chat_gateway_closes"
        for sample in family.samples
    }
    assert labels == {str(code.value) for code in Close} | {"other"}


# fmt: off
LABELS = {
    "by", "call", "caller", "code", "command", "dependency", "dialect", "end", "endpoint", "event", "kind", "le",
    "limit", "link", "outcome", "python", "quota", "reason", "service", "shard", "source", "version",
}
# fmt: on
"""Each has a few values, which the program or its operator names: no user, chat, client, address or text."""


def test_no_label_holds_what_clients_name() -> None:
    found = {label for family in used().registry.collect() for sample in family.samples for label in sample.labels}
    assert found == LABELS


def test_two_nodes_in_one_process_count_separately() -> None:
    one, other = Metrics(), Metrics()
    one.clients.accepted("chat")
    assert value(other, "handshakes_total", dialect="chat", outcome="accepted") == 0
