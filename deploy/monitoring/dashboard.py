"""The Grafana dashboard, row by row: are messages getting through, how fast, who is suffering, what runs out next."""

from dataclasses import dataclass
from typing import Any

WIDTH = 24
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${source}"}
HERE = 'job=~"$job",instance=~"$instance"'


@dataclass(frozen=True)
class Panel:
    """A graph of `queries`, which maps each legend to its PromQL expression."""

    title: str
    unit: str
    queries: dict[str, str]
    description: str = ""
    stat: bool = False
    """Whether each query is shown as one number instead of a line."""


def _rate(metric: str, by: str = "", labels: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum "
    return f"{grouped}(rate({metric}{{{HERE}{',' if labels else ''}{labels}}}[$__rate_interval]))"


def _now(metric: str, by: str = "instance", how: str = "sum", labels: str = "") -> str:
    return f"{how} by ({by}) ({metric}{{{HERE}{',' if labels else ''}{labels}}})"


def _quantiles(metric: str) -> dict[str, str]:
    rate = _rate(metric + "_bucket", "le")
    return {name: f"histogram_quantile({q}, {rate})" for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def _worst(metric: str, q: float = 0.99) -> dict[str, str]:
    return {"{{instance}}": f"histogram_quantile({q}, {_rate(metric + '_bucket', 'instance, le')})"}


ROWS: dict[str, list[Panel]] = {
    "Are messages getting through?": [
        Panel(
            "Failures in the last hour",
            "percentunit",
            {
                "acks fail": "chat_gateway_acks:errors:ratio_rate1h",
                "acks > 0.5 s": "chat_gateway_ack_latency:errors:ratio_rate1h",
                "deliveries > 1 s": "chat_gateway_delivery_lag:errors:ratio_rate1h",
                "connects fail": "chat_gateway_connects:errors:ratio_rate1h",
            },
            "The four objectives (docs/operations.md), over all nodes.",
            stat=True,
        ),
        Panel(
            "Nodes",
            "short",
            {
                "ready": f"sum(chat_gateway_ready{{{HERE}}})",
                "not ready": f"count(chat_gateway_ready{{{HERE}}} == 0) or vector(0)",
                "draining": f"sum(chat_gateway_draining{{{HERE}}})",
            },
            stat=True,
        ),
        Panel(
            "Dependencies",
            "short",
            {"{{dependency}}": f"min by (dependency) (chat_gateway_dependency_up{{{HERE}}})"},
            "1: every node gets responses; 0: at least one node does not.",
            stat=True,
        ),
        Panel("Commands", "ops", {"{{command}}": _rate("chat_gateway_commands_total", "command", 'outcome="ok"')}),
        Panel(
            "Rejected commands",
            "ops",
            {"{{outcome}}": _rate("chat_gateway_commands_total", "outcome", 'outcome!="ok"')},
            "unavailable is a fault of the server; all other codes are errors of clients.",
        ),
        Panel(
            "Pushes and deliveries",
            "ops",
            {
                "pushes": _rate("chat_gateway_broadcast_pushes_total"),
                "deliveries": _rate("chat_gateway_broadcast_deliveries_total"),
                "chats behind": _rate("chat_gateway_broadcasts_behind_total"),
            },
            "A delivery is a push to one socket. A chat is behind if 1 MiB waits for its sockets.",
        ),
        Panel(
            "Handshakes",
            "ops",
            {"{{outcome}}": _rate("chat_gateway_handshakes_total", "outcome")},
            "Of all URL families.",
        ),
        Panel(
            "Holes",
            "ops",
            {
                "found": _rate("chat_gateway_gaps_total"),
                "events read to close them": _rate("chat_gateway_gap_events_repaired_total"),
                "chats not repaired": f"sum(chat_gateway_gaps_unrepaired{{{HERE}}})",
            },
            "Detected in the publications from Redis, and closed by reading the store.",
        ),
        Panel(
            "Durable queue",
            "ops",
            {
                "{{outcome}}": _rate("chat_gateway_queue_messages_total", "outcome"),
                "lost: {{link}}": _rate("chat_gateway_queue_links_lost_total", "link"),
            },
        ),
    ],
    "How fast?": [
        Panel(
            "Acknowledgement time",
            "s",
            _quantiles("chat_gateway_ack_seconds"),
            "From the start of handling a message to its acknowledgement.",
        ),
        Panel(
            "Response time of other commands",
            "s",
            _quantiles("chat_gateway_answer_seconds"),
            "History, presence, read marks, subscriptions. Includes the wait behind earlier commands of the client.",
        ),
        Panel(
            "Delivery lag",
            "s",
            _quantiles("chat_gateway_delivery_lag_seconds"),
            "From the store's timestamp of a message to the send queues. Includes the difference of the hosts' clocks.",
        ),
        Panel("Commit time", "s", _quantiles("chat_gateway_commit_seconds")),
        Panel(
            "Redis response time",
            "s",
            _quantiles("chat_gateway_redis_wait_seconds"),
            "The longest wait among the commands completed by one read.",
        ),
        Panel("Probe through Redis", "s", _worst("chat_gateway_redis_probe_seconds"), "p99, by node."),
        Panel("Events per commit", "short", _quantiles("chat_gateway_commit_batch_events")),
    ],
    "Who is suffering?": [
        Panel("Connections", "short", {"{{dialect}}": _now("chat_gateway_connections", "dialect")}),
        Panel("Connections by node", "short", {"{{instance}}": _now("chat_gateway_connections")}),
        Panel(
            "Chats and seats by node",
            "short",
            {"chats {{instance}}": _now("chat_gateway_chats"), "seats {{instance}}": _now("chat_gateway_seats")},
        ),
        Panel("Closes", "ops", {"{{code}}": _rate("chat_gateway_closes_total", "code")}, "4001: a slow consumer."),
        Panel(
            "Limits",
            "ops",
            {
                "slow consumers": _rate("chat_gateway_slow_consumers_total"),
                "rate limited": _rate("chat_gateway_rate_limited_total"),
                "transcripts lost": _rate("chat_gateway_transcripts_lost_total"),
                "input slowed": _rate("chat_gateway_input_slowed_total"),
                "floods closed": _rate("chat_gateway_floods_total"),
                "strangers limited": _rate("chat_gateway_strangers_limited_total"),
                "handshakes limited by {{by}}": _rate("chat_gateway_handshakes_limited_total", "by"),
            },
        ),
        Panel(
            "HTTP requests limited",
            "ops",
            {
                "{{limit}} {{caller}}": _rate("chat_gateway_http_limited_total", "limit, caller"),
                "responses slowed": _rate("chat_gateway_refusals_slowed_total"),
            },
        ),
        Panel(
            "Quotas",
            "ops",
            {"{{quota}}": _rate("chat_gateway_quota_rejections_total", "quota")},
            "What was not stored, because its user or address had stored as much as it may.",
        ),
        Panel("Pages read by resumes", "ops", {"{{source}}": _rate("chat_gateway_replay_pages_total", "source")}),
        Panel("Notifications", "ops", {"{{kind}}": _rate("chat_gateway_notices_total", "kind")}),
        Panel("Proxied echo sessions ended", "ops", {"{{end}}": _rate("chat_gateway_upstream_ends_total", "end")}),
        Panel("Log lines dropped", "ops", {"{{event}}": _rate("chat_gateway_log_lines_dropped_total", "event")}),
        Panel("Logins", "ops", {"{{outcome}}": _rate("chat_gateway_auth_logins_total", "outcome")}),
        Panel(
            "Renewed logins",
            "ops",
            {"{{outcome}}": _rate("chat_gateway_auth_refreshes_total", "outcome")},
            "reused: a stolen refresh token.",
        ),
        Panel(
            "Audit records",
            "ops",
            {"{{outcome}}": _rate("chat_gateway_audit_records_total", "outcome")},
            "lost: the queue was full, the record is in the log only.",
        ),
        Panel(
            "Traces",
            "ops",
            {"{{outcome}}": _rate("chat_gateway_traces_total", "outcome")},
            "skipped: more than TRACES_PER_S.",
        ),
        Panel(
            "Calls of services",
            "ops",
            {"{{service}} {{outcome}}": _rate("chat_gateway_service_calls_total", "service, outcome")},
        ),
        Panel(
            "Webhook events",
            "ops",
            {
                "delivered to {{endpoint}}": _rate("chat_gateway_webhook_events_delivered_total", "endpoint"),
                "given up of {{endpoint}}": _rate("chat_gateway_webhook_events_given_up_total", "endpoint"),
                "removed before {{endpoint}}": _rate("chat_gateway_webhook_events_lost_total", "endpoint"),
                "failures of {{endpoint}}: {{reason}}": _rate(
                    "chat_gateway_webhook_failures_total", "endpoint, reason"
                ),
            },
        ),
        Panel(
            "Webhook lag",
            "s",
            {"{{endpoint}}": _now("chat_gateway_webhook_lag_seconds", "endpoint", "max")},
            "Age of the oldest event that waits.",
        ),
        Panel(
            "Waiting for webhooks",
            "short",
            {
                "events for {{endpoint}}": _now("chat_gateway_webhook_events_waiting", "endpoint", "max"),
                "chats for {{endpoint}}": _now("chat_gateway_webhook_chats_waiting", "endpoint", "max"),
                "failing chats of {{endpoint}}": _now("chat_gateway_webhook_chats_failing", "endpoint", "max"),
                "dead letters of {{endpoint}}": _now("chat_gateway_webhook_dead_letters", "endpoint", "max"),
                "removed webhooks with a backlog": "max(chat_gateway_webhooks_removed)",
            },
        ),
    ],
    "What runs out next?": [
        Panel(
            "CPU", "percentunit", {"{{instance}}": _rate("process_cpu_seconds_total", "instance")}, "100 % is one core."
        ),
        Panel("Event loop lag", "s", _worst("chat_gateway_event_loop_lag_seconds"), "p99, by node."),
        Panel("Memory", "bytes", {"{{instance}}": _now("process_resident_memory_bytes")}),
        Panel(
            "File descriptors",
            "percentunit",
            {"{{instance}}": f"process_open_fds{{{HERE}}} / process_max_fds{{{HERE}}}"},
        ),
        Panel("Wait for a database connection", "s", _worst("chat_gateway_database_wait_seconds"), "p99, by node."),
        Panel("Events waiting for a commit", "short", {"{{instance}}": _now("chat_gateway_commit_waiting_events")}),
        Panel(
            "Send queues",
            "bytes",
            {
                "all {{instance}}": _now("chat_gateway_outbox_bytes"),
                "largest {{instance}}": _now("chat_gateway_outbox_largest_bytes", how="max"),
            },
            "A client with more than 1 MiB is closed.",
        ),
        Panel("Bytes sent", "Bps", {"{{instance}}": _rate("chat_gateway_broadcast_bytes_total", "instance")}),
        Panel("Replay cache", "bytes", {"{{instance}}": _now("chat_gateway_replay_memory_bytes")}, "At most 64 MiB."),
        Panel(
            "Redis connections",
            "ops",
            {
                "{{event}}": _rate("chat_gateway_redis_events_total", "event"),
                "bad publications": _rate("chat_gateway_bad_publications_total"),
                "processes with other Redis settings": _now("chat_gateway_redis_peers_differing"),
            },
        ),
        Panel(
            "Unpublished and unacknowledged messages",
            "short",
            {"to Redis": _now("chat_gateway_redis_unpublished"), "from the queue": _now("chat_gateway_queue_unacked")},
        ),
        Panel(
            "Audit records waiting", "short", {"{{instance}}": _now("chat_gateway_audit_waiting")}, "At most 10,000."
        ),
        Panel("Password hashing time", "s", _quantiles("chat_gateway_auth_hash_seconds")),
        Panel("Passwords being hashed", "short", {"{{instance}}": _now("chat_gateway_auth_hashing")}),
        Panel(
            "Accounts and guests",
            "ops",
            {
                "registered": _rate("chat_gateway_auth_registrations_total"),
                "registrations refused": _rate("chat_gateway_auth_registrations_limited_total"),
                "refused: {{call}}": _rate("chat_gateway_auth_calls_limited_total", "call"),
                "guest tokens": _rate("chat_gateway_auth_guest_tokens_total"),
                "codes refused": _rate("chat_gateway_auth_codes_limited_total"),
                "password changes: {{outcome}}": _rate("chat_gateway_auth_password_changes_total", "outcome"),
                "requested resets: {{outcome}}": _rate("chat_gateway_auth_password_resets_total", "outcome"),
            },
        ),
        Panel("Commit time of echo transcripts", "s", _quantiles("chat_gateway_transcript_commit_seconds")),
        Panel("Size of echo transcripts", "bytes", {"all": "max(chat_gateway_transcript_bytes)"}),
        Panel(
            "Deleted lines of echo transcripts", "ops", {"lines": _rate("chat_gateway_transcript_lines_deleted_total")}
        ),
        Panel("Deleted rows of removed chats", "ops", {"rows": _rate("chat_gateway_removed_chat_rows_total")}),
        Panel("Events removed by retention", "ops", {"events": _rate("chat_gateway_retention_removed_events_total")}),
        Panel(
            "Retention behind",
            "s",
            {
                "oldest event of the chat at work": "max(chat_gateway_retention_lag_seconds)",
                "pass that has not ended": "max(chat_gateway_retention_overdue_seconds)",
            },
        ),
        Panel("Lines per commit of echo transcripts", "short", _quantiles("chat_gateway_transcript_batch_lines")),
        Panel(
            "Versions", "short", {"{{version}}": f"count by (version) (chat_gateway_build_info{{{HERE}}})"}, stat=True
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard in Grafana's JSON model."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "collapsed": False, "panels": [], **_place(0, top, WIDTH, 1)})
        top += 1
        for number, panel in enumerate(row):
            width = WIDTH // 3
            panels.append(_drawn(panel) | _place(number % 3 * width, top + number // 3 * HEIGHT, width, HEIGHT))
        top += -(-len(row) // 3) * HEIGHT
    for number, drawn in enumerate(panels, start=1):
        drawn["id"] = number
    return {
        "uid": "chat-gateway",
        "title": "Chat gateway",
        "description": "Are messages getting through, how fast, who is suffering, what runs out next.",
        "tags": ["chat-gateway"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source(), _choice("job", ""), _choice("instance", 'job=~"$job"')]},
        "panels": panels,
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _drawn(panel: Panel) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": expr,
            "legendFormat": legend,
            "instant": panel.stat,
        }
        for number, (legend, expr) in enumerate(panel.queries.items())
    ]
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, **({} if panel.stat else {"min": 0})}, "overrides": []},
        "options": {} if panel.stat else {"legend": {"displayMode": "list", "placement": "bottom"}},
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}


def _choice(name: str, within: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.title(),
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values(chat_gateway_build_info{{{within}}}, {name})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
