"""A batch of news costs a handful of statements however many chargers say it, and leaves what its events leave one by one.

Over the lane's own handler and a real PostgreSQL, without the broker between. What a run wrote is looked at from inside its
transaction and rolled back: every run begins with the same chargers.
"""

import itertools
import json
from collections import defaultdict
from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from charging.subscriptions import LANE_MODELS, handle_batch
from chassis.database import UnitOfWork
from chassis.messaging import Received
from contracts.charging import CommandRequested, DeadlineDue, DeadlineKind
from contracts.ocpp_gateway import (
    BootNotificationReceived,
    ChargePointConnected,
    ChargePointDisconnected,
    DisconnectReason,
    MeterValue,
    MeterValuesReceived,
    SampledValue,
    StartTransactionReceived,
    StatusNotificationReceived,
    StopTransactionReceived,
)
from contracts.topology import address_from
from tests.session_driver import Driver

pytestmark = pytest.mark.servers

EXAMPLES = 60
"""Of random stories, each handled twice: some 6 s."""

STATEMENTS_MAX = 20
"""For a batch of quiet chargers' connects, boots, statuses and disconnects, BEGIN included."""

QUIET = ("QUIET-1", "QUIET-2")
STANDING = {
    "SESSION": "a session runs",
    "SOCKET": "a session runs on a socket, whose Available is no end",
    "FLAPPING": "a session is suspended after two drops without energy",
    "STOPPING": "a session is to stop, and the charger is away",
    "WAITING": "commands wait for it: an operator's, an expired one, configuration's",
    "AWAITED": "commands await a boot and a status",
    "HANDOVER": "it is to show that it has its new password",
    "FAULTY": "errors of two connectors are open",
    "LISTED": "its local list is in step",
    "UNTAUGHT": "its local list failed",
    "LATE": "energy flows after a session's end",
}
CHARGERS = (*QUIET, *STANDING, "NOBODY")
"""NOBODY is not registered."""

REGISTER_WH = 1000
EPOCH = 1_000
"""Of the connections that were made before."""


@pytest.fixture(scope="module")
def driver(database, servers):
    """The handlers over a database in which the chargers stand as their names say."""
    admin_dsn, dsn = database
    driver = Driver(dsn, admin_dsn, servers.redis.url)
    try:
        driver.run(stand(driver))
        yield driver
    finally:
        driver.run(driver.reset())
        driver.close()


def head(driver, name, epoch, seq, *, seconds=0.0):
    """Identity and receive time of an event, `seconds` after the driver's clock."""
    return {
        "charge_point_id": name,
        "epoch": epoch,
        "seq": seq,
        "received_at": driver.clock.now() + timedelta(seconds=seconds),
        "gateway": f"gw-{epoch % 2}",
    }


