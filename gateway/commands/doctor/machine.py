"""Checks of this machine and of the settings that need no server: file descriptors, and origins."""

import resource
from collections.abc import Iterator
from typing import Final

from gateway.commands.doctor.finding import Finding, ok, warning, wrong
from gateway.config.settings import Settings
from gateway.endpoints.connection_limits import descriptor_limit

ENOUGH: Final = 10_000
"""Connections of a node in production; fewer are probably the default of a shell."""


def check_descriptors(settings: Settings) -> Iterator[Finding]:
    """How many connections the file descriptors allow that a process started here would have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = descriptor_limit()
    most = allowed or "any number of"
    text = f"ulimit -n is {_limit(soft)} (at most {_limit(hard)}): enough for {most} connections a node"
    advice = "Raise it (ulimit -n, LimitNOFILE of systemd, or of the container)."
    if allowed and settings.max_connections > allowed:
        yield wrong("descriptors", f"{text}, fewer than MAX_CONNECTIONS, {settings.max_connections}.", advice)
    elif allowed and settings.is_production and allowed < ENOUGH:
        yield warning("descriptors", f"{text}.", advice)
    else:
        yield ok("descriptors", f"{text}.")


def _limit(descriptors: int) -> str:
    return "unlimited" if descriptors == resource.RLIM_INFINITY else str(descriptors)


def check_origins(settings: Settings) -> Iterator[Finding]:
    """Whose pages may connect."""
    allowed = [*settings.allowed_origins, *([settings.public_url] if settings.public_url else [])]
    if "*" in allowed:
        advice = "Name each origin in ALLOWED_ORIGINS."
        yield warning("origins", "The pages of every site may connect with the cookies of their visitors.", advice)
    elif allowed:
        yield ok("origins", f"Pages of {', '.join(dict.fromkeys(allowed))} may connect; other origins are rejected.")
    else:
        more = "" if settings.is_production else ", and in development of any port of localhost"
        yield ok("origins", f"Pages of the host that a request names may connect{more}.")
