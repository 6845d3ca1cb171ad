"""Double-entry books: accounts, journals, postings, and what keeps them from being changed.

Revision ID: 2026_11_30_2110
Revises: 2026_11_22_2110
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "2026_11_30_2110"
down_revision = "2026_11_22_2110"
branch_labels = None
depends_on = None

SCHEMA = "settlement"
Time = sa.DateTime(timezone=True)

CHART = (
    (
        "nodal",
        "Nodal balance",
        "ASSET",
        "DEBIT",
        "our balance at Razorpay: payments in; fees, refunds, transfers, own settlements out",
    ),
    (
        "linked_accounts",
        "Linked accounts",
        "ASSET",
        "DEBIT",
        "processed to franchisees' linked accounts, not yet settled to their banks",
    ),
    ("own_bank", "Own bank", "ASSET", "DEBIT", "what Razorpay settled to our own bank"),
    (
        "gst_input",
        "GST on Razorpay's fees",
        "ASSET",
        "DEBIT",
        "the GST within what Razorpay charged us, where it told it: input credit",
    ),
    ("rider_held", "Held for riders", "LIABILITY", "CREDIT", "payments taken whose session is neither billed nor given back"),
    ("refund_payable", "Refunds payable", "LIABILITY", "CREDIT", "refunds decided that riders do not have yet"),
    ("residue", "Residue owed", "LIABILITY", "CREDIT", "owed to riders, below ₹1, which Razorpay does not refund"),
    (
        "wallet_liability",
        "Wallets",
        "LIABILITY",
        "CREDIT",
        "what riders have in wallets: the control account of payments' wallets",
    ),
    ("gst_output", "GST collected", "LIABILITY", "CREDIT", "GST that riders paid on energy, owed to the state"),
    ("tds_payable", "TDS payable", "LIABILITY", "CREDIT", "income tax withheld from franchisees, owed to the state"),
    ("franchisee_payable", "Franchisees payable", "LIABILITY", "CREDIT", "payouts of ₹1 and more that are in no living transfer"),
    (
        "franchisee_carried",
        "Franchisees carried",
        "LIABILITY",
        "CREDIT",
        "payouts under ₹1, carried until a transfer takes them along",
    ),
    (
        "franchisee_in_transfer",
        "Franchisees in transfer",
        "LIABILITY",
        "CREDIT",
        "in a living transfer, not yet settled to the bank",
    ),
    (
        "energy_revenue",
        "Energy revenue",
        "INCOME",
        "CREDIT",
        "energy billed without GST: all of our own sites', what is unsplit of others'",
    ),
    ("platform_fee", "Fees borne by riders", "INCOME", "CREDIT", "what bills made riders bear of Razorpay's fees"),
    ("commission", "Commission", "INCOME", "CREDIT", "our share of franchisees' energy revenue"),
    (
        "pg_fee",
        "Razorpay's payment fees",
        "EXPENSE",
        "DEBIT",
        "fees on payments without their GST, as known when the session ended",
    ),
    (
        "unserved_fees",
        "Fees of unserved payments",
        "EXPENSE",
        "DEBIT",
        "fees on payments that were given back whole: ours to bear",
    ),
    ("refund_costs", "Costs of refunds", "EXPENSE", "DEBIT", "what Razorpay charged for speedy refunds, without its GST"),
    ("transfer_costs", "Costs of transfers", "EXPENSE", "DEBIT", "what Razorpay charged for transfers, without its GST"),
    (
        "fee_corrections",
        "Fee corrections",
        "EXPENSE",
        "DEBIT",
        "by how much payment fees differ from what was known when it mattered",
    ),
    ("shortfall", "Shortfall", "MEMO", "DEBIT", "energy and GST that no payment covered: our loss, never billed"),
    ("shortfall_contra", "Shortfall, counterpart", "MEMO", "CREDIT", "the other side of the memo"),
)

FUNCTIONS = """
CREATE FUNCTION settlement.refuse_change_of_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the books are never changed: book a reversal' USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION settlement.check_journal_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    differs boolean;
BEGIN
    SELECT NEW.lines <> count(*) OR NEW.total_paise <> coalesce(sum(debit_paise), 0)
        OR NEW.total_paise <> coalesce(sum(credit_paise), 0) INTO differs
    FROM settlement.postings WHERE journal_id = NEW.id;
    IF differs THEN
        RAISE EXCEPTION 'journal % does not add up', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION settlement.refuse_line_too_many() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.line NOT BETWEEN 1 AND (SELECT lines FROM settlement.journals WHERE id = NEW.journal_id) THEN
        RAISE EXCEPTION 'journal % has no line %', NEW.journal_id, NEW.line USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.add_column(
        "transfers",
        sa.Column(
            "paid_twice_status",
            sa.Text(),
            nullable=True,
            comment="PROCESSED, SETTLED: we took it for failed and replaced it, and it went through",
        ),
        schema=SCHEMA,
    )
    op.create_check_constraint(
        op.f("transfers_paid_twice_check"), "transfers", "paid_twice_status in ('PROCESSED', 'SETTLED')", schema=SCHEMA
    )
    accounts = op.create_table(
        "accounts",
        sa.Column("code", sa.Text(), nullable=False, comment="how postings name it"),
        sa.Column("name", sa.Text(), nullable=False, comment="for people"),
        sa.Column("kind", sa.Text(), nullable=False, comment="ASSET, LIABILITY, INCOME, EXPENSE, MEMO"),
        sa.Column("normal_side", sa.Text(), nullable=False, comment="on which it grows: DEBIT, CREDIT"),
        sa.Column("holds", sa.Text(), nullable=False, comment="what its balance is, in words"),
        sa.CheckConstraint("kind in ('ASSET', 'LIABILITY', 'INCOME', 'EXPENSE', 'MEMO')", name=op.f("accounts_kind_check")),
        sa.CheckConstraint("normal_side in ('DEBIT', 'CREDIT')", name=op.f("accounts_normal_side_check")),
        sa.PrimaryKeyConstraint("code", name=op.f("accounts_pkey")),
        sa.UniqueConstraint("name", name=op.f("accounts_name_key")),
        comment="The chart of accounts, as settlement.domain.books has it. A new account is a migration.",
        schema=SCHEMA,
    )
    op.bulk_insert(accounts, [dict(zip(("code", "name", "kind", "normal_side", "holds"), row, strict=True)) for row in CHART])
    op.create_table(
        "journals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="ours"),
        sa.Column("key", sa.Text(), nullable=False, comment="the event of money's own: booked once, however often it is told"),
        sa.Column("kind", sa.Text(), nullable=False, comment="what happened: payment_captured, ..., or reversal"),
        sa.Column("subject", sa.Text(), nullable=False, comment="the record it is about, by its prefixed id"),
        sa.Column(
            "facts", JSONB, nullable=False, comment="the event's figures as told: the postings can be derived from them again"
        ),
        sa.Column("reverses", sa.BigInteger(), nullable=True, comment="the journal that it takes back, line by line"),
        sa.Column("lines", sa.Integer(), nullable=False, comment="how many postings it has: none can be added later"),
        sa.Column(
            "total_paise",
            sa.BigInteger(),
            nullable=False,
            comment="the sum of its debits, which is the sum of its credits",
        ),
        sa.Column("occurred_at", Time, nullable=False, comment="when it happened"),
        sa.Column("posted_at", Time, nullable=False, comment="when it was booked"),
        sa.CheckConstraint("lines >= 2 and total_paise > 0", name=op.f("journals_whole_check")),
        sa.CheckConstraint("(kind = 'reversal') = (reverses is not null)", name=op.f("journals_reversal_check")),
        sa.ForeignKeyConstraint(["reverses"], [f"{SCHEMA}.journals.id"], name=op.f("journals_reverses_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("journals_pkey")),
        sa.UniqueConstraint("key", name=op.f("journals_key_key")),
        sa.UniqueConstraint("reverses", name=op.f("journals_reverses_key")),
        sa.UniqueConstraint("occurred_at", "id", name=op.f("journals_occurred_at_id_key")),
        comment="One per event of money. Never changed: triggers refuse it, and at the commit that its postings add up.",
        schema=SCHEMA,
    )
    op.create_index(op.f("journals_subject_occurred_at_id_idx"), "journals", ["subject", "occurred_at", "id"], schema=SCHEMA)
    op.create_table(
        "postings",
        sa.Column("journal_id", sa.BigInteger(), nullable=False, comment="whose line"),
        sa.Column("line", sa.Integer(), nullable=False, comment="from 1"),
        sa.Column("account", sa.Text(), nullable=False, comment="which account"),
        sa.Column(
            "occurred_at",
            Time,
            nullable=False,
            comment="the journal's, so that an account's balance at a time is one look into one index",
        ),
        sa.Column("debit_paise", sa.BigInteger(), nullable=False, comment="on the left"),
        sa.Column("credit_paise", sa.BigInteger(), nullable=False, comment="on the right"),
        sa.CheckConstraint(
            "least(debit_paise, credit_paise) = 0 and greatest(debit_paise, credit_paise) > 0",
            name=op.f("postings_one_side_check"),
        ),
        sa.ForeignKeyConstraint(["account"], [f"{SCHEMA}.accounts.code"], name=op.f("postings_account_fkey")),
        sa.ForeignKeyConstraint(
            ["occurred_at", "journal_id"],
            [f"{SCHEMA}.journals.occurred_at", f"{SCHEMA}.journals.id"],
            name=op.f("postings_occurred_at_journal_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("journal_id", "line", name=op.f("postings_pkey")),
        comment="Lines of journals, each on one side of one account. Never changed.",
        schema=SCHEMA,
    )
    op.create_index(
        "postings_account_idx",
        "postings",
        ["account", "occurred_at", "journal_id"],
        schema=SCHEMA,
        postgresql_include=["debit_paise", "credit_paise"],
    )
    for function in FUNCTIONS.split("\n\n"):
        op.execute(function)
    for table in ("accounts", "journals", "postings"):
        op.execute(
            f"CREATE TRIGGER {table}_never_change BEFORE UPDATE OR DELETE ON {SCHEMA}.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_change_of_books()"
        )
    # Once a journal stands it has each of its lines: whoever adds one meets its key, or this refusal. So one check at the commit,
    # of the journal, is enough; one of every posting would cost as many sums as it has lines.
    op.execute(
        f"CREATE CONSTRAINT TRIGGER journals_add_up AFTER INSERT ON {SCHEMA}.journals DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.check_journal_adds_up()"
    )
    op.execute(
        f"CREATE TRIGGER postings_within BEFORE INSERT ON {SCHEMA}.postings "
        f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_line_too_many()"
    )


def downgrade() -> None:
    for table in ("postings", "journals", "accounts"):
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_change_of_books()")
    op.execute(f"DROP FUNCTION {SCHEMA}.check_journal_adds_up()")
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_line_too_many()")
    op.drop_constraint(op.f("transfers_paid_twice_check"), "transfers", schema=SCHEMA)
    op.drop_column("transfers", "paid_twice_status", schema=SCHEMA)
