"""promtool, and the series that it plays the alerts against: a healthy node, and what differs from it."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.deploy.programs import ROOT, find_debian

RULES = ROOT / "deploy/prometheus"
MINUTES = 90
"""What is played of each scene; rates over longer windows are of what there is."""
NODE = 'job="chat-gateway",instance="n1"'
FINITE = ("0.1", "0.25", "0.5", "1.0", "2.5")

Series = dict[str, str]


class PromtoolRefused(Exception):
    """Its own complaint."""


def promtool(*arguments: str, folder: Path = ROOT) -> str:
    """What it prints.

    Raises: PromtoolRefused.
    """
    command = [find_debian("promtool"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
    if ended.returncode != 0:
        raise PromtoolRefused(ended.stdout + ended.stderr)
    return ended.stdout


def steady(value: float, minutes: int = MINUTES) -> str:
    """A gauge that stays."""
    return f"{value:g}+0x{minutes}"


def lately(before: float, now: float, minutes: int) -> str:
    """A gauge that has another value for the last minutes."""
    return f"{steady(before, MINUTES - minutes - 1)} {steady(now, minutes)}"


def counter(*per_minute: tuple[float, int]) -> str:
    """A counter that grows so much a minute, for so many minutes, one stretch after the other."""
    total, stretches = 0.0, []
    for growth, minutes in per_minute:
        stretches.append(f"{total:g}+{growth:g}x{minutes - 1}")
        total += growth * minutes
    return " ".join(stretches)


def histogram(name: str, slow: Sequence[tuple[float, int]], fast: Sequence[tuple[float, int]], bound: str) -> Series:
    """Observations a minute, of which the slow lie just above `bound` and the fast below all bounds."""
    both = [(a + b, minutes) for (a, minutes), (b, _) in zip(slow, fast, strict=True)]
    top = FINITE.index(bound)
    return {
        **{f'{name}_bucket{{{NODE},le="{le}"}}': counter(*(fast if i <= top else both)) for i, le in enumerate(FINITE)},
        f'{name}_bucket{{{NODE},le="+Inf"}}': counter(*both),
        f"{name}_count{{{NODE}}}": counter(*both),
    }


def gauge(name: str, values: str, labels: str = "") -> Series:
    """One series of the node."""
    return {f"{name}{{{NODE}{',' if labels else ''}{labels}}}": values}


def commands(ok: str, unavailable: str) -> Series:
    """Messages that were stored, and that were refused by our fault."""
    labels = 'dialect="chat",command="message",outcome='
    return gauge("chat_gateway_commands_total", ok, labels + '"ok"') | gauge(
        "chat_gateway_commands_total", unavailable, labels + '"unavailable"'
    )


def handshakes(accepted: str, unavailable: str) -> Series:
    """Connections that were accepted, and that were refused by our fault."""
    return gauge("chat_gateway_handshakes_total", accepted, 'dialect="chat",outcome="accepted"') | gauge(
        "chat_gateway_handshakes_total", unavailable, 'dialect="chat",outcome="unavailable"'
    )


ALWAYS, NEVER = [(600, MINUTES)], [(0, MINUTES)]


def healthy() -> Series:
    """A node that serves, and lacks nothing; a client is refused now and then, by its own fault."""
    found: Series = {}
    for name, value in (
        ("ready", 1),
        ("draining", 0),
        ("connections", 1000),
        ("gaps_unrepaired", 0),
        ("commit_waiting_events", 20),
        ("build_info", 1),
    ):
        found |= gauge(f"chat_gateway_{name}", steady(value))
    found |= gauge("up", steady(1))
    for name in ("redis", "subscription", "database", "queue"):
        found |= gauge("chat_gateway_dependency_up", steady(1), f'dependency="{name}"')
    for name in ("ack", "delivery_lag", "commit", "database_wait", "redis_wait", "event_loop_lag"):
        found |= histogram(f"chat_gateway_{name}_seconds", NEVER, ALWAYS, "0.5")
    found |= commands(counter(*ALWAYS), counter(*NEVER)) | handshakes(counter(*ALWAYS), counter(*NEVER))
    found |= gauge("chat_gateway_handshakes_total", counter(*ALWAYS), 'dialect="chat",outcome="draining"')
    found |= gauge(
        "chat_gateway_commands_total", counter(*ALWAYS), 'dialect="chat",command="message",outcome="forbidden"'
    )
    found |= gauge("chat_gateway_slow_consumers_total", counter((1, MINUTES)))
    found |= gauge("chat_gateway_queue_messages_total", counter(*ALWAYS), 'outcome="stored"')
    found |= gauge("chat_gateway_queue_messages_total", counter(*NEVER), 'outcome="not_stored"')
    found |= gauge("chat_gateway_auth_logins_total", counter(*NEVER), 'outcome="overloaded"')
    found |= gauge("process_open_fds", steady(500)) | gauge("process_max_fds", steady(1000))
    others = 'job="another",instance="n9"'  # what runs beside us may be as full as it likes
    found |= {f"process_open_fds{{{others}}}": steady(999), f"process_max_fds{{{others}}}": steady(1000)}
    return found | {f"up{{{others}}}": steady(0)}


def play(folder: Path, scenes: Mapping[str, tuple[Series, Mapping[str, Sequence[str]]]]) -> None:
    """Play scenes: what differs from `healthy`, and exactly which alerts fire in the end, by severity.

    Raises: PromtoolRefused.
    """
    tests = []
    for title, (changes, expected) in scenes.items():
        series = {name: values for name, values in (healthy() | changes).items() if values}
        tests.append(
            {
                "name": title,
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (severity, alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{MINUTES - 1}m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{alert}", severity="{severity}"}}', "value": 1}
                            for severity, alerts in expected.items()
                            for alert in alerts
                        ],
                    }
                ],
            }
        )
    whole: dict[str, Any] = {"rule_files": [str(RULES / "slos.yml"), str(RULES / "alerts.yml")], "tests": tests}
    (folder / "scenes.yml").write_text(json.dumps(whole))
    promtool("test", "rules", "scenes.yml", folder=folder)
