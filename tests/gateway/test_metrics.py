"""Metrics: names, units, and labels that do not grow."""

import re

from prometheus_client.parser import text_string_to_metric_families

from gateway.codes import Close
from gateway.metrics import CONTENT_TYPE, Metrics


def value(metrics: Metrics, sample: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"chat_gateway_{sample}", labels)


def used() -> Metrics:
    """Metrics after everything has happened once."""
    metrics = Metrics()
    metrics.watch(lambda: 3, lambda: 2, lambda: True, lambda: 1000)
    metrics.accepted("chat")
    metrics.turned_away("chat", "unauthorized")
    metrics.closed(Close.DRAIN)
    metrics.handled("chat", "message", 0.002)
    metrics.refused("chat", "message", "rate_limited")
    metrics.committed(12, 0.004)
    metrics.transcribed(8, 0.003)
    metrics.upstream_ended("closed")
    metrics.broadcast(2, 10, 900)
    metrics.gap(0)
    metrics.gap(5)
    metrics.page("memory")
    metrics.notices("chat_added", 2)
    metrics.redis("reconnected")
    metrics.watch_queue(lambda: 4)
    metrics.queue_settled("stored")
    metrics.queue_link_lost("publish")
    metrics.loop_lag(0.25)
    return metrics


def test_what_happens_is_counted() -> None:
    metrics = used()
    assert value(metrics, "handshakes_total", dialect="chat", outcome="accepted") == 1
    assert value(metrics, "handshakes_total", dialect="chat", outcome="unauthorized") == 1
    assert value(metrics, "closes_total", code="4000") == 1
    assert value(metrics, "commands_total", dialect="chat", command="message", outcome="ok") == 1
    assert value(metrics, "commands_total", dialect="chat", command="message", outcome="rate_limited") == 1
    assert value(metrics, "ack_seconds_sum") == 0.002
    assert value(metrics, "commit_batch_events_sum") == 12
    assert value(metrics, "transcript_batch_lines_sum") == 8
    assert value(metrics, "transcript_commit_seconds_sum") == 0.003
    assert value(metrics, "upstream_ends_total", end="closed") == 1
    assert value(metrics, "notices_total", kind="chat_added") == 2
    assert value(metrics, "commit_seconds_sum") == 0.004
    assert value(metrics, "broadcast_pushes_total") == 2
    assert value(metrics, "broadcast_deliveries_total") == 10
    assert value(metrics, "broadcast_bytes_total") == 900
    assert value(metrics, "gaps_total") == 1
    assert value(metrics, "gap_events_repaired_total") == 5
    assert value(metrics, "replay_pages_total", source="memory") == 1
    assert value(metrics, "redis_events_total", event="reconnected") == 1
    assert value(metrics, "event_loop_lag_seconds") == 0.25


def test_what_is_watched_is_read_at_each_scrape() -> None:
    metrics, connections = Metrics(), [1]
    metrics.watch(lambda: len(connections), lambda: 2, lambda: False, lambda: 1000)
    assert (value(metrics, "connections"), value(metrics, "chats"), value(metrics, "ready")) == (1, 2, 0)
    connections.append(1)
    assert value(metrics, "connections") == 2


def test_a_command_that_stores_nothing_has_no_ack() -> None:
    metrics = Metrics()
    metrics.handled("chat", "ping")
    assert value(metrics, "ack_seconds_count") == 0


def test_names_follow_prometheus_conventions() -> None:
    families = list(text_string_to_metric_families(used().exposition().decode()))
    assert len(families) > 15
    for family in families:
        if family.name.endswith("_created"):  # the client's own, one beside each counter
            continue
        assert re.fullmatch(r"chat_gateway_[a-z_]+", family.name)
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_info_info")), family.name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|counter|gauge|histogram)(_|$)", family.name)
        samples = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert samples == {f"{family.name}_total"}
    assert CONTENT_TYPE.startswith("text/plain")


def test_close_codes_that_clients_make_up_count_as_one() -> None:
    metrics = Metrics()
    for code in [*range(1000), *range(1016, 5000), 65_535]:
        metrics.closed(code)
    labels = {
        sample.labels["code"]
        for family in metrics.registry.collect()
        if family.name == "chat_gateway_closes"
        for sample in family.samples
    }
    assert labels == {str(code.value) for code in Close} | {"other"}


def test_two_nodes_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.accepted("chat")
    assert value(other, "handshakes_total", dialect="chat", outcome="accepted") is None
