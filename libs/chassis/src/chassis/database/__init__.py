"""One schema and role per service; one transaction per message or request, committed at the edge, its announcements in it."""

from chassis.database.database import Database
from chassis.database.outbox import OutboxRelay
from chassis.database.uow import UnitOfWork

__all__ = ["Database", "OutboxRelay", "UnitOfWork"]
