"""The whole life of sessions, driven at random against a small reference model (`Session`): charging's own handlers, sweeps
and PostgreSQL, one transaction a step, without the broker between.

A charger of two connectors does whatever chargers do (drops, boots, statuses, readings under any id, glitches), people pay and
give up, the clock jumps, and what was delivered before is delivered again. After every step charging's rows are as the model has
them; after every run its announcements tell one story.
"""

import itertools
import os
from collections import defaultdict
from contextlib import contextmanager
from datetime import timedelta

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from charging.subscriptions import LANE_MODELS
from charging.usecases.sweep import sweep_deadlines, sweep_stale
from contracts.charging import DeadlineDue, DeadlineKind, StartCancelRequested, StartRequested
from contracts.ocpp_gateway import (
    BootNotificationReceived,
    ChargePointConnected,
    ChargePointDisconnected,
    CommandCompleted,
    CommandOutcome,
    DataTransferReceived,
    DisconnectReason,
    MeterValue,
    MeterValuesReceived,
    SampledValue,
    StartTransactionReceived,
    StatusNotificationReceived,
    StopTransactionReceived,
)
from tests.session_driver import Driver
from tests.session_model import GRACE_SECONDS, PROBE_SECONDS, Session

IN_CI = settings.default.derandomize
"""The same examples every time. What they find is shown as it was found: shrinking it takes minutes."""
SEARCH_SECONDS_MAX = 3600

pytestmark = [pytest.mark.servers] if IN_CI else [pytest.mark.servers, pytest.mark.timeout(SEARCH_SECONDS_MAX)]

EXAMPLES = int(os.environ.get("VOLTLYNC_SESSION_EXAMPLES", "40"))
STEPS = 30
"""Per example. Together some 2,500 transactions of the database, within the suite's time (docs/session-model.md)."""
PHASES = (Phase.explicit, Phase.reuse, Phase.generate) if IN_CI else tuple(Phase)

NAME = "CP-1"
OUR_REASONS = (DisconnectReason.GATEWAY_STOPPING, DisconnectReason.GATEWAY_LOST)
CONNECTORS = (1, 2)
RATED_W = 7200
GARBAGE_ID = 1936029036
SECONDS = st.sampled_from([0, 1, 4, 5, 6, 30, 61, 130, 179, 180, 181, 299, 300, 301, 600, 899, 900, 901])
AFTER = st.sampled_from([0, 0, 0, 0, 1, 6, 30, 100, 170, 200, 400])
"""Seconds that pass before something happens: most of what goes wrong takes two happenings with time between."""
STATUSES = ("Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Faulted", "Unavailable", "Reserved")
FINAL = ("state", "stop_reason", "stopped_at", "energy_wh", "meter_start_wh", "request_key")


class Outlet:
    """A connector as physics has it: a register, a car, and what was truly delivered to each transaction."""

    def __init__(self) -> None:
        self.register_wh = 1000
        self.power_w = 0
        self.transaction_id: int | None = None
        self.lied = False
        self.rest = 0  # watt-seconds below a Wh


def has_something_to_see(machine) -> bool:
    """A charger speaks mostly while a session is on, and at times of one that has ended."""
    return machine.connected and (bool(machine.active()) or machine.seq % 4 == 0)


