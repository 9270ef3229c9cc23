"""Checks of each Redis: it answers, grants the rights, does not evict, takes writes and has the right time."""

from typing import Final

from gateway.commands.doctor.finding import Finding, Findings, clock, ok, warning, wrong
from gateway.config.settings import Settings
from gateway.redis.server_facts import RedisFacts, read_facts

SUBJECT: Final = "redis"
_EVICTION: Final = "Set maxmemory-policy to noeviction: an evicted key is a lost limit or a user who seems offline."


async def check_redis(settings: Settings) -> Findings:
    """The findings, in order."""
    if not settings.redis_url:
        unset = wrong if settings.is_production else warning
        yield unset(SUBJECT, "REDIS_URL is not set.", "Set it: only `chat-gateway up` starts a Redis of its own.")
        return
    for facts in await read_facts(settings.redis_url):
        if facts.trouble:
            advice = "Check REDIS_URL, that the server runs, and its ACL (docs/operations.md)."
            yield wrong(SUBJECT, f"{facts.where} cannot be used: {facts.trouble}.", advice)
            continue
        name = facts.version or "A Redis"
        yield ok(SUBJECT, f"{name} at {facts.where} answers in {facts.answered_in_s * 1000:.1f} ms.")
        if facts.info is None:
            advice = "See by hand that maxmemory-policy is noeviction."
            yield warning(SUBJECT, f"The user of REDIS_URL may not run INFO at {facts.where}.", advice)
        else:
            yield _eviction(facts, facts.info)
            yield _persistence(facts, facts.info)
        yield clock("clock", facts.where, facts.ahead_s)


def _eviction(facts: RedisFacts, info: dict[str, str]) -> Finding:
    policy, limit = info.get("maxmemory_policy", "noeviction"), int(info.get("maxmemory", "0"))
    if policy == "noeviction":
        return ok("eviction", f"{facts.where} evicts no keys.")
    if limit == 0:
        return warning("eviction", f"{facts.where} has maxmemory-policy {policy}, but no maxmemory.", _EVICTION)
    return wrong("eviction", f"{facts.where} evicts keys (maxmemory-policy {policy}).", _EVICTION)


def _persistence(facts: RedisFacts, info: dict[str, str]) -> Finding:
    if info.get("rdb_last_bgsave_status") == "err":
        advice = (
            'Switch snapshots off (save ""), or give them room on the disk: Redis may reject all writes until then.'
        )
        return wrong("persistence", f"The last snapshot of {facts.where} failed.", advice)
    if info.get("aof_enabled") == "1":
        advice = "Nothing here needs it; appendonly no saves its writes to the disk."
        return warning("persistence", f"{facts.where} keeps an append-only file.", advice)
    return ok("persistence", f"{facts.where} keeps no append-only file, and needs none.")
