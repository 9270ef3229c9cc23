"""Four objectives over 30 days, as recording rules and alerts for Prometheus.

Multi-window, multi-burn-rate alerts (Google's SRE Workbook, chapter 5): a page if 2 % of the month's budget would be
spent within an hour, or 5 % within six; a ticket for 10 % within a day, or within three. The short window ends an alert
soon after its cause has ended. Below TRAFFIC a ratio means nothing, and only the alerts of causes can fire.
"""

from dataclasses import dataclass

TRAFFIC = 0.05
"""Events per second, over an hour: three a minute."""
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BURNS = {
    "critical": (("1h", "5m", 14.4), ("6h", "30m", 6)),
    "warning": (("1d", "2h", 3), ("3d", "6h", 1)),
}
"""By severity: long window, short window, and how many times faster the budget is spent than it allows."""
STORED = 'command=~"message|edit_message|delete_message|room_message"'


@dataclass(frozen=True)
class Slo:
    """`bad` and `all` are rates with `WINDOW` in place of their window; `objective` is the share of good events."""

    name: str
    alert: str
    objective: float
    bad: str
    all: str
    summary: str


def _rate(metric: str, labels: str = "") -> str:
    return f"sum(rate({metric}{{{labels}}}[WINDOW]))" if labels else f"sum(rate({metric}[WINDOW]))"


def _slower(metric: str, bound: str) -> str:
    within = f'le="{bound}"'
    return f"({_rate(metric + '_count')} - {_rate(metric + '_bucket', within)})"


SLOS = (
    Slo(
        "acks",
        "ChatGatewayAcksFail",
        0.999,
        _rate("chat_gateway_commands_total", f'{STORED},outcome="unavailable"'),
        _rate("chat_gateway_commands_total", f'{STORED},outcome=~"ok|unavailable"'),
        "messages were rejected because a dependency was unavailable",
    ),
    Slo(
        "ack_latency",
        "ChatGatewayAcksSlow",
        0.99,
        _slower("chat_gateway_ack_seconds", "0.5"),
        _rate("chat_gateway_ack_seconds_count"),
        "messages were acknowledged after more than 0.5 s",
    ),
    Slo(
        "delivery_lag",
        "ChatGatewayDeliveriesLag",
        0.999,
        _slower("chat_gateway_delivery_lag_seconds", "1.0"),
        _rate("chat_gateway_delivery_lag_seconds_count"),
        "messages reached a node's clients more than 1 s after they were stored",
    ),
    Slo(
        "connects",
        "ChatGatewayConnectsFail",
        0.999,
        _rate("chat_gateway_handshakes_total", 'outcome="unavailable"'),
        _rate("chat_gateway_handshakes_total", 'outcome=~"accepted|unavailable"'),
        "handshakes were rejected because a dependency was unavailable",
    ),
)


def rules() -> str:
    """Return the rule file, without its comment."""
    return (
        "groups:\n  - name: chat-gateway-slos\n    rules:\n"
        + "".join(map(_recorded, SLOS))
        + "".join(_alert(slo, severity) for slo in SLOS for severity in BURNS)
    )


def _recorded(slo: Slo) -> str:
    ratios = [
        f"      - record: {_ratio(slo, window)}\n"
        f"        expr: {slo.bad.replace('WINDOW', window)} / {slo.all.replace('WINDOW', window)}\n"
        for window in WINDOWS
    ]
    traffic = f"      - record: {_traffic(slo)}\n        expr: {slo.all.replace('WINDOW', '1h')}\n"
    return "".join(ratios) + traffic


def _ratio(slo: Slo, window: str) -> str:
    return f"chat_gateway_{slo.name}:errors:ratio_rate{window}"


def _traffic(slo: Slo) -> str:
    return f"chat_gateway_{slo.name}:events:rate1h"


def _alert(slo: Slo, severity: str) -> str:
    budget = round(1 - slo.objective, 6)
    either = " or ".join(
        f"({_ratio(slo, long)} > {burn:g} * {budget:g} and {_ratio(slo, short)} > {burn:g} * {budget:g})"
        for long, short, burn in BURNS[severity]
    )
    return f"""\
      - alert: {slo.alert}
        expr: ({either}) and {_traffic(slo)} > {TRAFFIC:g}
        labels: {{severity: {severity}}}
        annotations:
          summary: "{{{{ $value | humanizePercentage }}}} of {slo.summary}"
          description: The objective is {slo.objective * 100:g} % good over 30 days, and the budget is spent too fast.
          runbook_url: "{{{{ $externalLabels.chat_gateway_runbooks }}}}docs/runbooks/{slo.alert}.md"
"""
