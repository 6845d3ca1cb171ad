"""The clock's door: what is looked at again and again. Due columns rule; a sweep only wakes who works them off."""

from chassis.runtime import Sweep
from settlement.usecases.context import Settlement
from settlement.usecases.follow_kyc import poll_kyc
from settlement.usecases.measure import measure_ledger


async def wake_workers(app: Settlement) -> None:
    """Whatever is due by now: a retry, a lapsed claim, a lost wake."""
    app.payouts.wake()
    app.links.wake()
    app.settlements.wake()


SWEEPS = (
    Sweep("due", every_seconds=10, function=wake_workers),
    Sweep("kyc-poll", every_seconds=300, function=poll_kyc),
    Sweep("measure", every_seconds=60, function=measure_ledger),
)
