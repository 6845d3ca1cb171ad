"""The clock's door: sweep, seconds → use case. Due columns rule; a sweep only wakes who works them off."""

from chassis.runtime import Sweep
from settlement.settings import SettlementSettings
from settlement.usecases.check_books import check_books
from settlement.usecases.correct_entry import correct_forgotten
from settlement.usecases.follow_kyc import poll_kyc
from settlement.usecases.look_for_due import look_for_due
from settlement.usecases.measure import measure_ledger, measure_statement
from settlement.usecases.read_statement import schedule_reading


def sweeps(settings: SettlementSettings) -> tuple[Sweep, ...]:
    """The table of sweeps."""
    return (
        Sweep("due", every_seconds=settings.sweep_seconds, function=look_for_due),
        Sweep("kyc-poll", every_seconds=300, function=poll_kyc),
        Sweep("books-check", every_seconds=settings.books_check_seconds, function=check_books),
        Sweep("corrections", every_seconds=settings.retry_seconds, function=correct_forgotten),
        Sweep("statement", every_seconds=3600, function=schedule_reading),
        Sweep("measure", every_seconds=300, function=measure_ledger),
        Sweep("measure-statement", every_seconds=300, function=measure_statement),
    )
