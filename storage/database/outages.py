"""Distinguishes driver errors of an unavailable database from errors of a wrong call."""

import sqlite3

import asyncpg
from tortoise.exceptions import DBConnectionError, OperationalError, TransactionManagementError

# OSError includes TimeoutError and every refused or lost connection. InterfaceError is asyncpg's closed connection.
# TransactionManagementError is what Tortoise makes of SQLSTATE class 25: a read-only standby, a transaction that idled.
_OUTAGES = (
    OSError,
    DBConnectionError,
    TransactionManagementError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # raised by a connection that was lost a moment ago
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, statement_timeout
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # lock_timeout; still in recovery
    asyncpg.InvalidTransactionStateError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
_SQLITE_OUTAGES = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    )
)


def is_outage(error: BaseException) -> bool:
    """Whether the same call may succeed later, unchanged."""
    if isinstance(error, OperationalError) and error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]  # Tortoise wraps the driver's error
    if isinstance(error, sqlite3.Error):
        # the low byte is the primary code; errors of the module itself (a closed connection) have no code
        code: int = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF in _SQLITE_OUTAGES
    return isinstance(error, _OUTAGES)
