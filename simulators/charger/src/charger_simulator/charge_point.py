"""A charge point: power-on, BootNotification, heartbeats, reboots, and what people do to it with cables and faults."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import aiohttp

from charger_simulator import commands
from charger_simulator.charging import Charging
from charger_simulator.clock import Clock, Every, SystemClock, Timer
from charger_simulator.frames import SimulatorError
from charger_simulator.messaging import Answer
from charger_simulator.outbox import Outgoing
from charger_simulator.quirks import Quirks
from charger_simulator.settings import Settings

Handler = Callable[["ChargePoint", dict[str, Any]], dict[str, Any]]
"""Answers a CALL of the central system with a payload; raises OcppError for a CALLERROR."""

DAY = timedelta(days=1)


class ChargePoint(Charging):
    """One simulated OCPP 1.6-J charge point. Make it inside a running event loop.

    `url` is the central system's base URL; the id is appended as the last path segment. Power in whole watts, energy in Wh.
    Everything it does by itself waits on `clock`; `settings` says what it is like, `quirks` how it misbehaves (they may be
    changed while it runs). `http` lets many charge points share one session.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  the field's own word
        url: str,
        *,
        password: str | None = None,
        connectors: int = 1,
        rated_power_w: int = 7400,
        vendor: str = "VoltLync",
        model: str = "Sim-1",
        firmware_version: str = "1.0.0",
        clock: Clock | None = None,
        meter_start_wh: int = 0,
        settings: Settings | None = None,
        quirks: Quirks | None = None,
        http: aiohttp.ClientSession | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            id,
            url,
            password=password,
            connectors=connectors,
            rated_power_w=rated_power_w,
            clock=clock or SystemClock(),
            meter_start_wh=meter_start_wh,
            settings=settings or Settings(),
            quirks=quirks or Quirks(),
            http=http,
            ssl_context=ssl_context,
        )
        self.vendor = vendor
        self.model = model
        self.firmware_version = firmware_version
        self.registration: str | None = None
        """status of the last BootNotification.conf."""
        self.boots = 0
        """BootNotifications accepted."""
        self._handlers: dict[str, Handler] = {}
        self._heartbeat: Every | None = None
        self._keep_alive: Every | None = None
        self._aligned: Every | None = None
        self._boot_retry: Timer | None = None
        self._restart: Timer | None = None

    async def start(self) -> None:
        for connector in self.connectors.values():
            if connector.transaction is not None and connector.transaction.sampling is None:
                self._sample_regularly(connector)  # it was stopped during a transaction
            connector.update()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        if not self._powered.is_set():
            self._power_on()  # it is to be found switched on when started again
        self._stand_still()

    # -- what people do to it

    async def plug(self, connector: int = 1) -> None:
        """An EV is plugged in. It charges if a RemoteStart waits for it. Raises ValueError if one is there already."""
        chosen = self.connector(connector)
        if chosen.plugged:
            raise ValueError(f"{self.id}: an EV is plugged into connector {connector} already")
        chosen.plugged = True
        chosen.finishing = False
        pending = chosen.pending
        if pending is not None and self._can_begin(chosen):
            self._begin(chosen, pending.id_tag, pending.profile)
        elif self.quirks.autostart_id_tag is not None and self._can_begin(chosen):
            self._begin(chosen, self.quirks.autostart_id_tag)
        else:
            chosen.update()

    async def unplug(self, connector: int = 1) -> None:
        """The EV leaves. Its transaction ends with EVDisconnected, unless StopTransactionOnEVSideDisconnect is false.
        Raises ValueError if there is none."""
        chosen = self.connector(connector)
        if not chosen.plugged:
            raise ValueError(f"{self.id}: nothing is plugged into connector {connector}")
        chosen.plugged = chosen.finishing = False
        running = chosen.transaction is not None and chosen.powered
        if running and self.configuration.flag("StopTransactionOnEVSideDisconnect"):
            self._end(chosen, "EVDisconnected")
        else:
            chosen.update()

    def set_power(self, connector: int, watts: int) -> None:
        """What the EV wants; it gets no more than the rated power and the charging profiles allow. 0 is an EV that pauses."""
        if watts < 0:
            raise ValueError(f"power can't be negative: {watts} W")
        chosen = self.connector(connector)
        chosen.ev_power_w = watts
        chosen.update()

    async def fault(
        self,
        connector: int,
        error_code: str,
        vendor_error_code: str | None = None,
        *,
        info: str | None = None,
        ends_transaction: bool = False,
    ) -> None:
        """Power stops and the status is Faulted. A transaction stays open, as OCPP 1.6 section 4.9 has it, unless told otherwise.
        Connector 0 is the charge point's controller: its fault refuses new starts and stops nothing."""
        chosen = self.controller if connector == 0 else self.connector(connector)
        chosen.fault, chosen.vendor_error_code, chosen.fault_info = error_code, vendor_error_code, info
        if ends_transaction and chosen.transaction is not None:
            self._end(chosen, "Other")
        chosen.update()

    async def clear_fault(self, connector: int) -> None:
        """Back to the state that the fault interrupted."""
        chosen = self.controller if connector == 0 else self.connector(connector)
        chosen.fault = chosen.vendor_error_code = chosen.fault_info = None
        chosen.update()

    def on(self, action: str, handler: Handler) -> None:
        """Answers a CALL of the central system by `handler`, in place of what the simulator does (or NotImplemented)."""
        self._handlers[action] = handler

    # -- power

    async def reboot(self, hard: bool = False, *, stop_reason: str | None = None) -> None:
        """Restarts the station. Returns when it is off; it is on again after `Settings.reboot_seconds` on the clock and boots.

        A soft reboot ends transactions first (SoftReset), waits until the queue is out, `soft_reset_flush_seconds` at most on the
        clock, and closes cleanly. A hard one cuts power at once: TCP is dropped, StopTransaction (HardReset, or `stop_reason`,
        e.g. PowerLoss) follows after the boot. Queued transaction messages, meters and configuration survive. What becomes of
        transactions is `Quirks.after_reboot`.
        """
        if not self._powered.is_set():
            return
        reason = stop_reason or ("HardReset" if hard else "SoftReset")
        fate = self.quirks.after_reboot
        if not hard:
            if fate == "stop":
                for connector in self.connectors.values():
                    if connector.transaction is not None:
                        self._end(connector, reason)
            await self._flushed()
        self._powered.clear()
        self.booted = False
        self.registration = None
        self._stand_still()
        for connector in self._all():
            connector.powered = connector.finishing = False
            if connector.transaction is not None:
                if fate == "forget":
                    connector.transaction = None
                elif fate == "stop":
                    connector.transaction.interrupted = (reason, self.clock.now())
            connector.update()
        if hard and self.quirks.lose_queue_on_hard_reboot:
            self.outbox.lose_transactional()
        if self._connection is not None:
            if hard:
                self._connection.drop()
            else:
                await self._connection.close()
        await self._closed.wait()
        self._restart = Timer(self.clock, self.settings.reboot_seconds, self._power_on)

    async def _flushed(self) -> None:
        if not self.connected or not self.booted:
            return
        try:
            await self.wait_for(
                lambda: not self.outbox.transactional or not self.connected, within=self.settings.soft_reset_flush_seconds
            )
        except TimeoutError:
            return  # what is left is sent after the boot

    def _power_on(self) -> None:
        for connector in self._all():
            connector.powered = True
            transaction = connector.transaction
            if transaction is not None and transaction.interrupted is not None:
                reason, at = transaction.interrupted
                self._end(connector, reason, at=at)
                connector.finishing = False  # after a restart a plugged EV is one that waits
            self._sample_regularly(connector)
            connector.update()
        self._powered.set()

    def _stand_still(self) -> None:
        """Cancels everything that time would do."""
        for every in (self._heartbeat, self._keep_alive, self._aligned):
            if every is not None:
                every.cancel()
        self._heartbeat = self._keep_alive = self._aligned = None
        for timer in (self._boot_retry, self._restart):
            if timer is not None:
                timer.cancel()
        self._boot_retry = self._restart = None
        for connector in self._all():
            self._forget_pending(connector)
            connector.stop_watching()
            if connector.transaction is not None and connector.transaction.sampling is not None:
                connector.transaction.sampling.cancel()
                connector.transaction.sampling = None

    # -- the connection's begin and end

    def _opened(self) -> None:
        if self.quirks.never_boot:
            self.booted = True
        elif self.quirks.boot_on_reconnect:
            self.booted = False
        if self.booted:
            self._go_to_work()
        else:
            self._send_boot()

    def _lost(self) -> None:
        for every in (self._heartbeat, self._keep_alive):
            if every is not None:
                every.cancel()
        self._heartbeat = self._keep_alive = None
        if self._boot_retry is not None:
            self._boot_retry.cancel()
            self._boot_retry = None
        for connector in self._all():
            connector.notified = connector.reported

    def _send_boot(self) -> None:
        self._boot_retry = None
        payload = {
            "chargePointVendor": self.vendor,
            "chargePointModel": self.model,
            "chargePointSerialNumber": self.settings.serial_number or self.id[:25],
            "firmwareVersion": self.firmware_version,
        }
        self._queue(Outgoing("BootNotification", payload.copy, self._boot_answered, before_boot=True))

    def _boot_answered(self, response: dict[str, Any] | None, _: SimulatorError | None) -> None:
        if response is None:
            wait = self.settings.boot_retry_seconds
        else:
            self.registration = str(response.get("status"))
            interval = response.get("interval")
            given = interval if isinstance(interval, int) and interval > 0 else 0
            if self.registration == "Accepted":
                self._boot_accepted(given)
                return
            wait = given or self.settings.boot_retry_seconds
        if self.connected:
            self._boot_retry = Timer(self.clock, wait, self._send_boot)
        self._settle()

    def _boot_accepted(self, heartbeat_seconds: int) -> None:
        self.booted = True
        self.boots += 1
        if heartbeat_seconds:
            self.configuration.set_number("HeartbeatInterval", heartbeat_seconds)  # section 4.2
        for connector in self._all():
            connector.notified = connector.reported = None
        self._go_to_work()

    def _go_to_work(self) -> None:
        """Statuses that the central system does not know, then timers. `start` and `connect` return when they are answered."""
        news = [connector for connector in self._all() if connector.notified != connector.condition]
        for connector in news:
            self._notify_status(connector, self._settle_well if connector is news[-1] else None)
        if not news:
            self._settle_well()
        self.configured("HeartbeatInterval")
        self.configured("WebSocketPingInterval")
        if self._aligned is None:
            self.configured("ClockAlignedDataInterval")

    # -- time

    def configured(self, key: str) -> None:
        """A configuration key was set: timers follow it."""
        match key:
            case "HeartbeatInterval":
                self._heartbeat = self._every(self._heartbeat, key, self._beat)
            case "WebSocketPingInterval":
                self._keep_alive = self._every(self._keep_alive, key, self._ping)
            case "ClockAlignedDataInterval":
                seconds = self.configuration.number(key)
                since_midnight = self.clock.now() - self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
                first = seconds - since_midnight.total_seconds() % seconds if seconds else None
                self._aligned = self._every(self._aligned, key, self._align, first=first)
            case "MeterValueSampleInterval":
                for connector in self.connectors.values():
                    self._sample_regularly(connector)
            case "AuthorizationKey":
                self.password = self.configuration.text(key)  # for the next connection
            case _:
                return

    def _every(self, old: Every | None, key: str, action: Callable[[], None], *, first: float | None = None) -> Every | None:
        if old is not None:
            old.cancel()
        seconds = self.configuration.number(key)
        return Every(self.clock, seconds, action, first=first) if seconds > 0 else None

    def _beat(self) -> None:
        if self.connected and self.booted and not self.quirks.no_heartbeats and not self.outbox.holds("Heartbeat"):
            self.heartbeat()

    def heartbeat(self) -> None:
        """Queues a Heartbeat out of turn."""
        self._queue(Outgoing("Heartbeat", dict))

    def _align(self) -> None:
        for connector in self.connectors.values():
            self._meter_values(connector, "Sample.Clock", "MeterValuesAlignedData", transactional=True)

    # -- what the central system asks

    def _listens(self, action: str) -> bool:  # noqa: ARG002  the hook's shape
        return self.registration != "Rejected"  # section 4.2: silence until the next attempt

    def _retry_rules(self) -> tuple[int, float]:
        attempts = self.configuration.number("TransactionMessageAttempts")
        return max(1, attempts), self.configuration.number("TransactionMessageRetryInterval")

    def _answer(self, action: str, payload: dict[str, Any]) -> Answer:
        handler = self._handlers.get(action)
        if handler is not None:
            return Answer(handler(self, payload))
        return commands.answer(self, action, payload)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
