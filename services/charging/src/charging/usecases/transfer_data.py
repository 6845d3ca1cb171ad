"""DataTransfer with vendorId VoltLync: GetLastMeterValue (a resume point) and SignalQuality (ocpp.md Part 0)."""

import json
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from charging.domain.states import TransactionState
from charging.domain.transaction import Transaction
from charging.repository import Charger, load_chargers, lock_transactions, save_transactions
from charging.tables import signal_quality
from charging.usecases.connection import alive, end_stale
from charging.usecases.context import Charging
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.ocpp_gateway import DataTransferDecision, DataTransferReceived

VENDOR_ID = "voltlync"
"""Compared without regard to case."""

RSSI_VALUES = frozenset({*range(32), 99})
BER_VALUES = frozenset({*range(8), 99})
"""3GPP TS 27.007 +CSQ; 99: not known."""

NUMBER_DIGITS_MAX = 19
"""Of a bigint."""


async def data_transferred(app: Charging, uow: UnitOfWork, received: Received) -> None:
    """Answer a DataTransfer. Another vendor's is UnknownVendorId, never an error (row 90)."""
    event: DataTransferReceived = received.model
    charger = (await load_chargers(uow, [event.charge_point_id])).get(event.charge_point_id)
    if charger is None:
        received.answer(DataTransferDecision(status="Rejected"))
        return
    await alive(uow, charger, event)
    if event.vendor_id.strip().lower() != VENDOR_ID:
        received.answer(DataTransferDecision(status="UnknownVendorId"))
        return
    data = _object(event.data)
    if event.message_id_text == "GetLastMeterValue":
        received.answer(await _last_meter_value(app, uow, charger, event, data))
    elif event.message_id_text == "SignalQuality":
        received.answer(await _signal_quality(uow, charger, event, data))
    else:
        received.answer(DataTransferDecision(status="UnknownMessageId"))


def _object(data: Any) -> dict[str, Any]:
    """`data` comes as JSON text or as an object; anything else says nothing."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}


def _number(data: dict[str, Any], name: str) -> int | None:
    """A number of `data`, also where it came as its digits; None for anything else."""
    value = data.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= NUMBER_DIGITS_MAX:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


async def _last_meter_value(
    app: Charging, uow: UnitOfWork, charger: Charger, event: DataTransferReceived, data: dict[str, Any]
) -> DataTransferDecision:
    """The last confirmed register of a session that the charger wants to go on with; Rejected if none, or stale."""
    transaction_id, connector_id = _number(data, "transactionId"), _number(data, "connectorId")
    found = _named(await lock_transactions(uow, [charger.id]), transaction_id, connector_id)
    if found is None:
        return DataTransferDecision(status="Rejected")
    if found.stale_at(event.received_at, app.limits):
        await end_stale(app, uow, charger, found, event.received_at, trigger="GetLastMeterValue")
        await save_transactions(uow, [found])
        return DataTransferDecision(status="Rejected")
    # Delivered again after a later drop or boot, it is no sign of life.
    after_boot = (event.epoch, event.seq) > (charger.boot_epoch, charger.boot_seq)
    stands = charger.online and event.epoch == charger.epoch
    if found.state is TransactionState.SUSPENDED and after_boot and stands:
        # A sign of life: the boot's deadline gives way to the guard, as a disconnect's does when the socket returns.
        found.spoke_of_session(event.received_at, app.limits)
        await save_transactions(uow, [found])
    answer = {
        "transactionId": found.id,
        "meterValueWh": found.meter.register_wh - found.meter.offset_wh,  # as its own register counts (row 62)
        "timestamp": found.meter.read_at.strftime("%Y-%m-%dT%H:%M:%SZ"),  # some are picky about more (row 37)
    }
    return DataTransferDecision(status="Accepted", data=json.dumps(answer, separators=(",", ":")))


def _named(active: list[Transaction], transaction_id: int | None, connector_id: int | None) -> Transaction | None:
    """The session of this id; of the connector where the charger has no id, or 0 or -1 for one (row 58)."""
    by_id = transaction_id is not None and transaction_id > 0
    for transaction in active:
        if by_id and transaction_id in (transaction.id, transaction.reported_transaction_id):
            return transaction
        if not by_id and transaction.connector_id == connector_id:
            return transaction
    return None


async def _signal_quality(
    uow: UnitOfWork, charger: Charger, event: DataTransferReceived, data: dict[str, Any]
) -> DataTransferDecision:
    rssi, ber = _number(data, "rssi"), _number(data, "ber")
    if rssi not in RSSI_VALUES or ber not in BER_VALUES:
        return DataTransferDecision(status="Rejected")
    await uow.connection.execute(
        insert(signal_quality)
        .values(charger_id=charger.id, epoch=event.epoch, seq=event.seq, rssi=rssi, ber=ber, received_at=event.received_at)
        .on_conflict_do_nothing()
    )
    return DataTransferDecision(status="Accepted")
