"""Each alert fires for its cause and no other alert with it; none fires for a healthy node; each has a runbook."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from tests.deploy.programs import ROOT
from tests.deploy.promtool import (
    ALWAYS,
    MINUTES,
    NEVER,
    RULES,
    PromtoolRefused,
    Series,
    commands,
    counter,
    gauge,
    handshakes,
    histogram,
    lately,
    play,
    promtool,
    steady,
)

RUNBOOKS = ROOT / "docs/runbooks"
HEADINGS = ["## Meaning", "## First look", "## Likely causes", "## What to do"]
Expected = Mapping[str, Sequence[str]]


def _alerts() -> list[dict[str, object]]:
    files = [yaml.safe_load((RULES / name).read_text()) for name in ("slos.yml", "alerts.yml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]


def _dependency(name: str, minutes: int) -> Series:
    return gauge("chat_gateway_dependency_up", lately(1, 0, minutes), f'dependency="{name}"')


def _slow(name: str, bound: str, share: float) -> Series:
    slow, fast = [(600 * share, MINUTES)], [(600 * (1 - share), MINUTES)]
    return histogram(f"chat_gateway_{name}_seconds", slow, fast, bound)


def _failing(share: float, minutes: int, ended: int = 0) -> tuple[str, str]:
    """Two counters: what went well, and what went wrong for some minutes, up to `ended` minutes ago."""
    before = MINUTES - minutes - ended
    well = [(600.0, before), (600 * (1 - share), minutes), (600.0, ended)]
    wrong = [(0.0, before), (600 * share, minutes), (0.0, ended)]
    return (
        counter(*[each for each in well if each[1]]),
        counter(*[each for each in wrong if each[1]]),
    )


CAUSES: dict[str, tuple[Series, Expected]] = {
    "no node is ready": (
        gauge("chat_gateway_ready", lately(1, 0, 4)),
        {"critical": ["ChatGatewayGone"]},
    ),
    "no node is there": (gauge("chat_gateway_ready", ""), {"critical": ["ChatGatewayGone"]}),
    "one node of two is not ready": (
        {'chat_gateway_ready{job="chat-gateway",instance="n2"}': lately(1, 0, 8)},
        {"warning": ["ChatGatewayNotReady"]},
    ),
    "a node does not answer": (
        gauge("up", lately(1, 0, 5)) | {'chat_gateway_ready{job="chat-gateway",instance="n2"}': steady(1)},
        {"warning": ["ChatGatewaySilent"]},
    ),
    "a node is deaf": (_dependency("subscription", 3), {"warning": ["ChatGatewayDeaf"]}),
    "the database is down": (_dependency("database", 3), {"critical": ["ChatGatewayDatabaseDown"]}),
    "lists of Redis differ": (
        gauge("chat_gateway_redis_peers_differing", lately(0, 1, 20)),
        {"warning": ["ChatGatewayRedisPeersDiffer"]},
    ),
    "Redis is down": (_dependency("redis", 3), {"critical": ["ChatGatewayRedisDown"]}),
    "the durable queue is down": (_dependency("queue", 4), {"critical": ["ChatGatewayQueueDown"]}),
    "commits are slow": (_slow("commit", "0.5", 0.05), {"warning": ["ChatGatewayCommitsSlowly"]}),
    "commits queue up": (
        gauge("chat_gateway_commit_waiting_events", lately(0, 3000, 4)),
        {"critical": ["ChatGatewayCommitsQueueUp"]},
    ),
    "the pool is used up": (_slow("database_wait", "0.25", 0.2), {"warning": ["ChatGatewayDatabaseWaits"]}),
    "Redis is slow": (_slow("redis_wait", "0.25", 0.05), {"warning": ["ChatGatewayRedisSlow"]}),
    "holes stay": (
        gauge("chat_gateway_gaps_unrepaired", lately(0, 2, 3)),
        {"critical": ["ChatGatewayGapsUnrepaired"]},
    ),
    "clients are too slow": (
        gauge("chat_gateway_slow_consumers_total", counter((0, MINUTES - 15), (10, 15))),
        {"warning": ["ChatGatewaySlowConsumers"]},
    ),
    "a loop is late": (_slow("event_loop_lag", "0.1", 0.2), {"warning": ["ChatGatewayLoopLags"]}),
    "a drain is stuck": (gauge("chat_gateway_draining", lately(0, 1, 8)), {"warning": ["ChatGatewayDrainStuck"]}),
    "descriptors run out": (
        gauge("process_open_fds", lately(500, 900, 8)),
        {"warning": ["ChatGatewayDescriptorsRunOut"]},
    ),
    "a first message is put aside": (
        gauge("chat_gateway_queue_messages_total", lately(0, 1, 5), 'outcome="not_stored"'),
        {"warning": ["ChatGatewayDeadLetters"]},
    ),
    "events wait for a webhook": (
        gauge("chat_gateway_webhook_lag_seconds", lately(0, 400, 12), 'endpoint="one"'),
        {"warning": ["ChatGatewayWebhooksLag"]},
    ),
    "a webhook's events are given up": (
        gauge("chat_gateway_webhook_events_given_up_total", lately(0, 3, 5), 'endpoint="one"'),
        {"warning": ["ChatGatewayWebhooksGivenUp"]},
    ),
    "old messages stay": (
        gauge("chat_gateway_retention_overdue_seconds", lately(0, 4000, 15)),
        {"warning": ["ChatGatewayRetentionLags"]},
    ),
    "logins are refused": (
        gauge("chat_gateway_auth_logins_total", lately(0, 3, 2), 'outcome="overloaded"'),
        {"warning": ["ChatGatewayAuthOverloaded"]},
    ),
    "audit records are lost": (
        gauge("chat_gateway_audit_records_total", lately(0, 3, 2), 'outcome="lost"'),
        {"warning": ["ChatGatewayAuditLost"]},
    ),
}
BOTH = ("critical", "warning")
OBJECTIVES: dict[str, tuple[Series, Expected]] = {
    "messages are refused": (
        commands(*_failing(0.03, 70)),
        {severity: ["ChatGatewayAcksFail"] for severity in BOTH},
    ),
    "a few messages are refused all day": (commands(*_failing(0.004, MINUTES)), {"warning": ["ChatGatewayAcksFail"]}),
    "acknowledgements are slow": (
        _slow("ack", "0.5", 0.2),
        {severity: ["ChatGatewayAcksSlow"] for severity in BOTH},
    ),
    "a few acknowledgements are slow all day": (_slow("ack", "0.5", 0.04), {"warning": ["ChatGatewayAcksSlow"]}),
    "deliveries lag": (
        _slow("delivery_lag", "1.0", 0.03),
        {severity: ["ChatGatewayDeliveriesLag"] for severity in BOTH},
    ),
    "a few deliveries lag all day": (
        _slow("delivery_lag", "1.0", 0.004),
        {"warning": ["ChatGatewayDeliveriesLag"]},
    ),
    "connections are refused": (
        handshakes(*_failing(0.03, 70)),
        {severity: ["ChatGatewayConnectsFail"] for severity in BOTH},
    ),
    "a few connections are refused all day": (
        handshakes(*_failing(0.004, MINUTES)),
        {"warning": ["ChatGatewayConnectsFail"]},
    ),
}
QUIET: dict[str, tuple[Series, Expected]] = {
    "all is well": ({}, {}),
    "fewer are refused than the budget allows": (commands(*_failing(0.0005, MINUTES)), {}),
    "a refusal of one message in a quiet night": (
        commands(counter((0.5, MINUTES)), counter((0, MINUTES - 2), (1, 2))),
        {},
    ),
    "Redis was away for less than a minute": (_dependency("redis", 0), {}),
    "a node is leaving in its time": (
        gauge("chat_gateway_draining", lately(0, 1, 1))
        | {'chat_gateway_ready{job="chat-gateway",instance="n2"}': lately(1, 0, 1)},
        {},
    ),
    "there is no durable queue": (gauge("chat_gateway_dependency_up", "", 'dependency="queue"'), {}),
    "slow clients among very many": (
        gauge("chat_gateway_connections", steady(100_000))
        | gauge("chat_gateway_slow_consumers_total", counter((100, MINUTES))),
        {},
    ),
}


@pytest.mark.parametrize("scenes", [CAUSES, OBJECTIVES, QUIET], ids=["causes", "objectives", "quiet"])
def test_scene_fires_exactly_expected_alerts(tmp_path: Path, scenes: Mapping[str, tuple[Series, Expected]]) -> None:
    play(tmp_path, scenes)


def test_page_ends_soon_after_its_cause(tmp_path: Path) -> None:
    play(
        tmp_path,
        {"it has ended": (commands(*_failing(0.1, 30, ended=35)), {"warning": ["ChatGatewayAcksFail"]})},
    )


def test_scene_with_missing_expectation_fails(tmp_path: Path) -> None:
    with pytest.raises(PromtoolRefused, match="ChatGatewayDeaf"):
        play(tmp_path, {"a node is deaf": (_dependency("subscription", 3), {})})


def test_every_alert_has_a_scene() -> None:
    played = {
        (alert, severity)
        for _, expected in [*CAUSES.values(), *OBJECTIVES.values()]
        for severity, alerts in expected.items()
        for alert in alerts
    }
    assert played == {(rule["alert"], rule["labels"]["severity"]) for rule in _alerts()}  # type: ignore[index]
    assert ALWAYS != NEVER


def test_promtool_lint_finds_nothing() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES / "slos.yml"), str(RULES / "alerts.yml"))


def test_alerts_and_runbooks_match_one_to_one() -> None:
    alerts = {str(rule["alert"]) for rule in _alerts()}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == alerts
    for rule in _alerts():
        annotations = rule["annotations"]
        page = f"{{{{ $externalLabels.chat_gateway_runbooks }}}}docs/runbooks/{rule['alert']}.md"
        assert annotations["runbook_url"] == page  # type: ignore[index]
        assert set(annotations) == {"summary", "description", "runbook_url"}  # type: ignore[call-overload]


@pytest.mark.parametrize("prefix", ["", "https://example.com/blob/main/"])
def test_runbook_url_begins_with_external_label(tmp_path: Path, prefix: str) -> None:
    alert = next(rule for rule in _alerts() if rule["alert"] == "ChatGatewayGone")
    annotations = {**alert["annotations"], "runbook_url": f"{prefix}docs/runbooks/ChatGatewayGone.md"}  # type: ignore[dict-item]
    played = {
        "interval": "1m",
        "external_labels": {"chat_gateway_runbooks": prefix} if prefix else {},
        "input_series": [],
        "alert_rule_test": [
            {
                "alertname": "ChatGatewayGone",
                "eval_time": "5m",
                "exp_alerts": [{"exp_labels": {"severity": "critical"}, "exp_annotations": annotations}],
            }
        ],
    }
    whole = {"rule_files": [str(RULES / "alerts.yml")], "tests": [played]}
    (tmp_path / "links.yml").write_text(json.dumps(whole))
    promtool("test", "rules", "links.yml", folder=tmp_path)


def test_every_runbook_has_the_same_four_parts() -> None:
    for path in RUNBOOKS.glob("*.md"):
        lines = path.read_text().splitlines()
        assert lines[0] == f"# {path.stem}"
        assert [line for line in lines if line.startswith("## ")] == HEADINGS, path.name


def test_operations_table_names_every_alert() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    for alert in {str(rule["alert"]) for rule in _alerts()}:
        assert f"[{alert}](runbooks/{alert}.md)" in text, alert
