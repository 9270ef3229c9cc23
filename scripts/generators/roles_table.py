"""The tables of docs/roles.md, from the code's table."""

from collections.abc import Mapping
from pathlib import Path

from gateway.node.policy.roles import COMMANDS, HTTP, SOCKETS, Party, Rule
from scripts.generators.marked import ROOT, with_part


def made() -> dict[Path, str]:
    """docs/roles.md with its expected content."""
    page = ROOT / "docs/roles.md"
    parts = [("operation", HTTP), ("URL", SOCKETS), ("command", COMMANDS)]
    text = "\n".join(_table(what, rules, has_scopes=rules is HTTP) for what, rules in parts)
    return {page: with_part(page, "roles", text)}


def _table(what: str, rules: Mapping[str, Rule], *, has_scopes: bool) -> str:
    scope = ["service key"] if has_scopes else []
    header = [what, *Party, *scope]
    rows = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for name, rule in rules.items():
        cells = ["x" if party in rule.parties else "" for party in Party]
        for_users = ", for a user" if rule.for_users else ""
        cells += [f"`{rule.scope}`{for_users}" if rule.scope else ""] * has_scopes
        plain, _, remark = name.partition(" (")
        rows.append(f"| `{plain}`{' (' + remark if remark else ''} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])
