"""A socket session's grace in Redis, for those who show it: until when it lives on without rising energy (features.md C5).

The transaction's column is the truth, and the only thing that ends a session: losing Redis loses a hint.
"""

from redis.asyncio import Redis

from charging.budget_cache import BUDGET_TTL_SECONDS, hint
from charging.domain.transaction import Transaction
from chassis.database import UnitOfWork
from chassis.runtime import Tasks
from contracts.charging import StopReason


def grace_key(transaction_id: int) -> str:
    """Where the end of a transaction's grace is cached: ISO 8601, UTC."""
    return f"charging:grace:{transaction_id}"


def cache_grace(redis: "Redis", tasks: Tasks, uow: UnitOfWork, transaction: Transaction) -> None:
    """After the commit: show the grace as it stands now, or that there is none (any more)."""
    key = grace_key(transaction.id)
    graced = transaction.availability_reason is StopReason.GRACE_EXPIRED
    ends_at = transaction.availability_deadline_at if graced else None
    if ends_at is None:
        uow.after_commit(lambda: tasks.start("grace.drop", hint(redis.delete(key))))
    else:
        value = ends_at.isoformat()
        uow.after_commit(lambda: tasks.start("grace.cache", hint(redis.set(key, value, ex=BUDGET_TTL_SECONDS))))
