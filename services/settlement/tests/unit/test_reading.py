"""What Razorpay's words are read as, field by field: each has a value of its own here, so that none can stand for another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from settlement.domain.books import Journal, OwnSettled, PaymentGivenBack, Posting, fee_parts, reversal_of
from settlement.domain.due import backoff_seconds, later
from settlement.domain.franchisee import KycEvent, Standing, Terms, read_kyc_event, standing, terms_in_force
from settlement.domain.ledger_entry import EntryStatus, step
from settlement.domain.settlement_event import SettlementSeen, observed_in_settlement, read_settlement
from settlement.domain.transfer import Observed, TransferStatus, advance

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TRANSFER: dict[str, Any] = {
    "id": "trf_1",
    "status": "processed",
    "amount": 1524,
    "fees": 5,
    "fee": 6,
    "tax": 1,
    "notes": {"key": "txn_9", "environment": "test"},
    "recipient_settlement_id": None,
    "error": {"code": "BAD", "description": "It was bad."},
}
SEEN = Observed(
    razorpay_transfer_id="trf_1",
    status=TransferStatus.PROCESSED,
    amount_paise=1524,
    key="txn_9",
    environment="test",
    fee_paise=5,
    tax_paise=1,
    razorpay_settlement_id=None,
    error="It was bad.",
)


def read(**changes: Any) -> Observed:
    return Observed.from_entity({**TRANSFER, **changes})


def test_a_transfer_is_read_whole() -> None:
    assert read() == SEEN
    assert Observed.from_entity({"id": "trf_1"}) == Observed("trf_1", TransferStatus.ACCEPTED)
    assert Observed.from_entity({"id": "trf_1", "fee": 6, "tax": True}) == Observed("trf_1", TransferStatus.ACCEPTED, fee_paise=6)
    assert Observed.from_entity({"id": "trf_1", "transfer_status": "failed"}).status is TransferStatus.FAILED
    assert read(error={"code": "BAD"}).error == "BAD"
    assert read(error=[]).error is read(error={"code": ""}).error is None
    assert (read(notes=[]).key, read(notes={"key": ""}).key) == (None, None)
    assert (read(amount="1524").amount_paise, read(amount=True).amount_paise) == (None, None)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "created"}, TransferStatus.ACCEPTED),
        ({"status": "failed"}, TransferStatus.FAILED),
        ({"status": "reversed"}, TransferStatus.PROCESSED),
        ({"status": "partially_reversed"}, TransferStatus.PROCESSED),
        ({"settlement_status": "settled"}, TransferStatus.SETTLED),
        ({"settlement_status": "pending"}, TransferStatus.PROCESSED),
        ({"recipient_settlement_id": "setl_1"}, TransferStatus.SETTLED),
        # What failed is in no settlement, whatever stands there.
        ({"status": "failed", "settlement_status": "settled"}, TransferStatus.FAILED),
        ({"status": "failed", "recipient_settlement_id": "setl_1"}, TransferStatus.FAILED),
    ],
)
def test_where_a_transfer_stands(changes: dict[str, Any], status: TransferStatus) -> None:
    assert read(**changes).status is status


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        ("CLAIMED", "ACCEPTED", "ACCEPTED"),
        ("UNKNOWN", "PROCESSED", "PROCESSED"),
        ("ACCEPTED", "FAILED", "FAILED"),
        ("FAILED", "ACCEPTED", "FAILED"),
        # Money that left can't be called back by a late word.
        ("FAILED", "PROCESSED", "PROCESSED"),
        ("PROCESSED", "FAILED", "PROCESSED"),
        ("PROCESSED", "SETTLED", "SETTLED"),
        ("SETTLED", "FAILED", "SETTLED"),
    ],
)
def test_words_move_a_transfer_on(before: str, seen: str, after: str) -> None:
    assert advance(TransferStatus(before), TransferStatus(seen)) is TransferStatus(after)


def test_of_equal_rank_the_first_word_stays() -> None:
    assert advance(TransferStatus.WAITING, TransferStatus.UNKNOWN) is TransferStatus.WAITING
    assert advance(TransferStatus.CLAIMED, TransferStatus.WAITING) is TransferStatus.CLAIMED


def test_a_settlement_is_read_whole() -> None:
    entity = {"id": "setl_1", "amount": 7, "fees": 2, "tax": 1, "utr": "U1", "status": "created"}
    assert read_settlement({"settlement": {"entity": entity}}) == SettlementSeen("setl_1", 7, 2, 1, "U1", "created", None)
    assert read_settlement({"settlement": entity}) == SettlementSeen("setl_1", 7, 2, 1, "U1", "created", None)
    assert read_settlement({"settlement": {"id": "setl_1"}}) == SettlementSeen("setl_1", 0, 0, 0, None, "processed", None)
    odd = {"id": "setl_1", "amount": True, "fees": "2", "tax": None, "utr": ""}
    assert read_settlement({"settlement": odd}) == SettlementSeen("setl_1", 0, 0, 0, None, "processed", None)
    items = [{"transfer_id": "trf_1", "amount": 3}, {"id": 7}, "odd", {"amount": 1}, {"id": "trf_2"}]
    listed = read_settlement({"settlement": {"entity": {**entity, "transfers": items}}, "transfers": [{"id": "trf_3"}]}).listed
    assert listed == ({"transfer_id": "trf_1", "amount": 3, "id": "trf_1"}, {"id": "trf_2"})
    with pytest.raises(ValueError, match=r"^a settlement event without a settlement$"):
        read_settlement({"settlement": {"id": None}})


def test_being_in_a_settlement_is_what_settled_means() -> None:
    seen = observed_in_settlement({**TRANSFER, "status": "created"}, "setl_1")
    assert seen == Observed("trf_1", TransferStatus.SETTLED, 1524, "txn_9", "test", 5, 1, "setl_1")


def test_a_kyc_event_is_read_whole() -> None:
    entity = {"id": "x", "hold_funds": True, "merchant_detail": {"issue_fields": "pan", "issue_fields_reason": "blurred"}}
    read_ = read_kyc_event(
        "account.under_review", {"account": {"entity": entity}}, event_id="e1", account_id=None, occurred_at=AT
    )
    assert read_ == ("acc_x", KycEvent("e1", "account.under_review", AT, hold_funds=True, detail="pan; blurred"))
    product = {
        "merchant_product": {
            "entity": {"merchant_id": "acc_y"},
            "data": {
                "requirements": [
                    {"field_reference": "bank", "description": "name differs"},
                    "odd",
                    {"description": "more"},
                    {"field_reference": "", "description": "last"},
                ]
            },
        }
    }
    read_ = read_kyc_event("product.route.under_review", product, event_id="e2", account_id=None, occurred_at=AT)
    words = "bank: name differs; more; last"
    assert read_ == ("acc_y", KycEvent("e2", "product.route.under_review", AT, hold_funds=None, detail=words))
    named = read_kyc_event(
        "account.activated", {"account": {"entity": entity}}, event_id="e3", account_id="acc_z", occurred_at=AT
    )
    assert named is not None
    assert named[0] == "acc_z"
    bare = read_kyc_event("account.activated", {"account": []}, event_id="e4", account_id="acc_z", occurred_at=AT)
    assert bare == ("acc_z", KycEvent("e4", "account.activated", AT))
    odd = {
        "account": {"entity": {"id": "x", "hold_funds": "yes", "merchant_detail": []}},
        "merchant_product": {"data": {"requirements": {}}},
    }
    assert read_kyc_event("account.activated", odd, event_id="e5", account_id=None, occurred_at=AT) == (
        "acc_x",
        KycEvent("e5", "account.activated", AT),
    )
    for event, account in (("account.renamed", "acc_z"), ("account.activated", None), ("account.activated", "")):
        assert read_kyc_event(event, {}, event_id="e", account_id=account, occurred_at=AT) is None
    assert (
        read_kyc_event("account.activated", {"account": {"entity": {"id": 7}}}, event_id="e", account_id=None, occurred_at=AT)
        is None
    )


def test_a_standing_says_what_is_asked_for_until_it_is_given() -> None:
    asked = KycEvent("1", "account.needs_clarification", AT, detail="pan")
    held = KycEvent("2", "account.payments_enabled", AT + timedelta(hours=1), hold_funds=True)
    given = KycEvent("3", "account.activated", AT + timedelta(hours=2))
    assert standing([]) == Standing()
    assert standing([asked]).detail == "pan"
    assert (standing([asked, held]).detail, standing([asked, held]).funds_on_hold) == ("pan", True)
    after = standing([asked, held, given])
    assert (after.detail, after.transfers_enabled, after.funds_on_hold) == (None, True, True)


def test_a_hold_counts_by_its_name_where_the_event_does_not_say() -> None:
    active = KycEvent("1", "account.activated", AT)
    held = KycEvent("2", "account.funds_hold", AT + timedelta(hours=1))
    free = KycEvent("3", "account.funds_unhold", AT + timedelta(hours=2))
    assert [standing(events).funds_on_hold for events in ([active], [active, held], [active, held, free])] == [False, True, False]
    # Where it says, that counts, not its name.
    assert (
        standing([active, KycEvent("2", "account.funds_hold", AT + timedelta(hours=1), hold_funds=False)]).funds_on_hold is False
    )


def test_terms_hold_from_their_very_moment_on() -> None:
    first, second = Terms(1000, 10, "NET_EXCL_GST", AT), Terms(2000, 10, "NET_EXCL_GST", AT + timedelta(days=1))
    assert terms_in_force([second, first], AT + timedelta(days=1)) == second
    assert terms_in_force([second, first], AT + timedelta(days=1) - timedelta(microseconds=1)) == first
    assert terms_in_force([second, first], AT - timedelta(days=1)) == first
    with pytest.raises(ValueError, match=r"^a franchisee without terms$"):
        terms_in_force([], AT)


PAUSES = [(0, 4), (1, 5), (2, 9), (3, 19), (4, 31), (9, 1190), (10, 1535), (40, 1431)]


@pytest.mark.parametrize(("tries", "seconds"), PAUSES)
def test_pauses_to_the_second(tries: int, seconds: int) -> None:
    assert backoff_seconds("txn_9", tries) == seconds


def test_later_is_later() -> None:
    assert later(AT, 90) == AT + timedelta(seconds=90)


def test_facts_come_back_with_their_time() -> None:
    settled = OwnSettled(occurred_at=AT, razorpay_settlement_id="setl_1", amount_paise=5)
    assert OwnSettled.of_facts(settled.facts(), occurred_at=AT) == settled
    journal = settled.journal()
    assert journal is not None
    assert (journal.occurred_at, journal.total_paise, journal.subject) == (AT, 5, "setl_1")
    assert journal.facts == {"razorpay_settlement_id": "setl_1", "amount_paise": 5}


def test_a_rupee_is_refunded_and_a_fee_that_was_not_told_moves_nothing() -> None:
    for paise, account in ((99, "residue"), (100, "refund_payable")):
        given = PaymentGivenBack(
            occurred_at=AT, qr_payment_id=1, amount_paise=paise, fee_paise=None, tax_paise=None, reason="STALE"
        ).journal()
        assert given is not None
        assert given.postings == (Posting("rider_held", paise, 0), Posting(account, 0, paise))


def test_gst_may_be_the_whole_of_a_fee_and_not_more() -> None:
    assert [fee_parts(5, tax) for tax in (None, 0, 5, 6)] == [(5, 0), (5, 0), (0, 5), (5, 0)]


def test_a_reversal_is_whole() -> None:
    settled = OwnSettled(occurred_at=AT, razorpay_settlement_id="setl_1", amount_paise=5).journal()
    assert settled is not None
    later_ = AT + timedelta(days=1)
    assert reversal_of(settled, occurred_at=later_, reason="theirs") == Journal(
        key="settlement/setl_1/own/reversed",
        kind="reversal",
        subject="setl_1",
        occurred_at=later_,
        facts={"reverses": "settlement/setl_1/own", "reason": "theirs"},
        postings=(Posting("own_bank", 0, 5), Posting("nodal", 5, 0)),
        reverses="settlement/setl_1/own",
    )


def test_a_step_that_is_none_is_said_in_words() -> None:
    assert step(EntryStatus.PENDING, EntryStatus.TRANSFERRING) is EntryStatus.TRANSFERRING
    with pytest.raises(Exception, match=r"SETTLED.*PENDING"):
        step(EntryStatus.SETTLED, EntryStatus.PENDING)
