"""From the bill to the franchisee's bank, told as diaries."""

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.runtime import SystemIds
from contracts.settlement import LedgerEntryChanged, LedgerEntryCreated
from settlement.app import create_app

from .conftest import Build, World


async def test_a_session_is_booked_transferred_and_settled_to_the_paisa(world: World) -> None:
    # 10:00 A franchisee is entered, linked at Razorpay and activated.
    franchisee_id = await world.franchisee()
    account = await world.account_of(franchisee_id)

    # A session of 100 rupees was billed: 59.99 energy, 10.80 GST, 2.36 fee, 26.85 back. Commission 10 % of 59.99, TDS 0.1 %.
    bill = world.bill(franchisee_id)
    await world.publish(bill)
    await world.settle()

    entry = await world.entry(bill)
    assert (entry["commission_paise"], entry["tds_paise"], entry["payout_paise"]) == (600, 6, 5393)
    assert entry["status"] == "TRANSFERRED"
    assert world.sandbox.balances()[account] == 5393
    [sent] = world.sandbox.requests("POST", "/v1/transfers")
    assert sent.idempotency_key == f"txn_{bill.transaction_id}"
    assert sent.body["amount"] == 5393
    assert sent.body["account"] == account

    # Two days later Razorpay settles it to the bank, and says so without a list of transfers.
    [settlement] = world.sandbox.settle(account)
    await world.settle()

    entry = await world.entry(bill)
    # 0.25 % of 53.93 is 13 paise, and 18 % GST of it in two halves of 1 paisa: what the sandbox took on top.
    transfer = next(iter(world.sandbox.state.transfers.values()))
    assert entry["status"] == "SETTLED"
    assert entry["transfer_fee_paise"] == transfer.fees == 15
    assert entry["settlement_id"] == settlement["id"]
    assert entry["utr"] == settlement["utr"]
    [created] = await world.said(LedgerEntryCreated)
    assert (created.gross_paise, created.payout_paise) == (10_000, 5393)
    changes = await world.said(LedgerEntryChanged)
    assert [change.status for change in changes] == ["TRANSFERRING", "TRANSFERRED", "SETTLED"]
    assert [change.subject_version for change in changes] == [1, 2, 3]
    assert (changes[-1].utr, changes[-1].transfer_fee_paise) == (settlement["utr"], 15)
    assert await world.dead() == 0


async def test_two_replicas_on_the_same_rows_pay_everything_once(world: World) -> None:
    franchisee_id = await world.franchisee()
    app = world.service.app
    # A second process over the same schema: its workers and sweeps compete with the first one's for every row.
    twin = world.twin = create_app(app.settings.model_copy(update={"internal_port": 0}), clock=world.clock, ids=SystemIds())
    await app.payouts.stop()
    bills = [world.bill(franchisee_id, energy_wh=wh) for wh in [*range(1000, 3000, 100), 20, 30, 40, 50]]
    for bill in bills:
        await world.publish(bill)
    await world.settle()
    await twin.start()
    await app.payouts.start()
    for worker in (app.payouts, twin.app.payouts):
        worker.wake_all()
    await world.settle()
    await twin.stop()
    sent = world.sandbox.requests("POST", "/v1/transfers")
    assert len(sent) == len({request.idempotency_key for request in sent}) == len(world.sandbox.state.transfers)
    rows = await world.rows("SELECT payout_paise, status, hold_kind FROM ledger_entries")
    assert len(rows) == len(bills)
    paid = sum(row["payout_paise"] for row in rows if row["status"] == "TRANSFERRED")
    assert world.sandbox.balances()[await world.account_of(franchisee_id)] == paid
    assert {row["hold_kind"] for row in rows if row["status"] != "TRANSFERRED"} <= {"BELOW_MINIMUM"}


async def test_the_transfer_is_part_of_the_sessions_trace(build: Build) -> None:
    spans = InMemorySpanExporter()
    world = await build(spans=spans)
    bill = world.bill(await world.franchisee())
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with world.service.app.telemetry.span("payments.bill", traceparent=f"00-{trace_id}-b7ad6b7169203331-01"):
        await world.publish(bill)
    await world.settle()
    world.sandbox.settle()
    await world.settle()
    [called] = [span for span in spans.get_finished_spans() if span.name == "razorpay.create_transfer"]
    assert f"{called.context.trace_id:032x}" == trace_id
    traced = await world.rows(
        "SELECT traceparent FROM outbox WHERE type IN ($1, $2)", LedgerEntryCreated.TYPE, LedgerEntryChanged.TYPE
    )
    assert len(traced) == 4
    assert {row["traceparent"].split("-")[1] for row in traced} == {trace_id}
