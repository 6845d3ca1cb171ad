"""The tables of schema `settlement`. Money in paise, times aware UTC, states as text with a CHECK, every list with its index."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from money import TdsBase
from settlement.domain.franchisee import FranchiseeStatus
from settlement.domain.ledger_entry import EntryStatus, HoldKind
from settlement.domain.link import LinkStep
from settlement.domain.settlement_event import SettlementStatus
from settlement.domain.transfer import TransferStatus

# Without a schema: the role's search path holds `settlement` and nothing else (chassis.database).
metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    },
)


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} in ({listed})", name=column)


def _id(comment: str) -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True, comment=comment)


def _at(name: str, comment: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


franchisees = Table(
    "franchisees",
    metadata,
    _id("ours; `franchisee_{id}` is the reference at Razorpay"),
    Column("legal_business_name", Text, nullable=False, comment="as on the papers; Razorpay: 4 to 200 characters"),
    Column("display_name", Text, nullable=False, comment="as riders see it"),
    Column("business_type", Text, nullable=False, comment="Razorpay's word: partnership, private_limited, ..."),
    Column("email", Text, nullable=False, comment="one linked account per address at Razorpay"),
    Column("phone", Text, nullable=False, comment="8 to 15 digits"),
    Column("contact_name", Text, nullable=False, comment="whom Razorpay and we talk to"),
    Column("pan", Text, comment="PAN of the business; null where its type needs none"),
    Column("gstin", Text, comment="GSTIN of the business; null where its type needs none"),
    Column("address", JSONB, nullable=False, comment="registered address: street1, street2, city, state, postal_code, country"),
    Column("stakeholder", JSONB, nullable=False, comment="the person behind it: name, email, pan"),
    Column("bank", JSONB, nullable=False, comment="where Razorpay settles to: account_number, ifsc_code, beneficiary_name"),
    Column("status", Text, nullable=False, comment="CREATED, LINKED, then as Razorpay's KYC has it"),
    Column("status_detail", Text, comment="what Razorpay asks for, where it needs clarification"),
    Column(
        "transfers_enabled",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="whether Razorpay's KYC allows transfers",
    ),
    Column("funds_on_hold", Boolean, nullable=False, server_default=text("false"), comment="whether Razorpay holds the funds"),
    Column("operator_hold", Boolean, nullable=False, server_default=text("false"), comment="whether we hold the payouts"),
    Column("operator_reason", Text, comment="why we do, in words for the franchisee"),
    Column("razorpay_account_id", Text, unique=True, comment="acc_..., once Razorpay made it"),
    Column("razorpay_stakeholder_id", Text, comment="sth_..."),
    Column("razorpay_product_id", Text, comment="acc_prd_...: the Route product configuration"),
    Column(
        "link_step",
        Text,
        nullable=False,
        comment="what is to be done next at Razorpay: ACCOUNT, STAKEHOLDER, PRODUCT, BANK, DONE",
    ),
    Column("link_calls", Integer, nullable=False, server_default=text("0"), comment="tries of this step"),
    Column("link_error", Text, comment="what Razorpay said last, where the step did not succeed"),
    _at("link_due_at", "when the step is tried next; while claimed, when the claim lapses; null: nothing to do", nullable=True),
    _at("kyc_polled_at", "when the product configuration was last looked up", nullable=True),
    _at("created_at", "when it was entered"),
    _at("updated_at", "the last change"),
    _one_of("status", FranchiseeStatus),
    _one_of("link_step", LinkStep),
    Index("franchisees_email_key", func.lower(text("email")), unique=True),
    Index("franchisees_link_due_idx", "link_due_at", postgresql_where=text("link_due_at is not null")),
    comment="Owners of sites, and their linked accounts at Razorpay.",
)

franchisee_terms = Table(
    "franchisee_terms",
    metadata,
    _id("ours"),
    Column("franchisee_id", BigInteger, ForeignKey(franchisees.c.id), nullable=False, comment="whose"),
    Column("commission_bps", Integer, nullable=False, comment="the platform's share of the net, in basis points"),
    Column("tds_bps", Integer, nullable=False, comment="income tax withheld, in basis points"),
    Column("tds_base", Text, nullable=False, comment="what the TDS rate is taken of"),
    _at("effective_from", "in force for sessions started from then on"),
    Column("created_by", Text, nullable=False, comment="who agreed to them here"),
    _at("created_at", "when they were entered"),
    UniqueConstraint("franchisee_id", "effective_from"),
    CheckConstraint("commission_bps between 0 and 10000 and tds_bps between 0 and 10000", name="rates"),
    _one_of("tds_base", TdsBase),
    comment="Commission and TDS over time. Added, never rewritten.",
)

kyc_events = Table(
    "kyc_events",
    metadata,
    _id("ours"),
    Column("razorpay_event_id", Text, nullable=False, unique=True, comment="Razorpay's, or ours for a poll"),
    Column("razorpay_account_id", Text, nullable=False, comment="acc_...: the account may be told of before we know it"),
    Column("event", Text, nullable=False, comment="account.*, product.route.* or poll.route.*"),
    Column("hold_funds", Boolean, comment="as the event says; null where it does not"),
    Column("detail", Text, comment="what Razorpay asks for"),
    _at("occurred_at", "Razorpay's time of the event: their order"),
    _at("received_at", "when we learnt it"),
    Index(None, "razorpay_account_id", "occurred_at"),
    comment="Every word on a linked account's KYC. A franchisee's standing is their fold.",
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    _id("ours"),
    Column("key", Text, nullable=False, unique=True, comment="txn_{transaction_id}"),
    Column("transaction_id", BigInteger, nullable=False, unique=True, comment="charging's id of the session"),
    Column("franchisee_id", BigInteger, ForeignKey(franchisees.c.id), nullable=False, comment="owner at StartTransaction"),
    Column("qr_payment_id", BigInteger, nullable=False, comment="payments' id of the payment"),
    Column("razorpay_payment_id", Text, nullable=False, comment="pay_..."),
    Column("station_id", BigInteger, nullable=False, comment="as charging snapshotted it"),
    Column("charge_point_id", Text, nullable=False, comment="the charger"),
    Column("connector_id", Integer, nullable=False, comment="OCPP connector"),
    Column("energy_wh", BigInteger, nullable=False, comment="billed energy"),
    _at("started_at", "of the session: its terms are those in force then"),
    _at("stopped_at", "of the session"),
    _at("billed_at", "when payments made the bill"),
    Column("commission_bps", Integer, nullable=False, comment="rate in force at the start"),
    Column("tds_bps", Integer, nullable=False, comment="rate in force at the start"),
    Column("tds_base", Text, nullable=False, comment="base in force at the start"),
    Column("gross_paise", BigInteger, nullable=False, comment="what the rider paid"),
    Column("refund_paise", BigInteger, nullable=False, comment="refund due, frozen at billing"),
    Column("residue_paise", BigInteger, nullable=False, comment="due to the rider, too little to refund"),
    Column("pg_fee_paise", BigInteger, nullable=False, comment="Razorpay's fee on the payment, as the bill bore it"),
    Column("gst_paise", BigInteger, nullable=False, comment="GST collected, owed to the state"),
    Column("commission_paise", BigInteger, nullable=False, comment="the platform's share"),
    Column("tds_paise", BigInteger, nullable=False, comment="withheld, owed to the state"),
    Column("payout_paise", BigInteger, nullable=False, comment="what the franchisee is due"),
    Column("implausible", Boolean, nullable=False, comment="the meter was in doubt"),
    Column("released_by", Text, comment="who let an implausible one go"),
    Column("status", Text, nullable=False, comment="PENDING, ON_HOLD, TRANSFERRING, UNKNOWN, TRANSFERRED, SETTLED, FAILED"),
    Column("hold_kind", Text, comment="what an entry on hold waits for"),
    Column("hold_reason", Text, comment="the same in plain words"),
    Column(
        "failed_attempts",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="attempts that failed definitively; holds don't count",
    ),
    Column("last_error", Text, comment="what Razorpay said of the last failed attempt"),
    Column("subject_version", Integer, nullable=False, comment="orders LedgerEntryChanged"),
    Column("traceparent", Text, comment="the session's trace"),
    _at("due_at", "when the worker takes it up; while claimed, when the claim lapses; null: nothing to do", nullable=True),
    _at("created_at", "when it was booked"),
    _at("updated_at", "the last change of status"),
    CheckConstraint(
        "gross_paise = refund_paise + residue_paise + pg_fee_paise + gst_paise + commission_paise + tds_paise + payout_paise",
        name="adds_up",
    ),
    CheckConstraint(
        "least(refund_paise, residue_paise, pg_fee_paise, gst_paise, commission_paise, tds_paise, payout_paise) >= 0",
        name="not_negative",
    ),
    CheckConstraint("(status = 'ON_HOLD') = (hold_kind is not null)", name="hold_says_why"),
    _one_of("status", EntryStatus),
    _one_of("hold_kind", HoldKind),
    _one_of("tds_base", TdsBase),
    Index("ledger_entries_due_idx", "due_at", postgresql_where=text("due_at is not null")),
    Index(None, "franchisee_id", "id"),
    Index("ledger_entries_status_idx", "status", "id"),
    Index(
        "ledger_entries_carried_idx",
        "franchisee_id",
        "id",
        postgresql_where=text("payout_paise between 1 and 99 and status in ('PENDING', 'ON_HOLD')"),
    ),
    comment="The commission ledger: one entry per billed session of a franchisee's site.",
)

unowned_bills = Table(
    "unowned_bills",
    metadata,
    Column("transaction_id", BigInteger, primary_key=True, autoincrement=False, comment="charging's id of the session"),
    Column("named_franchisee_id", BigInteger, nullable=False, comment="whom the bill names: nobody of ours"),
    Column("bill", JSONB, nullable=False, comment="payments.payment_billed.v1, word for word"),
    Column("traceparent", Text, comment="the session's trace"),
    _at("received_at", "when the bill came"),
    Column("ledger_entry_id", BigInteger, ForeignKey(ledger_entries.c.id), comment="its entry, once it was assigned"),
    Column("assigned_by", Text, comment="who said whose it is"),
    _at("assigned_at", "when; null: it waits for a person", nullable=True),
    CheckConstraint(
        "(assigned_at is null) = (ledger_entry_id is null) and (assigned_at is null) = (assigned_by is null)",
        name="assigned_whole",
    ),
    Index("unowned_bills_open_idx", "transaction_id", postgresql_where=text("assigned_at is null")),
    comment="Bills that name a franchisee whom settlement does not have.",
)

transfers = Table(
    "transfers",
    metadata,
    _id("ours"),
    Column("key", Text, nullable=False, unique=True, comment="X-Transfer-Idempotency: txn_{id}, then txn_{id}_r{n}"),
    Column("lead_entry_id", BigInteger, ForeignKey(ledger_entries.c.id), nullable=False, comment="the entry that the key names"),
    Column("attempt", Integer, nullable=False, comment="1, and one more after each definitive failure"),
    Column("franchisee_id", BigInteger, ForeignKey(franchisees.c.id), nullable=False, comment="to whom"),
    Column("amount_paise", BigInteger, nullable=False, comment="frozen at the claim; the sum of its allocations"),
    Column("body", JSONB, nullable=False, comment="what is sent to Razorpay, word for word, every time"),
    Column("status", Text, nullable=False, comment="CLAIMED, UNKNOWN, WAITING, ACCEPTED, PROCESSED, SETTLED, FAILED"),
    Column("razorpay_transfer_id", Text, unique=True, comment="trf_..., once we know it"),
    Column("fee_paise", BigInteger, comment="what Razorpay took on top, GST included: our expense"),
    Column("tax_paise", BigInteger, comment="the GST in it"),
    Column("razorpay_settlement_id", Text, comment="setl_... that took it to the bank"),
    Column("utr", Text, comment="the bank's reference of that settlement"),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="how often Razorpay was asked for this attempt"),
    Column("last_error", Text, comment="what Razorpay said last, where it did not do what was asked"),
    Column("traceparent", Text, comment="the session's trace"),
    _at(
        "next_attempt_at", "when the worker takes it up; while claimed, when the claim lapses; null: nothing to do", nullable=True
    ),
    _at("created_at", "when it was claimed"),
    _at("updated_at", "the last change of status"),
    _at("processed_at", "when we learnt that the linked account has it", nullable=True),
    _at("settled_at", "when we learnt that it was settled", nullable=True),
    UniqueConstraint("lead_entry_id", "attempt"),
    CheckConstraint("amount_paise >= 100", name="amount"),
    _one_of("status", TransferStatus),
    Index("transfers_one_live_per_entry_idx", "lead_entry_id", unique=True, postgresql_where=text("status <> 'FAILED'")),
    Index("transfers_due_idx", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    Index(None, "franchisee_id", "id"),
    Index(None, "razorpay_settlement_id"),
    Index("transfers_status_idx", "status", "id"),
    comment="Route transfers, claimed before Razorpay is called. At most one that lives per leading entry.",
)

allocations = Table(
    "allocations",
    metadata,
    Column("transfer_id", BigInteger, ForeignKey(transfers.c.id), primary_key=True, comment="which transfer"),
    Column("ledger_entry_id", BigInteger, ForeignKey(ledger_entries.c.id), primary_key=True, comment="pays which entry"),
    Column("amount_paise", BigInteger, nullable=False, comment="with how much: the entry's payout"),
    Column("live", Boolean, nullable=False, comment="false: the transfer failed, the entry is free for another"),
    CheckConstraint("amount_paise > 0", name="amount"),
    Index("allocations_one_live_per_entry_idx", "ledger_entry_id", unique=True, postgresql_where=text("live")),
    comment="Which transfer pays which entries: mostly one each, more where payouts under ₹1 were carried.",
)

settlements = Table(
    "settlements",
    metadata,
    _id("ours"),
    Column("razorpay_settlement_id", Text, nullable=False, unique=True, comment="setl_..."),
    Column("razorpay_account_id", Text, comment="acc_... of the event's envelope: a hint, never a key (razorpay.md §5.6)"),
    Column(
        "franchisee_id",
        BigInteger,
        ForeignKey(franchisees.c.id),
        comment="whose transfers are in it; null: our own, or not known yet",
    ),
    Column("amount_paise", BigInteger, nullable=False, comment="what went to the bank"),
    Column("fee_paise", BigInteger, nullable=False, comment="as Razorpay tells it"),
    Column("tax_paise", BigInteger, nullable=False, comment="as Razorpay tells it"),
    Column("utr", Text, comment="the bank's reference"),
    Column("status", Text, nullable=False, comment="RECEIVED, MATCHED, OWN"),
    Column("listed", JSONB(none_as_null=True), comment="its transfers as the event listed them; null: to be asked for"),
    Column("transfers_count", Integer, comment="transfers of ours found in it"),
    Column("transfers_paise", BigInteger, comment="their sum: equals the amount unless something was reversed or is not ours"),
    Column("calls", Integer, nullable=False, server_default=text("0"), comment="how often its transfers were looked up"),
    Column("last_error", Text, comment="why the last lookup did not succeed"),
    Column("traceparent", Text, comment="the trace of the event"),
    _at("next_attempt_at", "when its transfers are looked up; null: done", nullable=True),
    _at("processed_at", "Razorpay's time of the event"),
    _at("created_at", "when we learnt of it"),
    _one_of("status", SettlementStatus),
    Index("settlements_due_idx", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    Index(None, "franchisee_id", "id"),
    comment="settlement.processed events: a franchisee's, reconciled with its transfers, or our own, recorded.",
)
