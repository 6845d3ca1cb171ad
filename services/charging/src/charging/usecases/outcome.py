"""How a command ended, as those are told who want to know (`complete_command.FOLLOWERS` and `OBSERVERS`)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from charging.domain.states import CommandStatus
from charging.repository import Charger
from charging.usecases.context import Charging
from chassis.database import UnitOfWork


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `response` and the error are there only where the charger sent them."""

    status: CommandStatus
    at: datetime
    response: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_description: str | None = None

    @property
    def said(self) -> str:
        """The charger's word for it: its `status`, the code of its CALLERROR, else what became of the command."""
        return (self.response or {}).get("status") or self.error_code or self.status.value

    @property
    def unsupported(self) -> bool:
        """Whether the charger does not know the operation at all (OCPP-J table 7; some answer it as a status)."""
        return self.said in ("NotImplemented", "NotSupported")


Follower = Callable[[Charging, UnitOfWork, Charger, "sa.Row[Any]", Outcome], Awaitable[None]]
"""`(app, uow, charger, row, outcome)`, called once per command, in the lane, after its final status is set.

`row` is the command as it was before. TIMED_OUT, UNKNOWN and EXPIRED are told too; an answer that comes late is not."""
