"""Opens connections to the PostgreSQL of a URL: tries its hosts in order, directly or through a pooler.

A pooler in transaction mode (such as pgbouncer) gives every transaction any free server connection, so a session keeps
nothing: no named statement, no setting. Some poolers reject our settings when a connection starts. Behind a pooler
statements are therefore prepared for each use, and `PostgresClient` sets its time limits in each transaction.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import asyncpg

from storage.database.database_url import DEFAULT_PORT, PostgresUrl

CONNECT_S = 60.0  # for all hosts, where the caller sets no bound

# After these errors the next host is tried; a wrong password is wrong on every host.
_TRY_NEXT = (OSError, asyncpg.CannotConnectNowError, asyncpg.exceptions.TargetServerAttributeNotMatched)


class Connector:
    """Called by asyncpg's pool for a new connection."""

    def __init__(self, url: PostgresUrl, session_settings: Mapping[str, str]) -> None:
        self._url = url
        self._named = {"application_name": "chat-gateway", **url.server_settings}
        self._session_settings = session_settings
        self._attempts = tuple(_attempts(url))
        # Made once: reading the system's roots takes some 30 ms, in which the event loop stands still.
        self._system_tls = ssl.create_default_context() if url.tls.get("sslrootcert") == "system" else None
        self.is_pooled = False
        """Whether there is a pooler in front of the server; known after the first connection."""
        self._is_known = False

    async def __call__(self, dsn: None = None, *, timeout: float = CONNECT_S, **options: Any) -> asyncpg.Connection:
        """A connection. `timeout` is for one round over all hosts; the pool gives no `dsn`.

        Raises: TimeoutError; whatever asyncpg raises on connecting.
        """
        try:
            connection = await self._connect_to_first(timeout, options)
        except asyncpg.ProtocolViolationError as error:
            if self.is_pooled or "startup parameter" not in str(error):
                raise
            self.is_pooled = self._is_known = True
            return await self._connect_to_first(timeout, options)
        if self._is_known:  # saves a round trip: over a slow network a connection takes several already
            return connection
        try:
            self.is_pooled = not await _is_direct(connection)
            self._is_known = True
            if not self.is_pooled:
                return connection
        except BaseException:
            connection.terminate()
            raise
        connection.terminate()
        return await self._connect_to_first(timeout, options)

    async def _connect_to_first(self, timeout: float, options: Mapping[str, Any]) -> asyncpg.Connection:
        """Connect to the first host that responds and meets `target_session_attrs`."""
        share_s = timeout / len(self._attempts)
        limit_s = min(share_s, self._url.connect_timeout_s or share_s)
        for attempt in self._attempts[:-1]:
            try:
                return await self._connect(attempt, limit_s, options)
            except _TRY_NEXT:
                continue
        return await self._connect(self._attempts[-1], limit_s, options)

    async def _connect(self, attempt: "_Attempt", limit_s: float, options: Mapping[str, Any]) -> asyncpg.Connection:
        url, tls = self._url, self._url.tls
        if self._system_tls is not None:
            if "sslcert" in tls:  # anew for each connection: certificates are renewed
                self._system_tls.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: "")
            tls = {}
        ours: dict[str, Any] = {
            "dsn": f"postgres://?{urlencode(tls)}" if tls else None,  # asyncpg reads these from nowhere else
            "ssl": self._system_tls,
            "host": attempt.host,
            "port": attempt.port,
            "user": url.user,
            "password": url.password,
            "database": url.database,
            "target_session_attrs": attempt.session_attrs,
            "server_settings": self._named if self.is_pooled else {**self._session_settings, **self._named},
        }
        if self.is_pooled:
            ours["statement_cache_size"] = 0
        connection: asyncpg.Connection = await asyncpg.connect(**{**options, **ours}, timeout=limit_s)
        opened = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        if attempt.host is not None and not attempt.host.startswith("/"):
            for option in url.socket_options:
                opened.setsockopt(*option)
        return connection


@dataclass(frozen=True, slots=True)
class _Attempt:
    host: str | None
    """None: the driver's default."""
    port: int
    session_attrs: str


def _attempts(url: PostgresUrl) -> Iterator[_Attempt]:
    wanted = url.target_session_attrs
    for session_attrs in ("standby", "any") if wanted == "prefer-standby" else (wanted,):
        for host, port in url.hosts or (("", DEFAULT_PORT),):
            yield _Attempt(host or None, port, session_attrs)


async def _is_direct(connection: asyncpg.Connection) -> bool:
    """Whether there is no pooler: a pooler's greeting names another process than the server's.

    A simple query, which prepares no statement.
    """
    answer = await connection.execute(f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid()}")
    return answer == "SELECT 1"
