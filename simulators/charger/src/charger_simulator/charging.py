"""Transactions at the connectors: beginning, metering, ending, and the statuses that go with them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from charger_simulator.clock import Clock, Every, formatted
from charger_simulator.configuration import Configuration
from charger_simulator.connector import Connector, Transaction
from charger_simulator.frames import SimulatorError
from charger_simulator.link import Link
from charger_simulator.metering import register_at_edge, samples, with_transaction_id
from charger_simulator.outbox import Outgoing
from charger_simulator.quirks import Quirks
from charger_simulator.settings import Settings
from charger_simulator.smart_charging import Limit, Profile, Profiles

# A charge point whose StartTransaction was given up never learned an id; -1 is what stations in the field send then.
TRANSACTION_ID_NEVER_LEARNED = -1


class Charging(Link):
    """A link whose station has connectors."""

    def __init__(
        self,
        id: str,  # noqa: A002  the field's own word
        url: str,
        *,
        password: str | None,
        connectors: int,
        rated_power_w: int,
        clock: Clock,
        meter_start_wh: int,
        settings: Settings,
        quirks: Quirks,
        http: aiohttp.ClientSession | None,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(
            id, url, password=password, clock=clock, settings=settings, quirks=quirks, http=http, ssl_context=ssl_context
        )
        self.configuration = Configuration(settings.configuration, connectors=connectors)
        self.profiles = Profiles()

        def made(number: int) -> Connector:
            return Connector(
                number,
                clock,
                rated_power_w=rated_power_w,
                meter_start_wh=meter_start_wh,
                quirks=lambda: self.quirks,
                limit=self._limit,
                changed=self._connector_changed,
            )

        self.controller = made(0)
        self.connectors: dict[int, Connector] = {number: made(number) for number in range(1, connectors + 1)}

    def connector(self, number: int) -> Connector:
        """Raises KeyError for a connector that the station does not have."""
        return self.connectors[number]

    def _all(self) -> list[Connector]:
        return [self.controller, *self.connectors.values()]

    def _update_all(self) -> None:
        """A transaction's begin or end, or a profile, may change what the others may take."""
        for connector in self.connectors.values():
            connector.update()

    def _limit(self, connector: Connector) -> Limit:
        transaction = connector.transaction
        if transaction is None or self.quirks.ignore_charging_profiles:
            return Limit(None, None)
        return self.profiles.limit(
            connector.id,
            now=self.clock.now(),
            started=transaction.started_at,
            voltage_v=self.settings.voltage_v,
            phases=self.settings.phases,
            sharing=sum(other.transaction is not None for other in self.connectors.values()),
        )

    def _stamp(self, moment: datetime | None = None) -> str:
        """A timestamp as the station's own clock has it."""
        offset = timedelta(seconds=self.quirks.clock_offset_seconds)
        return formatted((moment or self.clock.now()) + offset, self.quirks.timestamp_zone)

    # -- statuses

    def _connector_changed(self, connector: Connector) -> None:
        if connector.powered and self.connected and self.booted and connector.notified != connector.condition:
            self._notify_status(connector)
        self._changed()

    def _notify_status(self, connector: Connector, then: Callable[[], None] | None = None) -> None:
        condition = connector.condition
        status, error_code, vendor_error_code = condition
        payload: dict[str, Any] = {
            "connectorId": connector.id,
            "errorCode": error_code,
            "status": status,
            "timestamp": self._stamp(),
        }
        if vendor_error_code is not None:
            payload["vendorErrorCode"] = vendor_error_code
        if connector.fault_info is not None:
            payload["info"] = connector.fault_info

        def done(response: dict[str, Any] | None, _: SimulatorError | None) -> None:
            if response is not None:
                connector.reported = condition
            if then is not None:
                then()

        connector.notified = condition
        self._queue(Outgoing("StatusNotification", lambda: payload, done))

    # -- the life of a transaction

    async def start_transaction(self, id_tag: str, connector: int = 1, *, authorize: bool = True) -> bool:
        """A tag held to the reader. False if the connector can't start, or the tag is not Accepted (or, offline, unless
        AllowOfflineTxForUnknownId). `authorize=False` starts without asking, as a station in free mode does."""
        chosen = self.connector(connector)
        if authorize and self.connected and not await self._authorized(id_tag):
            return False
        if authorize and not self.connected and not self.configuration.flag("AllowOfflineTxForUnknownId"):
            return False
        if not self._can_begin(chosen):
            return False
        self._begin(chosen, id_tag)
        return True

    async def stop_transaction(self, connector: int = 1, *, reason: str = "Local", id_tag: str | None = None) -> bool:
        """Ends the connector's transaction at the station. False if there is none."""
        chosen = self.connector(connector)
        if chosen.transaction is None:
            return False
        self._end(chosen, reason, id_tag=id_tag)
        return True

    async def _authorized(self, id_tag: str) -> bool:
        try:
            answer = await self.call("Authorize", {"idTag": id_tag})
        except SimulatorError:
            return False
        info = answer.get("idTagInfo")
        return isinstance(info, dict) and info.get("status") == "Accepted"

    def _can_begin(self, connector: Connector) -> bool:
        """An EV is there and nothing speaks against charging it."""
        return connector.plugged and self._is_free(connector)

    def _is_free(self, connector: Connector) -> bool:
        usable = connector.powered and connector.operative and connector.fault is None and self.controller.fault is None
        blocked = connector.finishing and self.quirks.finishing_refuses_start
        return usable and not blocked and connector.transaction is None

    def _begin(self, connector: Connector, id_tag: str, profile: Profile | None = None) -> None:
        """Power flows from here on; whether the central system agrees shows in its answer."""
        now = self.clock.now()
        transaction = Transaction(connector.id, id_tag, now, connector.meter_wh)
        self._forget_pending(connector)
        connector.finishing = False
        connector.transaction = transaction
        if profile is not None:
            self.profiles.install(connector.id, profile, now)
        payload = {
            "connectorId": connector.id,
            "idTag": self.quirks.id_tag_format.replace("{id_tag}", id_tag),
            "meterStart": register_at_edge(connector, transaction, self.quirks),
            "timestamp": self._stamp(now),
        }

        def done(response: dict[str, Any] | None, _: SimulatorError | None) -> None:
            if response is not None:
                self._start_answered(connector, transaction, response)

        self._queue(Outgoing("StartTransaction", payload.copy, done, transactional=True))
        self._keep(connector, transaction, "Transaction.Begin")
        self._sample_regularly(connector)
        self._update_all()

    def _start_answered(self, connector: Connector, transaction: Transaction, response: dict[str, Any]) -> None:
        given = response.get("transactionId")
        transaction.id = given if isinstance(given, int) else None
        info = response.get("idTagInfo")
        accepted = isinstance(info, dict) and info.get("status") == "Accepted"
        if accepted or connector.transaction is not transaction:
            return
        if self.configuration.flag("StopTransactionOnInvalidId"):
            self._end(connector, "DeAuthorized")
        else:
            transaction.refused = True
            connector.update()

    def _end(self, connector: Connector, reason: str, *, id_tag: str | None = None, at: datetime | None = None) -> None:
        transaction = connector.transaction
        assert transaction is not None
        if transaction.sampling is not None:
            transaction.sampling.cancel()
        quirks = self.quirks
        self._keep(connector, transaction, "Transaction.End")
        payload: dict[str, Any] = {
            "meterStop": register_at_edge(connector, transaction, quirks),
            "timestamp": self._stamp(at),
            "reason": quirks.stop_reason or reason,
        }
        if id_tag is not None:
            payload["idTag"] = id_tag
        if transaction.kept:
            payload["transactionData"] = transaction.kept

        def build() -> dict[str, Any]:
            own = TRANSACTION_ID_NEVER_LEARNED if transaction.id is None else transaction.id
            return with_transaction_id(dict(payload), own, quirks.stop_transaction_id)

        if not quirks.never_send_stop:
            earliest = self.clock.monotonic() + quirks.stop_delay_seconds if quirks.stop_delay_seconds else 0.0
            self._queue(Outgoing("StopTransaction", build, transactional=True, not_before=earliest))
        connector.transaction = None
        connector.finishing = connector.plugged
        self.profiles.clear(connector_id=connector.id, purpose="TxProfile")
        if connector.make_inoperative:
            connector.make_inoperative = connector.operative = False
        self._update_all()

    def _forget_pending(self, connector: Connector) -> None:
        if connector.pending is not None:
            connector.pending.timer.cancel()
            connector.pending = None

    # -- metering

    def _sample_regularly(self, connector: Connector) -> None:
        """(Re)starts the periodic MeterValues of the connector's transaction."""
        transaction = connector.transaction
        if transaction is None:
            return
        if transaction.sampling is not None:
            transaction.sampling.cancel()
            transaction.sampling = None
        interval = self.configuration.number("MeterValueSampleInterval")
        if interval > 0:
            transaction.sampling = Every(self.clock, interval, lambda: self._sample(connector, transaction))

    def _sample(self, connector: Connector, transaction: Transaction) -> None:
        self._keep(connector, transaction, "Sample.Periodic")
        self._meter_values(connector, "Sample.Periodic", "MeterValuesSampledData", transactional=True)

    def _meter_values(self, connector: Connector, context: str, key: str, *, transactional: bool) -> None:
        """Queues one MeterValues of the measurands that the configuration key names."""
        measurands = self.configuration.items(key)
        if self.quirks.no_meter_values or not measurands:
            return
        transaction = connector.transaction
        if transaction is not None:
            transaction.samples += 1
        values = samples(connector, transaction, measurands, context, self.settings, self.quirks)
        payload = {"connectorId": connector.id, "meterValue": [{"timestamp": self._stamp(), "sampledValue": values}]}

        def build() -> dict[str, Any]:
            own = transaction.id if transaction is not None else None
            return with_transaction_id(dict(payload), own, self.quirks.meter_values_transaction_id)

        self._queue(Outgoing("MeterValues", build, transactional=transactional))

    def _keep(self, connector: Connector, transaction: Transaction, context: str) -> None:
        """Remembers a sample for StopTransaction (StopTxnSampledData)."""
        measurands = self.configuration.items("StopTxnSampledData")
        if measurands:
            values = samples(connector, transaction, measurands, context, self.settings, self.quirks)
            transaction.kept.append({"timestamp": self._stamp(), "sampledValue": values})
