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
    """A mandatory message that no queue takes. Certainly not delivered."""


class RpcTimeout(MessagingError):
    """No answer within the deadline."""


class Transient(Exception):
    """Raised by a handler for what will pass by itself: the message is tried again, never parked for this."""


def is_transient(error: BaseException) -> bool:
    """Whether a failure is the environment's (retry the same message) rather than the message's (park it).

    Database and broker connections lost, serialization failures, deadlocks, lock timeouts, and `Transient` itself.
    """
    if isinstance(error, Transient | MessagingError | ConnectionError | TimeoutError):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        if error.connection_invalidated:
            return True
        cause = getattr(error.orig, "__cause__", None) or error.orig
        return isinstance(error, sqlalchemy.exc.InterfaceError) or (cause is not None and is_transient(cause))
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return True
    return isinstance(
        error,
        asyncpg.PostgresConnectionError
        | asyncpg.InterfaceError
        | asyncpg.SerializationError
        | asyncpg.DeadlockDetectedError
        | asyncpg.LockNotAvailableError
        | asyncpg.QueryCanceledError
        | asyncpg.InsufficientResourcesError
        | asyncpg.OperatorInterventionError
        | asyncpg.CannotConnectNowError,
    )
