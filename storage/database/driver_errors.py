"""Translates driver errors of an unavailable database and of missing rights; others are errors of a wrong call."""

import sqlite3

import asyncpg
from tortoise.exceptions import DBConnectionError, OperationalError, TransactionManagementError

from storage.errors import PermissionDenied, StorageError, StorageUnavailable

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


def translated(error: Exception) -> StorageError | None:
    """The exception of storage that an exception of the driver stands for; None if the call was wrong."""
    if is_outage(error):
        return StorageUnavailable(str(error) or type(error).__name__)
    if isinstance(_driver_error(error), asyncpg.InsufficientPrivilegeError):
        return PermissionDenied(str(error))
    return None


def is_outage(error: BaseException) -> bool:
    """Whether the same call may succeed later, unchanged."""
    error = _driver_error(error)
    if isinstance(error, sqlite3.Error):
        # the low byte is the primary code; errors of the module itself (a closed connection) have no code
        code: int = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF in _SQLITE_OUTAGES
    return isinstance(error, _OUTAGES)


def _driver_error(error: BaseException) -> BaseException:
    """The error itself, or the one in it: Tortoise wraps some."""
    if isinstance(error, OperationalError) and error.args and isinstance(error.args[0], BaseException):
        return error.args[0]
    return error
