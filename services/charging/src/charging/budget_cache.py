"""A running session's budget in Redis, for those who show it (the rider's live page). The transaction's row is the truth.

The budget check itself does not read it: the row is locked and read anyway for every batch of MeterValues, so a GET could only
agree or be wrong. Losing Redis loses a hint.
"""

from collections.abc import Coroutine
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from charging.domain.transaction import Transaction
from chassis.database import UnitOfWork
from chassis.runtime import Tasks

log = structlog.get_logger(__name__)

BUDGET_TTL_SECONDS = 7 * 24 * 3600
"""Only cleans up after a crash between finalizing and dropping; no session lasts a week."""


def budget_key(transaction_id: int) -> str:
    """Where the budget of a transaction is cached."""
    return f"charging:budget:{transaction_id}"


def cache_budget(redis: "Redis", tasks: Tasks, uow: UnitOfWork, transaction: Transaction) -> None:
    """After the commit: show the budget of a started session."""
    value = orjson.dumps(
        {
            "budget_paise": transaction.budget_paise,
            "platform_fee_paise": transaction.platform_fee_paise,
            "affordable_wh": transaction.affordable_wh,
            "tariff_paise_per_kwh": transaction.tariff_paise_per_kwh,
            "gst_bps": transaction.gst_bps,
        }
    )
    key = budget_key(transaction.id)
    uow.after_commit(lambda: tasks.start("budget.cache", hint(redis.set(key, value, ex=BUDGET_TTL_SECONDS))))


def drop_budget(redis: "Redis", tasks: Tasks, uow: UnitOfWork, transaction_id: int) -> None:
    """After the commit: the session is final, nobody may be shown its budget any more."""
    uow.after_commit(lambda: tasks.start("budget.drop", hint(redis.delete(budget_key(transaction_id)))))


async def hint(operation: "Coroutine[Any, Any, Any] | Any") -> None:
    """Await a call of Redis that only tells somebody something: where it fails, a warning is all that follows."""
    try:
        await operation
    except (RedisError, OSError) as error:
        log.warning("budget_cache.unreachable", error=repr(error))
