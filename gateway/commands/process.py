"""What the commands have in common that run a service: logs, listening sockets, the settings that they need."""

import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.errors import CannotListen, SettingsError
from gateway.server.log_sampling import Sampling

if TYPE_CHECKING:
    from gateway.config.misspellings import Misspelling


def flags(**values: str | None) -> dict[str, str]:
    """The settings of the options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def set_up_logging(settings: Settings, node: str) -> Sampling:
    """Log to standard error from now on; `node` is in every line."""
    from gateway.server import logs

    return logs.set_up(settings.log_format, debug=settings.debug, node=node)


def misspelt() -> "Iterator[Misspelling]":
    """The names in `.env` files that are probably misspelt; none of a file that cannot be read."""
    from gateway.config.misspellings import misspellings

    with suppress(OSError, UnicodeDecodeError):  # an unreadable file is reported elsewhere
        yield from misspellings()


def warn_of_misspellings() -> None:
    """Log them."""
    for one in misspelt():
        logging.getLogger("gateway.cli").warning("misspelt_setting", extra={"fields": one._asdict()})


def need_redis(settings: Settings) -> None:
    """Raises: SettingsError if there is no REDIS_URL."""
    if not settings.redis_url:
        raise SettingsError(["REDIS_URL is not set; only `up` starts a Redis of its own."])


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to this address.

    Raises: CannotListen.
    """
    from gateway.server.serve import bind

    try:
        return bind(host, port, shared=shared)
    except OSError as error:
        raise CannotListen(f"Port {port} on {host} cannot be used: {error.strerror}.") from None