def machine_over(driver: Driver):
    """The state machine's class, over one database."""
    run = driver.run

    class Sessions(RuleBasedStateMachine):
        # --- the world ------------------------------------------------------------------------------------------------

        def __init__(self) -> None:
            super().__init__()
            run(driver.reset())
            self.now = 0.0
            self.origin = driver.clock.now()
            self.epoch, self.seq = 0, 0
            self.connected = self.online = False
            self.offline_since = self.connected_at = -1.0
            self.outlets = {number: Outlet() for number in CONNECTORS}
            self.sessions: dict[int, Session] = {}
            self.delivered_wh: dict[int, int] = defaultdict(int)
            self.frozen: dict[int, dict] = {}
            self.decided: dict[str, str] = {}
            self.confirmed: dict[int, int] = {}
            self.told: list = []
            self.keys = itertools.count(1)
            self.lane_seen = 0
            self.booted = (0, 0)
            self.swept: set[int] = set()
            self.held: list | None = None

        @initialize(kind=st.sampled_from(["socket", "type2"]))
        def install(self, kind):
            async def insert():
                now = driver.clock.now()
                station = await driver.admin.fetchval(
                    "INSERT INTO charging.stations (name, created_at, updated_at) VALUES ('S', $1, $1) RETURNING id", now
                )
                await driver.admin.execute(
                    "INSERT INTO charging.chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt,"
                    " password_hash, created_at, updated_at) VALUES ($1, $2, $3, $4, '', '', $5, $5)",
                    *(NAME, station, kind, RATED_W, now),
                )
                await driver.admin.execute(
                    "INSERT INTO charging.tariffs (name, paise_per_kwh, gst_bps, effective_from, created_at)"
                    " VALUES ('day', 1800, 1800, $1, $1)",
                    now - timedelta(days=1),
                )
                await driver.admin.executemany(
                    "INSERT INTO charging.id_tags (id_tag, holder, created_at) VALUES ($1, 'staff', $2)",
                    [(f"STAFF{number}", now) for number in range(STEPS + 1)],
                )

            self.kind = kind
            run(insert())
            self.connect(boot=True)
            self.begin(connector=1, power_w=3600)

        def head(self):
            self.seq += 1
            return {
                "charge_point_id": NAME,
                "epoch": self.epoch,
                "seq": self.seq,
                "received_at": driver.clock.now(),
                "gateway": "gw-1",
            }

        def tell(self, event, *, frame=True):
            """Deliver it, and remember it for being delivered again. A frame proves that its socket stands."""
            if frame and not self.online and self.now > self.offline_since:
                self.online = True
            self.told.append(event)
            if self.held is not None:
                return self.held.append(event)
            return run(driver.deliver(event))

        @contextmanager
        def in_one_batch(self):
            """What is told within is delivered together, in one transaction."""
            self.held = []
            yield
            batch, self.held = self.held, None
            run(driver.deliver(*batch))

        def on(self, connector):
            return next((s for s in self.sessions.values() if s.active and s.connector == connector), None)

        def active(self):
            return [s for s in self.sessions.values() if s.active]

        def confirmed_wh(self, transaction_id):
            return run(driver.admin.fetchval("SELECT confirmed_wh FROM charging.transactions WHERE id = $1", transaction_id))

        # --- time and sockets -----------------------------------------------------------------------------------------

        @rule(seconds=SECONDS)
        def pass_time(self, seconds):
            driver.clock.jump(seconds)
            self.now += seconds
            for outlet in self.outlets.values():
                if outlet.transaction_id is not None:
                    whole, outlet.rest = divmod(outlet.power_w * seconds + outlet.rest, 3600)
                    outlet.register_wh += whole
                    self.delivered_wh[outlet.transaction_id] += whole

        @precondition(lambda self: not self.connected)
        @rule(boot=st.booleans(), after=AFTER)
        def connect(self, boot, after=0):
            self.pass_time(seconds=after)
            self.epoch, self.seq, self.connected, self.online = self.epoch + 1, -1, True, True
            self.connected_at = self.now
            for session in self.active():
                session.returned(self.now)
            self.tell(ChargePointConnected(**self.head()))
            if boot:
                self.boot(register_begins_anew=False)

        @precondition(has_something_to_see)
        @rule(reason=st.sampled_from([DisconnectReason.CLOSED, DisconnectReason.HEARTBEAT_TIMEOUT, *OUR_REASONS]), after=AFTER)
        def drop(self, reason, after=0):
            self.pass_time(seconds=after)
            was_online, self.connected = self.online, False
            event = ChargePointDisconnected(**self.head(), reason=reason)
            self.tell(event, frame=False)
            if was_online:
                self.online, self.offline_since = False, self.now
                for session in self.active():
                    session.drop(
                        self.now, ours=reason in OUR_REASONS, spoke=event.seq > 1 or self.now - self.connected_at >= PROBE_SECONDS
                    )

        @precondition(lambda self: self.connected and self.online)
        @rule()
        def gateway_is_taken_for_lost(self):
            due = DeadlineDue(
                charge_point_id=NAME, kind=DeadlineKind.GATEWAY_LEASE, subject_id=str(self.epoch), due_at=driver.clock.now()
            )
            run(driver.deliver(due))
            self.online, self.offline_since = False, self.now
            for session in self.active():
                session.drop(self.now, ours=True, spoke=False)

        @precondition(has_something_to_see)
        @rule(register_begins_anew=st.booleans(), after=AFTER)
        def boot(self, register_begins_anew, after=0):
            self.pass_time(seconds=after)
            event = BootNotificationReceived(**self.head(), charge_point_vendor="Acme", charge_point_model="One")
            for outlet in self.outlets.values():
                if register_begins_anew:
                    outlet.register_wh = 0
            self.tell(event)
            self.booted = (event.epoch, event.seq)
            for session in self.active():
                session.boot(self.now)

        @precondition(has_something_to_see)
        @rule(
            reason=st.sampled_from([DisconnectReason.CLOSED, DisconnectReason.GATEWAY_STOPPING]),
            seconds=st.sampled_from([2, 61, 179, 181, 899, 900, 901]),
            boot=st.booleans(),
            connector=st.sampled_from(CONNECTORS),
            point=st.sampled_from(["MeterValues", "MeterValues", "GetLastMeterValue", None]),
        )
        def be_away(self, reason, seconds, boot, connector, point):
            """A drop, the time away, the return and what it is asked first as one step: the three resume points."""
            self.drop(reason=reason)
            self.pass_time(seconds=seconds)
            self.connect(boot=boot)
            if point == "MeterValues":
                self.meter_values(connector=connector, named="own", says="the truth")
            elif point is not None:
                self.get_last_meter_value(connector=connector)

        @precondition(has_something_to_see)
        @rule(
            reason=st.sampled_from([DisconnectReason.CLOSED, DisconnectReason.GATEWAY_STOPPING]),
            boots=st.integers(0, 2),
            statuses=st.lists(st.tuples(st.sampled_from(CONNECTORS), st.sampled_from(STATUSES)), max_size=3),
        )
        def be_back_at_once(self, reason, boots, statuses):
            """After an outage a fleet dials in: all that a charger says first comes in one batch."""
            with self.in_one_batch():
                self.drop(reason=reason)
                self.connect(boot=False)
                for _ in range(boots):
                    self.boot(register_begins_anew=False)
                for connector, status in statuses:
                    self.status(connector=connector, status=status)

        @precondition(has_something_to_see)
        @rule(
            times=st.integers(1, 4),
            after=st.sampled_from([1, 6, 100]),
            boot=st.booleans(),
            reads=st.sampled_from([(), CONNECTORS]),
        )
        def keep_dropping(self, times, after, boot, reads):
            """One drop after another, with or without a reading on each connection."""
            for _ in range(times):
                self.drop(reason=DisconnectReason.CLOSED, after=after)
                self.connect(boot=boot)
                for connector in reads:
                    self.meter_values(connector=connector, named="own", says="the truth", after=1)

        @precondition(has_something_to_see)
        @rule(late=st.booleans())
        def supersede(self, late):
            """A newer socket before the older one is known to be gone; its close comes late, and says so or doesn't."""
            older = self.head()
            self.connect(boot=False)
            self.tell(
                ChargePointDisconnected(**older, reason=DisconnectReason.CLOSED if late else DisconnectReason.SUPERSEDED),
                frame=False,
            )

        @precondition(lambda self: self.epoch > 1)
        @rule()
        def an_older_gateway_is_taken_for_lost(self):
            """Its notice waited in the lane while the charger came back elsewhere."""
            due = DeadlineDue(
                charge_point_id=NAME, kind=DeadlineKind.GATEWAY_LEASE, subject_id=str(self.epoch - 1), due_at=driver.clock.now()
            )
            run(driver.deliver(due))

        # --- frames ---------------------------------------------------------------------------------------------------

        @precondition(has_something_to_see)
        @rule(connector=st.sampled_from(CONNECTORS), status=st.sampled_from(STATUSES), after=AFTER)
        def status(self, connector, status, after=0):
            self.pass_time(seconds=after)
            self.tell(StatusNotificationReceived(**self.head(), connector_id=connector, status=status))
            session = self.on(connector)
            if session is not None:
                session.status(status, self.now)

        @precondition(has_something_to_see)
        @rule(status=st.sampled_from(["Available", "Unavailable", "Faulted"]))
        def status_of_the_whole_box(self, status):
            self.tell(StatusNotificationReceived(**self.head(), connector_id=0, status=status))

        @precondition(lambda self: self.connected)
        @rule(
            connector=st.sampled_from(CONNECTORS),
            tag=st.sampled_from(["paid", "paid", "paid", "staff", "stranger", "old"]),
            power_w=st.sampled_from([0, 3600, RATED_W]),
        )
        def start(self, connector, tag, power_w):
            requests = run(driver.rows("start_requests"))
            own = [r for r in requests if r["connector_id"] == connector]
            waiting = [r for r in own if r["state"] == "REQUESTED"]
            request = None
            if tag == "paid" and waiting:
                request = waiting[-1]
            elif tag == "old":
                request = next((r for r in reversed(own) if r["state"] in ("REFUSED", "EXPIRED")), None)
            number = next(self.keys)
            id_tag = request["id_tag"] if request is not None else f"STAFF{number % STEPS}" if tag == "staff" else f"WHO{number}"
            outlet = self.outlets[connector]
            event = StartTransactionReceived(
                **self.head(),
                connector_id=connector,
                id_tag=id_tag,
                meter_start_wh=outlet.register_wh,
                timestamp=driver.clock.now(),
                timestamp_text=f"{driver.clock.now():%Y-%m-%dT%H:%M:%SZ} {number}",
            )
            before = self.on(connector)
            decision = self.tell(event)
            assert decision.transaction_id > 0
            if request is not None:
                in_time = request["state"] == "REQUESTED" and event.received_at <= request["deadline_at"]
                assert (decision.status == "Accepted") is in_time
            if before is not None:
                before.stop("CHARGER")
            outlet.transaction_id = None
            if decision.status == "Accepted":
                assert decision.transaction_id not in self.sessions
                outlet.transaction_id, outlet.power_w, outlet.lied, outlet.rest = decision.transaction_id, power_w, False, 0
                session = Session(decision.transaction_id, connector, self.kind == "socket", self.now)
                session.heard_at = session.energy_at = self.now
                self.sessions[session.id] = session

        @precondition(has_something_to_see)
        @rule(
            connector=st.sampled_from(CONNECTORS),
            named=st.sampled_from(["own", "own", "own", "none", 0, -1, GARBAGE_ID]),
            says=st.sampled_from(["the truth", "the truth", "the truth", "zero", "a spike"]),
            after=AFTER,
        )
        def meter_values(self, connector, named, says, after=0):
            self.pass_time(seconds=after)
            outlet = self.outlets[connector]
            lies = says != "the truth" and not outlet.lied  # a second such reading would be its confirmation
            outlet.lied = lies
            wh = outlet.register_wh if not lies else 0 if says == "zero" else outlet.register_wh * 10 + 10**6
            known = outlet.transaction_id
            reported = {"own": known, "none": None}.get(named, named)
            bound = self.by_garbage() if reported == GARBAGE_ID else self.sessions.get(reported)
            session = bound or self.on(connector)
            event = MeterValuesReceived(
                **self.head(),
                connector_id=connector,
                transaction_id=reported,
                meter_value=(MeterValue(timestamp=driver.clock.now(), sampled_value=(SampledValue(value=str(wh)),)),),
            )
            self.tell(event)
            if session is not None and session.active:
                session.meter_values(self.now, self.confirmed_wh(session.id))

        def by_garbage(self):
            """Whom the charger's own constant id means: the running session that charging bound it to."""
            rows = run(driver.rows("transactions"))
            return next(
                (self.sessions[r["id"]] for r in rows if r["reported_transaction_id"] == GARBAGE_ID and r["state"] != "STOPPED"),
                None,
            )

        @precondition(has_something_to_see)
        @rule(
            connector=st.sampled_from(CONNECTORS),
            named=st.sampled_from(["own", "own", -1, None, GARBAGE_ID, 987654321]),
            meter_stop=st.sampled_from(["the truth", -1, None]),
        )
        def stop(self, connector, named, meter_stop):
            outlet = self.outlets[connector]
            known = outlet.transaction_id
            reported = known if named == "own" else named
            event = StopTransactionReceived(
                **self.head(),
                transaction_id=reported,
                meter_stop_wh=outlet.register_wh if meter_stop == "the truth" else meter_stop,
                timestamp=driver.clock.now(),
                reason="Local",
            )
            ambiguous = reported is None or reported <= 0
            active = self.active()
            session = (active[0] if len(active) == 1 else None) if ambiguous else self.sessions.get(reported)
            if reported == GARBAGE_ID:
                session = self.by_garbage()
            self.tell(event)
            if session is not None:
                if session.active:
                    row = run(driver.admin.fetchrow("SELECT stop_intent FROM charging.transactions WHERE id = $1", session.id))
                    session.stop(row["stop_intent"] or "CHARGER")
                self.outlets[session.connector].transaction_id = None

        @precondition(has_something_to_see)
        @rule(connector=st.sampled_from(CONNECTORS), after=AFTER)
        def get_last_meter_value(self, connector, after=0):
            self.pass_time(seconds=after)
            data = {"connectorId": connector}
            event = DataTransferReceived(**self.head(), vendor_id="VoltLync", message_id_text="GetLastMeterValue", data=data)
            session = self.on(connector)
            answer = self.tell(event)
            # A frame of the very moment in which its gateway was taken for lost may have come before: no sign of life after it.
            sign_of_life = self.online and (event.epoch, event.seq) > self.booted
            expected = session is not None and session.last_value(self.now, sign_of_life=sign_of_life)
            assert answer.status == ("Accepted" if expected else "Rejected")

        # --- people, commands -----------------------------------------------------------------------------------------

        @rule(connector=st.sampled_from(CONNECTORS))
        def pay(self, connector):
            event = StartRequested(
                charge_point_id=NAME,
                request_key=f"qr_payment_{next(self.keys)}",
                connector_id=connector,
                budget_paise=10_000_000,
                platform_fee_paise=0,
                payer_reference="rider_1",
                deadline=driver.clock.now() + timedelta(seconds=120),
            )
            self.told.append(event)
            run(driver.deliver(event))

        @precondition(lambda self: self.connected)
        @rule(connector=st.sampled_from(CONNECTORS), power_w=st.sampled_from([0, 3600, RATED_W]))
        def begin(self, connector, power_w):
            """A payment and its start as one step: most of what there is to see happens in a session."""
            if self.on(connector) is None:
                self.pay(connector=connector)
                self.start(connector=connector, tag="paid", power_w=power_w)

        @rule()
        def give_up(self):
            waiting = [r for r in run(driver.rows("start_requests")) if r["state"] == "REQUESTED"]
            if waiting:
                event = StartCancelRequested(charge_point_id=NAME, request_key=waiting[0]["request_key"], actor="rider")
                self.told.append(event)
                run(driver.deliver(event))

        @precondition(has_something_to_see)
        @rule(outcome=st.sampled_from([*["Accepted"] * 3, "Rejected", CommandOutcome.NOT_SENT, CommandOutcome.CONNECTION_LOST]))
        def commands_end(self, outcome):
            for command in run(driver.rows("commands")):
                if command["status"] != "DISPATCHED":
                    continue
                said = {} if isinstance(outcome, CommandOutcome) else {"response": {"status": outcome}}
                event = CommandCompleted(
                    **self.head(),
                    command_id=f"{command['id']}.{command['attempts']}",
                    action=command["action"],
                    outcome=outcome if isinstance(outcome, CommandOutcome) else CommandOutcome.ANSWERED,
                    **said,
                )
                self.told.append(event)
                run(driver.deliver(event))

        # --- sweeps, repetition ---------------------------------------------------------------------------------------

        @rule(stale=st.booleans(), twice=st.booleans(), after=AFTER)
        def sweep(self, stale, twice, after=0):
            self.pass_time(seconds=after)
            active = self.active()
            run(self._sweep(stale, twice))
            for session in active:
                session.sweep(self.now)
            self.swept = {session.id for session in active}

        async def _sweep(self, stale, twice):
            if stale:
                await sweep_stale(driver.app)
            await sweep_deadlines(driver.app)
            rows = await driver.admin.fetch(
                "SELECT id, type, body FROM charging.outbox WHERE exchange = 'charging.lanes' AND id > $1 ORDER BY id",
                self.lane_seen,
            )
            for row in rows:
                self.lane_seen = row["id"]
                event = LANE_MODELS[row["type"]].model_validate_json(row["body"])
                for _ in range(2 if twice else 1):
                    await driver.deliver(event)

        @precondition(lambda self: self.told)
        @rule(data=st.data())
        def delivered_again(self, data):
            """The broker died: what was handled comes again, in order, from anywhere. Nothing changes."""
            first = data.draw(st.integers(0, len(self.told) - 1))
            last = data.draw(st.integers(first, min(first + 5, len(self.told) - 1)))
            before = run(self._everything())
            run(driver.deliver(*self.told[first : last + 1]))
            after = run(self._everything())
            assert before == after, (self.told[first : last + 1], sorted(before - after), sorted(after - before))

        async def _everything(self):
            tables = ("transactions", "start_requests", "meter_values", "connectors", "stop_attempts", "orphans")
            return {f"{table}: {row}" for table in tables for row in await driver.admin.fetch(f"TABLE charging.{table}")}

        # --- what always holds ----------------------------------------------------------------------------------------

        @invariant()
        def charging_is_as_the_model_has_it(self):
            if not hasattr(self, "kind"):
                return
            rows = {row["id"]: row for row in run(driver.rows("transactions"))}
            swept, self.swept = self.swept, set()
            for session in self.sessions.values():
                row = rows[session.id]
                if session.id in swept and row["state"] == "STOPPED" and row["stop_reason"] == row["stop_intent"]:
                    # A stop that we wanted and that nothing answered ends a session too, also where another deadline fell due
                    # in the same sweep: escalation is another model's matter.
                    assert row["stop_attempt"] > 0 or not session.active
                    session.stop(row["stop_reason"])
                    session.stop_reason = row["stop_reason"]
                if not session.active and row["stop_intent"] is not None and session.stop_reason == "CONNECTOR_UNAVAILABLE":
                    session.stop_reason = row["stop_reason"] if row["stop_reason"] == row["stop_intent"] else session.stop_reason
                assert (row["state"], row["stop_reason"]) == (session.state, session.stop_reason), session
                session.confirmed_wh = row["confirmed_wh"] if session.active else session.confirmed_wh
                suspended = row["state"] == "SUSPENDED"
                assert (row["suspension_deadline_at"] is not None) is suspended
                assert (row["suspension_cause"] is not None) is suspended
                if suspended:
                    assert row["suspension_cause"] == session.cause, session
                    assert (row["suspension_deadline_at"] - self.origin).total_seconds() == pytest.approx(session.ends_at)
                ends = row["availability_deadline_at"]
                assert (ends is None) is (session.free_at is None), session
                if ends is not None:
                    assert (ends - self.origin).total_seconds() == pytest.approx(session.free_at), session
                    assert session.free_at <= self.now + GRACE_SECONDS
            self._energy(rows)
            self._finals(rows)

        def _energy(self, rows):
            for number, row in rows.items():
                assert row["confirmed_wh"] >= self.confirmed.get(number, 0), "confirmed energy never shrinks"
                self.confirmed[number] = row["confirmed_wh"]
                if row["state"] == "STOPPED":
                    assert 0 <= row["energy_wh"] <= self.delivered_wh[number], "nobody pays for more than was delivered"

        def _finals(self, rows):
            active = [(row["connector_id"]) for row in rows.values() if row["state"] != "STOPPED"]
            assert len(active) == len(set(active)), "one active transaction per connector"
            for number, row in rows.items():
                if row["state"] == "STOPPED":
                    final = {column: row[column] for column in FINAL}
                    assert self.frozen.setdefault(number, final) == final, "STOPPED never changes"
            for request in run(driver.rows("start_requests")):
                key, state = request["request_key"], request["state"]
                if state != "REQUESTED":
                    assert self.decided.setdefault(key, state) == state, "decided once"
                    assert request["judge_at"] is None

        def teardown(self):
            if hasattr(self, "kind"):
                run(self._announcements())

        async def _announcements(self):
            said = defaultdict(list)
            for row in await driver.admin.fetch("SELECT type, body FROM charging.outbox ORDER BY id"):
                said[row["type"]].append(orjson.loads(row["body"]))
            rows = await driver.rows("transactions")
            stopped = [event["transaction_id"] for event in said["charging.transaction_stopped.v1"]]
            ended = [row["id"] for row in rows if row["state"] == "STOPPED" and row["stop_reason"] != "START_REFUSED"]
            assert sorted(stopped) == ended, "transaction_stopped is said once of each, and of no refused start"
            steps = defaultdict(list)
            for audit in said["charging.audit_recorded.v1"]:
                after, before = audit["after"] or {}, audit["before"] or {}
                if audit["entity"] == "transaction" and "state" in after:
                    steps[int(audit["entity_id"])].append((before.get("state"), after["state"]))
            for session in self.sessions.values():
                walked = list(itertools.pairwise([None, *session.history]))
                assert steps[session.id] == walked, "each step is audited, with what was before"
            for request in await driver.rows("start_requests"):
                key, outcome = request["request_key"], request["state"]
                told = {
                    "STARTED": [e for e in said["charging.transaction_started.v1"] if e["request_key"] == key],
                    "REFUSED": [e for e in said["charging.start_refused.v1"] if e["request_key"] == key],
                    "EXPIRED": [e for e in said["charging.start_expired.v1"] if e["request_key"] == key],
                }
                assert {state: len(events) for state, events in told.items()} == {
                    state: int(state == outcome) for state in told
                }, "each start is decided once, and said once"

    return Sessions


def test_sessions_do_what_the_model_does(database: tuple[str, str], servers) -> None:
    admin_dsn, dsn = database
    driver = Driver(dsn, admin_dsn, servers.redis.url)
    try:
        run_state_machine_as_test(
            machine_over(driver),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                phases=PHASES,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        driver.close()
