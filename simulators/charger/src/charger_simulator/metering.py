"""What the charge point says of its meter: sampled values (OCPP 1.6 section 7.43), honest or as its quirks have it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from charger_simulator.connector import Connector, Transaction
from charger_simulator.quirks import Quirks, TransactionIdQuirk
from charger_simulator.settings import Settings

WH_PER_KWH = 1000
ENERGY = "Energy.Active.Import.Register"


def with_transaction_id(payload: dict[str, Any], own: int | None, quirk: TransactionIdQuirk) -> dict[str, Any]:
    """Adds transactionId as known, or as the quirk wants it."""
    if quirk == "own":
        if own is not None:
            payload["transactionId"] = own
    elif quirk == "null":
        payload["transactionId"] = None
    elif quirk != "missing":
        payload["transactionId"] = quirk
    return payload


def register_at_edge(connector: Connector, transaction: Transaction, quirks: Quirks) -> int:
    """The register as StartTransaction and StopTransaction tell it, Wh."""
    return connector.meter_wh - transaction.meter_start_wh if quirks.register_restarts else connector.meter_wh


def samples(
    connector: Connector, transaction: Transaction | None, measurands: list[str], context: str, settings: Settings, quirks: Quirks
) -> list[dict[str, Any]]:
    """One sampledValue per measurand. `transaction.samples` says the how many-th it is."""
    values: list[dict[str, Any]] = []
    for measurand in measurands:
        if measurand == ENERGY:
            values.append(_energy(connector, transaction, context, quirks))
            continue
        value, unit = _momentary(measurand, connector, settings)
        values.append(_sample(measurand, value, unit, context, quirks))
    if quirks.stale_begin_sample and transaction is not None and ENERGY in measurands:
        start = 0 if quirks.register_restarts else transaction.meter_start_wh
        values.append(_sample(ENERGY, str(start), "Wh", "Transaction.Begin", quirks))
    return values


def _energy(connector: Connector, transaction: Transaction | None, context: str, quirks: Quirks) -> dict[str, Any]:
    wh = connector.meter_wh
    raw: str | None = None
    if transaction is not None:
        if quirks.session_relative_samples or quirks.register_restarts:
            wh -= transaction.meter_start_wh
        if transaction.samples in quirks.zero_samples:
            wh = 0
        wh *= quirks.spike_samples.get(transaction.samples, 1)
        raw = quirks.raw_samples.get(transaction.samples)
    in_kwh = quirks.energy_unit == "kWh" or quirks.kwh_labelled_wh
    value = format(Decimal(wh) / WH_PER_KWH, ".3f") if in_kwh else str(wh)
    unit = "Wh" if quirks.kwh_labelled_wh else quirks.energy_unit
    return _sample(ENERGY, value if raw is None else raw, unit, context, quirks, literal=raw is not None)


def _momentary(measurand: str, connector: Connector, settings: Settings) -> tuple[str, str]:
    match measurand:
        case "Power.Active.Import":
            return str(connector.power_w), "W"
        case "Voltage":
            return str(settings.voltage_v), "V"
        case "Current.Import":  # per phase
            amperes = Decimal(connector.power_w) / (settings.voltage_v * settings.phases)
            return str(amperes.quantize(Decimal("0.1"), ROUND_HALF_UP)), "A"
        case _:
            raise ValueError(f"{measurand} is not measured here")


def _sample(measurand: str, value: str, unit: str, context: str, quirks: Quirks, *, literal: bool = False) -> dict[str, Any]:
    shown: str | int | float = value
    if quirks.values_as_numbers and not literal:
        shown = int(value) if value.isdigit() else float(value)
    sample: dict[str, Any] = {"value": shown, "context": context, "measurand": measurand, "location": "Outlet"}
    if not quirks.no_units:
        sample["unit"] = unit
    return sample
