"""The broker door: message type → use case."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from charging.usecases.answer_queries import authorize, list_credentials, tell_site_owner
from charging.usecases.complete_command import command_completed
from charging.usecases.connection import booted, connected, disconnected
from charging.usecases.context import Charging
from charging.usecases.deadline import deadline_due
from charging.usecases.decide_start import cancel_requested, fee_recorded, start_requested
from charging.usecases.handle_batch import LaneHandler, NewsRule, in_order_per_charger
from charging.usecases.manage_tariffs import tell_tariff
from charging.usecases.record_bill import record_bill, record_wallet_bill
from charging.usecases.report_status import status_reported
from charging.usecases.send_command import command_requested
from charging.usecases.start_transaction import start_transaction
from charging.usecases.stop_session import stop_requested
from charging.usecases.stop_transaction import stop_transaction
from charging.usecases.transfer_data import data_transferred
from charging.usecases.unknown_charge_points import note_unknown_charge_point
from charging.usecases.upkeep import upkeep_reported
from chassis.database import UnitOfWork
from contracts import charging as own
from contracts import ocpp_gateway as gateway
from contracts import payments, wallets
from contracts.base import Event, LaneEvent

EventHandler = Callable[[Charging, UnitOfWork, Any], Awaitable[None]]

NEWS: Mapping[type[LaneEvent], NewsRule] = {
    gateway.ChargePointConnected: connected,
    gateway.ChargePointDisconnected: disconnected,
    gateway.BootNotificationReceived: booted,
    gateway.StatusNotificationReceived: status_reported,
}
"""What a whole fleet may say at once: taken together, each event judged by its rule."""

LANE: Mapping[type[LaneEvent], LaneHandler] = {
    # chargers' frames
    gateway.StartTransactionReceived: start_transaction,
    gateway.StopTransactionReceived: stop_transaction,
    gateway.DataTransferReceived: data_transferred,
    gateway.FirmwareStatusReceived: upkeep_reported,
    gateway.DiagnosticsStatusReceived: upkeep_reported,
    gateway.CommandCompleted: command_completed,
    # wishes
    own.StartRequested: start_requested,
    own.StartCancelRequested: cancel_requested,
    own.PlatformFeeRecorded: fee_recorded,
    own.SessionStopRequested: stop_requested,
    own.CommandRequested: command_requested,
    # time
    own.DeadlineDue: deadline_due,
}
"""MeterValues are in neither table: `handle_batch` takes them together."""

LANE_MODELS: Mapping[str, type[LaneEvent]] = {
    **{model.TYPE: model for model in (*NEWS, *LANE)},
    gateway.MeterValuesReceived.TYPE: gateway.UnparsedMeterValuesReceived,
}

handle_batch = in_order_per_charger(NEWS, LANE)

EVENTS: Mapping[type[Event], EventHandler] = {
    payments.PaymentBilled: record_bill,
    wallets.WalletSessionBilled: record_wallet_bill,
    gateway.UnknownChargePointSeen: note_unknown_charge_point,
}

AUTHORIZE = {gateway.AuthorizeRequested: authorize}
CREDENTIALS = {gateway.CredentialsListRequested: list_credentials}
SITES = {own.SiteOwnerRequested: tell_site_owner}
TARIFFS = {own.TariffRequested: tell_tariff}