async def stand(driver):
    """Make the chargers, and what is known of each."""
    await driver.reset()
    admin, now = driver.admin, driver.clock.now()
    await admin.execute("SET search_path TO charging")
    station = await admin.fetchval("INSERT INTO stations (name, created_at, updated_at) VALUES ('S', $1, $1) RETURNING id", now)
    await admin.execute(
        "INSERT INTO tariffs (name, paise_per_kwh, gst_bps, effective_from, created_at) VALUES ('day', 1800, 1800, $1, $1)",
        now - timedelta(days=1),
    )
    ids = {}
    for name in (*QUIET, *STANDING):
        ids[name] = await admin.fetchval(
            "INSERT INTO chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt, password_hash,"
            " created_at, updated_at) VALUES ($1, $2, $3, 7400, '', '', $4, $4) RETURNING id",
            *(name, station, "socket" if name == "SOCKET" else "type2", now),
        )
        await admin.execute("INSERT INTO id_tags (id_tag, holder, created_at) VALUES ($1, 'staff', $2)", f"TAG-{name}", now)
        if name in QUIET:
            continue
        await driver.deliver(
            ChargePointConnected(**head(driver, name, EPOCH, 0)),
            BootNotificationReceived(**head(driver, name, EPOCH, 1), charge_point_vendor="Acme", charge_point_model="One"),
            StatusNotificationReceived(**head(driver, name, EPOCH, 2), connector_id=1, status="Preparing"),
        )
    transactions = {}
    for name in ("SESSION", "SOCKET", "FLAPPING", "STOPPING"):
        start = StartTransactionReceived(
            **head(driver, name, EPOCH, 3),
            connector_id=1,
            id_tag=f"TAG-{name}",
            meter_start_wh=REGISTER_WH,
            timestamp=now,
            timestamp_text="then",
        )
        transactions[name] = (await driver.deliver(start)).transaction_id
    await admin.execute(
        "UPDATE transactions SET state = 'SUSPENDED', suspension_cause = 'DISCONNECT', suspension_deadline_at = $2,"
        " disconnect_count = 2 WHERE id = $1",
        *(transactions["FLAPPING"], now + timedelta(seconds=180)),
    )
    await admin.execute("UPDATE transactions SET stop_intent = 'OPERATOR' WHERE id = $1", transactions["STOPPING"])
    await admin.execute(
        "UPDATE chargers SET online = false, offline_since = $1 WHERE charge_point_id = ANY($2)", now, ["STOPPING", "WAITING"]
    )
    for name, action, payload, more in (
        ("WAITING", "Reset", {"type": "Soft"}, {}),
        ("WAITING", "ClearCache", {}, {"deadline_at": now}),
        ("WAITING", "ChangeConfiguration", {"key": "A", "value": "1"}, {"trigger": "configuration"}),
        ("WAITING", "TriggerMessage", {"requestedMessage": "Heartbeat"}, {}),
        ("AWAITED", "Reset", {"type": "Soft"}, {"status": "ANSWERED", "effect": "AWAITED"}),
        ("AWAITED", "ChangeAvailability", {"connectorId": 1, "type": "Operative"}, {"status": "ANSWERED", "effect": "AWAITED"}),
        ("AWAITED", "Reset", {"type": "Hard"}, {}),
        (
            "HANDOVER",
            "ChangeConfiguration",
            {"key": "AuthorizationKey", "value": "***"},
            {"status": "ANSWERED", "effect": "AWAITED", "trigger": "credentials"},
        ),
    ):
        values = {
            "charger_id": ids[name],
            "charge_point_id": name,
            "action": action,
            "payload": json.dumps(payload),
            "status": "PENDING",
            "actor": "staff|1",
            "trigger": "api",
            "deadline_at": now + timedelta(hours=1),
            "timeout_seconds": 30,
            "created_at": now,
        } | more
        if values["status"] != "PENDING":
            values |= {"epoch": EPOCH, "completed_at": now, "dispatched_at": now}
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await admin.execute(f"INSERT INTO commands ({', '.join(values)}) VALUES ({places})", *values.values())  # noqa: S608
    await admin.execute(
        "UPDATE chargers SET previous_password_salt = 's', previous_password_hash = 'h' WHERE charge_point_id = 'HANDOVER'"
    )
    await driver.deliver(
        *(
            StatusNotificationReceived(
                **head(driver, "FAULTY", EPOCH, 3 + n), connector_id=n, status="Faulted", error_code="GroundFailure"
            )
            for n in (1, 2)
        )
    )
    await admin.executemany(
        "INSERT INTO local_lists (charger_id, charge_point_id, state, verify, version) VALUES ($1, $2, $3, false, 1)",
        [(ids["LISTED"], "LISTED", "IDLE"), (ids["UNTAUGHT"], "UNTAUGHT", "FAILED")],
    )
    await admin.execute("UPDATE connectors SET late_transaction_id = 77 WHERE charger_id = $1", ids["LATE"])
    await admin.execute("TRUNCATE outbox")


def received(driver, event, number):
    """As the lane's consumer has it; the trace says which event it is."""
    data = orjson.loads(event.model_dump_json())
    result = Received(
        type=event.TYPE,
        message_id=getattr(event, "message_id", None) or f"m{number}",
        data=data,
        occurred_at=driver.clock.now(),
        queue="lane",
        traceparent=f"00-{number + 1:032x}-{1:016x}-01",
    )
    result.model = LANE_MODELS[event.TYPE].model_validate(data)
    return result


async def left_by(driver, batches):
    """What these batches leave behind, each handled on its own; undone afterwards."""
    database = driver.app.database
    async with database.engine.connect() as connection, connection.begin() as transaction:
        for batch in batches:
            uow = UnitOfWork(
                connection, now=driver.clock.now(), ids=driver.app.ids, address_of=address_from("charging"), read_only=False
            )
            await handle_batch(driver.app, uow, batch)
            await uow.flush(database.outbox_channel)
        left = await snapshot(connection)
        await transaction.rollback()
    return left


