"""What a command is to bring about, beyond its answer: OCPP's Accepted is "will attempt" (§5.11, §5.14). Receipts, feature B13.

    AWAITED ──sign of it──> SEEN
       │ └───due_at────────> NOT_SEEN
       └─refused, or never sent──> NONE_EXPECTED

`EFFECTS` is the table; everything else here reads it. A sign may come before the answer where only this command can mean it
(row 86: StartTransaction with its idTag); where a charger sends such a message of its own accord too, it counts after the
answer, as §5.17 has it. A refusal wins over any sign, in whatever order they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from charging.domain.states import CommandStatus


class Effect(StrEnum):
    """Whether a command did what it is for."""

    NONE_EXPECTED = "NONE_EXPECTED"
    """It has none that shows (ClearCache), or it was refused, or never sent."""
    AWAITED = "AWAITED"
    SEEN = "SEEN"
    NOT_SEEN = "NOT_SEEN"
    """Nothing showed it in time. It may have happened all the same."""


class Sign(StrEnum):
    """What a charger shows. The values are the words that a receipt waits with."""

    BOOT = "BootNotification"
    START = "StartTransaction"
    STOP = "StopTransaction"
    METER_VALUES = "MeterValues"
    STATUS = "StatusNotification"
    FIRMWARE = "FirmwareStatusNotification"
    DIAGNOSTICS = "DiagnosticsStatusNotification"
    CONNECTED = "a connection with the new password"


class By(StrEnum):
    """What of a sign must agree with the request."""

    ID_TAG = "idTag"
    TRANSACTION = "transactionId"
    CONNECTOR = "connectorId"


@dataclass(frozen=True, slots=True)
class Expected:
    """One sign that proves an effect."""

    sign: Sign
    by: By | None = None
    early: bool = False
    """Counts before the answer too."""
    newer_connection: bool = False
    """Counts on a newer connection whether answered or not: the answer may have gone with the old one."""


EFFECTS: Mapping[str, tuple[Expected, ...]] = {
    "Reset": (Expected(Sign.BOOT, newer_connection=True),),
    "RemoteStartTransaction": (Expected(Sign.START, By.ID_TAG, early=True),),
    # Or flat energy, which is looked at when its time is over: no single message shows it.
    "RemoteStopTransaction": (Expected(Sign.STOP, By.TRANSACTION, early=True),),
    "UnlockConnector": (Expected(Sign.STATUS, By.CONNECTOR), Expected(Sign.STOP, By.CONNECTOR, early=True)),
    # What counts is the status that the connectors have, by whichever message (`available_as_wished`).
    "ChangeAvailability": (Expected(Sign.STATUS),),
}
"""By operation. TriggerMessage is in `TRIGGERED`, the new AuthorizationKey in `expected_of`; all others show nothing."""

TRIGGERED: Mapping[str, Sign] = {
    "BootNotification": Sign.BOOT,
    "MeterValues": Sign.METER_VALUES,
    "StatusNotification": Sign.STATUS,
    "FirmwareStatusNotification": Sign.FIRMWARE,
    "DiagnosticsStatusNotification": Sign.DIAGNOSTICS,
}
"""requestedMessage of TriggerMessage (§7.30). Heartbeat is not here: gateways answer heartbeats and tell nobody of them."""

AUTHORIZATION_KEY = "authorizationkey"
"""The configuration key that is a password (OCPP 1.6 security whitepaper §2), lower case."""


@dataclass(frozen=True, slots=True)
class EffectTimeouts:
    """How long each effect may take after the answer."""

    reset_soft: timedelta = timedelta(seconds=900)
    reset_hard: timedelta = timedelta(seconds=300)
    start: timedelta = timedelta(seconds=150)
    stop: timedelta = timedelta(seconds=75)
    status: timedelta = timedelta(seconds=60)
    message: timedelta = timedelta(seconds=60)
    handover: timedelta = timedelta(days=1)

    def of(self, action: str, payload: Mapping[str, Any]) -> timedelta:
        """For this request."""
        if action == "Reset":
            return self.reset_hard if payload.get("type") == "Hard" else self.reset_soft
        return {
            "RemoteStartTransaction": self.start,
            "RemoteStopTransaction": self.stop,
            "TriggerMessage": self.message,
            "ChangeConfiguration": self.handover,
        }.get(action, self.status)


def expected_of(action: str, payload: Mapping[str, Any]) -> tuple[Expected, ...]:
    """The signs of which any proves this request's effect; empty: it has none that shows."""
    if action == "TriggerMessage":
        sign = TRIGGERED.get(str(payload.get("requestedMessage")))
        return () if sign is None else (Expected(sign, By.CONNECTOR if payload.get("connectorId") is not None else None),)
    if action == "ChangeConfiguration" and str(payload.get("key")).casefold() == AUTHORIZATION_KEY:
        return (Expected(Sign.CONNECTED, newer_connection=True),)
    return EFFECTS.get(action, ())


