"""What can go wrong on the way of a message, by what the caller may do.

MessagingError
├── BrokerUnavailable   retry later; the message may or may not have arrived (dedupe by message_id makes a repeat harmless)
├── Undeliverable       no queue takes it: certainly not delivered
└── RpcTimeout          asked, no answer in time: the question may still have its effect
Transient               a handler says: not now, same message again later
"""

import asyncpg
import sqlalchemy.exc


class MessagingError(Exception):
    """Base of what this package raises."""


class BrokerUnavailable(MessagingError):
    """The broker is away, or did not confirm in time. Outcome unknown: repeat with the same message_id."""


class Undeliverable(MessagingError):
    """A mandatory message that no queue takes, or an exchange that is missing or not ours to write. Certainly not delivered."""


class RpcTimeout(MessagingError):
    """No answer within the deadline."""


class Transient(Exception):
    """Raised by a handler for what will pass by itself: the message is tried again, never parked for this."""


_POSTGRES_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,  # 40: deadlock, serialization failure
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,  # 57: shutdown, crash recovery, cancelled by an operator or a timeout
    asyncpg.InsufficientResourcesError,  # 53: disk full, too many connections
    asyncpg.PostgresSystemError,  # 58: the server's disk failed
    asyncpg.InvalidAuthorizationSpecificationError,  # 28: the password was rotated
    asyncpg.InvalidCatalogNameError,  # 3D000: the database is being restored
    asyncpg.ReadOnlySQLTransactionError,  # 25006: we reached a standby
    asyncpg.IdleInTransactionSessionTimeoutError,  # 25P03: this process was frozen
    asyncpg.InvalidCachedStatementError,  # a migration ran beneath us; the cache is cleared by then
    asyncpg.OutdatedSchemaCacheError,
)

_OF_FILES = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
"""OSErrors that are no network's."""

# Redis is known by name: services that use it bring its client, the chassis does not depend on it.
_REDIS_AWAY = frozenset({"ConnectionError", "TimeoutError", "BusyLoadingError", "ReadOnlyError"})


def is_transient(error: BaseException) -> bool:
    """Whether a failure is the environment's (retry the same message) rather than the message's (park it).

    Transient: connections to the database, the broker and Redis lost or refused, deadlocks, lock and statement timeouts, and
    `Transient` itself. Not: values that PostgreSQL or its driver refuses, misuse of the driver, a message that no queue takes.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_transient(each) for each in error.exceptions)
    if isinstance(error, Undeliverable):
        return False
    if isinstance(error, Transient | MessagingError | sqlalchemy.exc.TimeoutError):
        return True
    if isinstance(error, OSError):
        # Also without an errno's class of its own: no route to the host, a name that does not resolve, "Multiple exceptions".
        return not isinstance(error, _OF_FILES)
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        cause = getattr(error.orig, "__cause__", None) or error.orig
        return error.connection_invalidated or (cause is not None and is_transient(cause))
    if isinstance(error, asyncpg.InterfaceError):
        # One class for a lost connection, for a value out of range (DataError) and for misuse: only the text tells them apart.
        return not isinstance(error, ValueError) and "closed" in str(error)
    if isinstance(error, _POSTGRES_AWAY):
        return True
    return any(kind.__module__ == "redis.exceptions" and kind.__name__ in _REDIS_AWAY for kind in type(error).__mro__)