# --- what is left -----------------------------------------------------------------------------------------------------

TABLES = (
    "chargers",
    "connectors",
    "transactions",
    "commands",
    "stop_attempts",
    "charger_errors",
    "local_lists",
    "meter_values",
    "orphans",
    "start_requests",
    "configurations",
)
EFFECT = {"effect": None, "effect_evidence": None, "effect_at": None}
"""Not compared of what a story hands over: it leaves with the batch's commit, so nothing in the batch is taken for its effect."""

REFERENCES = {"command_id": "commands", "error_id": "charger_errors", "orphan_id": "orphans"}


async def snapshot(connection):
    """All rows and messages, ids named after their charger: between chargers order means nothing."""
    rows = {
        table: (await connection.execute(sa.select(sa.func.to_jsonb(sa.text("t"))).select_from(sa.text(f"charging.{table} t"))))
        .scalars()
        .all()
        for table in TABLES
    }
    rows["commands"] = [row | EFFECT if row["attempts"] > 0 else row for row in rows["commands"]]
    names = {}
    for table in set(REFERENCES.values()):
        counts = defaultdict(itertools.count)
        for row in sorted(rows[table], key=lambda row: row["id"]):
            names[table, row["id"]] = f"{row['charger_id']}/{next(counts[row['charger_id']])}"

    def named(value):
        if isinstance(value, list):
            return [named(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: refer(REFERENCES[key], item) if key in REFERENCES else named(item) for key, item in value.items()}

    def refer(table, value):
        if value is None:
            return None
        number, dot, attempt = str(value).partition(".")  # a command's name on the wire has its attempt
        return names[table, int(number)] + dot + attempt

    left = {}
    for table, found in rows.items():
        own = [named(row) | ({"id": names[table, row["id"]]} if (table, row.get("id")) in names else {}) for row in found]
        left[table] = sorted(own, key=lambda row: json.dumps(row, sort_keys=True))
    messages = await connection.execute(
        sa.text("SELECT *, convert_from(body, 'UTF8')::jsonb AS said FROM charging.outbox ORDER BY id")
    )
    left["outbox"] = defaultdict(list)
    for row in messages:
        kind, _, rest = row.message_id.partition("/")
        ours = kind if rest else None  # others are random
        if kind == "command":
            number, _, attempt = rest.partition("/")
            ours = f"{kind}/{refer('commands', number)}/{attempt}"
        trace = (row.traceparent or "-").split("-")[1]  # of the event, which MeterValues have not; its span is random
        address = (row.exchange, row.routing_key, row.mandatory)
        left["outbox"][row.subject].append((row.type, ours, address, row.subject_version, trace, named(row.said)))
    return left


# --- statements -------------------------------------------------------------------------------------------------------


class Statements:
    """Every statement of a database: those by SQLAlchemy's cursor, and those past it."""

    def __init__(self, database):
        self.seen = []
        sa.event.listen(database.engine.sync_engine, "before_cursor_execute", self._by_cursor)
        sa.event.listen(database.engine.sync_engine, "checkout", self._checked_out)

    def _by_cursor(self, _connection, _cursor, statement, *_):
        self.seen.append(statement)

    def _checked_out(self, dbapi_connection, *_):
        # A statement that SQLAlchemy prepares is not told here: none is counted twice.
        dbapi_connection.driver_connection.add_query_logger(self._by_driver)

    def _by_driver(self, query):
        self.seen.append(query.query)


def visit(driver, names, epoch):
    """All of these connect, boot, report and leave, each at once with the others."""
    said = [ChargePointConnected(**head(driver, name, epoch, 0)) for name in names]
    for name in names:
        boot = head(driver, name, epoch, 1)
        said.append(BootNotificationReceived(**boot, charge_point_vendor="Acme", charge_point_model="One"))
        for number in (0, 1, 2):
            status = head(driver, name, epoch, 2 + number)
            said.append(StatusNotificationReceived(**status, connector_id=number, status="Available"))
    said += (
        ChargePointDisconnected(**head(driver, name, epoch, 5, seconds=60), reason=DisconnectReason.CLOSED) for name in names
    )
    return [received(driver, event, number) for number, event in enumerate(said)]


def test_statements_do_not_grow_with_the_fleet(driver):
    fleet = [f"FLEET-{number:03d}" for number in range(50)]
    driver.run(
        driver.admin.execute(
            "INSERT INTO chargers (charge_point_id, station_id, connector_kind, rated_power_w, password_salt, password_hash,"
            " created_at, updated_at) SELECT u.name, (SELECT id FROM stations), 'type2', 7400, '', '', $2, $2"
            " FROM unnest($1::text[]) u(name)",
            *(fleet, driver.clock.now()),
        )
    )

    async def counted(names, epoch):
        async with driver.app.database.transaction() as uow:
            statements.seen.clear()
            await handle_batch(driver.app, uow, visit(driver, names, epoch))
            seen = list(statements.seen)
        left = await driver.admin.fetchval(
            "SELECT count(*) FROM chargers c WHERE epoch = $1 AND boot_epoch = $1 AND NOT online AND vendor = 'Acme'"
            " AND 3 = (SELECT count(*) FROM connectors WHERE charger_id = c.id AND status = 'Available' AND epoch = $1)",
            epoch,
        )
        assert left == len(names)
        return seen

    statements = Statements(driver.app.database)
    first = driver.run(counted(fleet[:1], EPOCH))
    all_of_them = driver.run(counted(fleet, EPOCH + 1))
    assert all_of_them == first
    assert any("connectors" in statement for statement in first), "those past SQLAlchemy are seen"
    assert len(first) <= STATEMENTS_MAX, first


# --- a batch, and its events one by one -------------------------------------------------------------------------------

AFTER_SECONDS = st.sampled_from([0, 0, 1, 5, 61, 200, 901])
MAKES = (("Acme", "One", "1.0"), ("Acme", "One", "2.0"), ("FoxESS", "A022KP1", "2.0.1"), ("", "", None))
"""Of the third it is known that it wants its sockets dropped without a close frame: gateways are told."""
REASONS = (DisconnectReason.CLOSED, DisconnectReason.CLOSED, DisconnectReason.GATEWAY_STOPPING, DisconnectReason.SUPERSEDED)
STATUSES = ("Available", "Preparing", "Charging", "Faulted", "Unavailable")
ERRORS = ("NoError", "NoError", "NoError", "GroundFailure", "OtherError")

HAPPENING = st.one_of(
    st.tuples(st.just("connect"), st.booleans()),
    st.tuples(st.just("connect"), st.booleans()),
    st.tuples(st.just("boot"), st.sampled_from(MAKES)),
    st.tuples(st.just("boot"), st.sampled_from(MAKES)),
    st.tuples(st.just("disconnect"), st.sampled_from(REASONS)),
    st.tuples(st.just("disconnect"), st.sampled_from(REASONS)),
    st.tuples(st.just("status"), st.tuples(st.integers(0, 2), st.sampled_from(STATUSES), st.sampled_from(ERRORS))),
    st.tuples(st.just("status"), st.tuples(st.integers(0, 2), st.sampled_from(STATUSES), st.sampled_from(ERRORS))),
    st.tuples(st.just("meter values"), st.integers(0, 1)),
    st.tuples(st.just("stop"), st.just(None)),
    st.tuples(st.just("commands are wished for"), st.just(None)),
    st.tuples(st.just("gateway is lost"), st.just(None)),
    st.tuples(st.just("said again"), st.integers(0, 30)),
)


@st.composite
def stories(draw):
    """What a few chargers do, in turn: (who, seconds after the last of all, what)."""
    names = draw(st.lists(st.sampled_from(CHARGERS), min_size=1, max_size=4, unique=True))
    return draw(st.lists(st.tuples(st.sampled_from(names), AFTER_SECONDS, HAPPENING), min_size=1, max_size=24))


def told(driver, story):
    """A story's events."""
    epochs = {name: 0 if name in (*QUIET, "NOBODY") else EPOCH for name in CHARGERS}
    seqs = dict.fromkeys(CHARGERS, 9)
    said = defaultdict(list)
    last = {}
    events = []
    seconds = 0
    for name, after, (what, how) in story:
        seconds += after
        if what == "connect":
            epochs[name] += 1
            seqs[name] = -1
        seqs[name] += 1
        at = head(driver, name, epochs[name], seqs[name], seconds=seconds)
        if what == "connect":
            event = ChargePointConnected(**at, previous_password=how, password_version=1)
        elif what == "boot":
            vendor, model, firmware = how
            event = BootNotificationReceived(
                **at, charge_point_vendor=vendor, charge_point_model=model, firmware_version=firmware, iccid=str(seconds)
            )
        elif what == "disconnect":
            event = ChargePointDisconnected(**at, reason=how)
        elif what == "status":
            number, status, error = how
            event = StatusNotificationReceived(
                **at, connector_id=number, status=status, error_code=error, timestamp=at["received_at"], info=str(seconds)
            )
        elif what == "meter values":
            sample = SampledValue(value=str(REGISTER_WH))  # that nothing flows is enough of a sign of life
            values = (MeterValue(timestamp=at["received_at"], sampled_value=(sample,)),)
            event = MeterValuesReceived(**at, connector_id=how, meter_value=values)
        elif what == "stop":
            event = StopTransactionReceived(
                **at, transaction_id=None, meter_stop_wh=REGISTER_WH, timestamp=at["received_at"], reason="Local"
            )
        elif what == "commands are wished for":
            event = CommandRequested(charge_point_id=name, command_id=str(driver.waiting_command))
        elif what == "gateway is lost":
            event = DeadlineDue(
                charge_point_id=name,
                kind=DeadlineKind.GATEWAY_LEASE,
                subject_id=str(epochs[name]),
                due_at=at["received_at"],
            )
        elif said[name]:
            event = said[name][how % len(said[name])]
        else:
            continue
        if isinstance(event, MeterValuesReceived) and isinstance(last.get(name), MeterValuesReceived):
            continue  # neighbours: how those of a batch are taken together is no matter of this test
        last[name] = event
        if what != "commands are wished for":
            said[name].append(event)
        events.append(event)
    return [received(driver, event, number) for number, event in enumerate(events)]


def connect_and(name, *happenings):
    """A story of one charger without pauses."""
    return [(name, 0, happening) for happening in (("connect", False), *happenings)]


BOOT, AS_ANOTHER = ("boot", MAKES[0]), ("boot", MAKES[2])
GONE = ("disconnect", DisconnectReason.CLOSED)
FREE, SERVING = ("status", (1, "Available", "NoError")), ("status", (1, "Charging", "NoError"))


# Not shrunk: a find is short enough to be read, and shrinking it takes minutes.
@settings(max_examples=EXAMPLES, phases=(Phase.explicit, Phase.generate))
@given(stories())
@example([step for name in CHARGERS for step in connect_and(name, BOOT, FREE, GONE)])
@example(connect_and("WAITING", GONE, ("connect", False), BOOT))
@example([("STOPPING", 0, BOOT), ("STOPPING", 0, GONE), *connect_and("STOPPING", FREE, GONE)])
@example([*connect_and("FLAPPING", FREE), ("FLAPPING", 61, GONE), *connect_and("FLAPPING", BOOT)])
@example(connect_and("QUIET-1", BOOT, AS_ANOTHER, ("said again", 1)))
@example(connect_and("QUIET-1", FREE, SERVING, FREE, ("said again", 2)))
@example(connect_and("HANDOVER", AS_ANOTHER, BOOT, AS_ANOTHER))
@example([("SESSION", 901, BOOT), *connect_and("SESSION", BOOT, ("status", (1, "Faulted", "GroundFailure")), GONE)])
@example(connect_and("AWAITED", ("status", (1, "Faulted", "OtherError")), BOOT, FREE))
@example(connect_and("FAULTY", FREE, ("status", (1, "Faulted", "OtherError")), FREE, ("status", (2, "Available", "NoError"))))
def test_a_batch_leaves_what_its_events_leave_one_by_one(driver, story):
    async def compare():
        driver.waiting_command = await driver.admin.fetchval(
            "SELECT id FROM commands WHERE charge_point_id = 'WAITING' AND action = 'TriggerMessage'"
        )
        events = told(driver, story)
        at_once = await left_by(driver, [events])
        one_by_one = await left_by(driver, [[event] for event in events])
        for what, left in one_by_one.items():
            assert at_once[what] == left, what

    driver.run(compare())