def waits_for(action: str, payload: Mapping[str, Any]) -> str | None:
    """In words, for people; None where no effect is expected."""
    expected = expected_of(action, payload)
    if not expected:
        return None
    if action == "ChangeAvailability":
        wished = "Unavailable" if payload.get("type") == "Inoperative" else "Available"
        number = payload.get("connectorId")
        return f"StatusNotification {wished} " + (f"on connector {number}" if number else "on all connectors")
    words = [f"{each.sign} with {each.by} {payload.get(each.by)}" if each.by is not None else str(each.sign) for each in expected]
    if action == "RemoteStopTransaction":
        words.append("flat energy")
    return " or ".join(words)


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A command, as far as its effect goes."""

    action: str
    payload: Mapping[str, Any]
    status: CommandStatus
    epoch: int
    """The connection it was handed over for."""
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a charger showed, and whom it concerns."""

    sign: Sign
    epoch: int
    received_at: datetime
    id_tag: str | None = None
    connector_ids: frozenset[int] = frozenset()
    transaction_ids: frozenset[int] = frozenset()
    """All names of the transaction: ours, and the charger's where it uses another."""


def shows(command: Awaiting, happened: Happened) -> bool:
    """Whether this proves the command's effect. ChangeAvailability is judged by `available_as_wished` instead."""
    return any(_proves(expected, command, happened) for expected in expected_of(command.action, command.payload))


def _proves(expected: Expected, command: Awaiting, happened: Happened) -> bool:
    if expected.sign is not happened.sign or happened.epoch < command.epoch:
        return False
    answered = command.completed_at is not None and happened.received_at >= command.completed_at
    if not (answered or expected.early or (expected.newer_connection and happened.epoch > command.epoch)):
        return False
    wanted = command.payload.get(expected.by) if expected.by is not None else None
    if expected.by is By.ID_TAG:
        return happened.id_tag is not None and str(wanted).strip().casefold() == happened.id_tag.strip().casefold()
    if expected.by is By.TRANSACTION:
        return wanted in happened.transaction_ids
    if expected.by is By.CONNECTOR:
        # Connector 0 is the whole box: what any of its connectors shows is its own.
        return wanted == 0 or wanted in happened.connector_ids
    return True


def available_as_wished(payload: Mapping[str, Any], statuses: Mapping[int, str]) -> bool:
    """Whether the connectors are what ChangeAvailability asked for. `statuses`: as last reported, by number, 0 included.

    Operative is any status but Unavailable and those that say nothing of it (Faulted, Unknown): a connector with a car in it
    reports Preparing. Connector 0 of the request means all; a box that reports only its own number 0 is believed.
    """
    number = payload.get("connectorId")
    inoperative = payload.get("type") == "Inoperative"

    def fits(status: str) -> bool:
        return status == "Unavailable" if inoperative else status not in ("Unavailable", "Faulted", "Unknown")

    if number:
        return number in statuses and fits(statuses[number])
    numbered = [status for connector_id, status in statuses.items() if connector_id > 0]
    return bool(numbered) and all(fits(status) for status in numbered)


@dataclass(frozen=True, slots=True)
class Step:
    """What an outcome means to the receipt."""

    effect: Effect
    due_at: datetime | None
    evidence: str | None


def after_outcome(
    effect: Effect, evidence: str | None, *, status: CommandStatus, said: str, at: datetime, timeout: timedelta
) -> Step:
    """The command has its final status. Refused or never sent: no effect is expected any more, whatever was taken for one.

    Sent and unanswered (TIMED_OUT, UNKNOWN): it may have been done, so a sign of it is waited for all the same.
    """
    if effect is Effect.NONE_EXPECTED:
        return Step(effect, None, evidence)
    if status in (CommandStatus.REJECTED, CommandStatus.CALL_ERROR):
        return Step(Effect.NONE_EXPECTED, None, f"refused: {said}")
    if status is CommandStatus.EXPIRED:
        return Step(Effect.NONE_EXPECTED, None, "never sent")
    if effect is Effect.SEEN:
        return Step(effect, None, evidence)
    return Step(Effect.AWAITED, at + timeout, None)
