"""Razorpay's own statement against our records and books. Pure: rows and records in, what differs out.

What the books moved on our balance for each payment, refund and transfer is what its rows moved there; each settlement of our
balance is the sum of its rows. Nothing that settlement made of the rows is used: whose they are is found here again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from voltlync.books.records import Json, Records, moment, number
from voltlync.money_text import rupees

OF_OURS = frozenset({"payment", "refund", "transfer", "reversal"})
"""The statement's types that we have records of."""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row of the statement that our records or books do not bear out."""

    at: datetime
    row: str
    says: str
    should: str


@dataclass(frozen=True, slots=True)
class _Ours:
    """Our record of something that the statement has."""

    name: str
    kind: str
    amount_paise: int
    done: bool
    journals: str
    """How the keys of its journals begin."""
    base: str
    """The journal without which the books have nothing of it yet."""


@dataclass
class StatementSums:
    """What the statement says of our balance, in paise, and how far the books agree."""

    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    by_type: Counter[str] = field(default_factory=Counter)
    """What each type of row moved, fees left out; `fees` is what all of them took."""
    settled_paise: int = 0
    """What went to our bank, by the settlements of these rows."""
    foreign_paise: int = 0
    """Rows of other environments on the same account."""
    unbooked_paise: int = 0
    """Rows that the books do not have: adjustments, disputes, what nobody here knows."""
    pending_paise: int = 0
    """What the books moved on our balance and no row shows yet."""

    @property
    def expected_paise(self) -> int:
        """The balance by the statement: what its rows of ours left behind, and what it does not show yet."""
        ours = sum(self.by_type.values()) - self.settled_paise
        return ours - self.unbooked_paise + self.pending_paise

    def lines(self, nodal_paise: int) -> list[str]:
        """For people: the statement, and the nodal balance by it."""
        if self.first is None or self.last is None:
            return ["Razorpay's statement: no row of it was read yet."]
        moved = ", ".join(f"{name} {rupees(paise)}" for name, paise in sorted(self.by_type.items()))
        settled = f"settled {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}, {self.rows} rows"
        pending = f"of which it does not show {rupees(self.pending_paise)} yet"
        said = [
            f"Razorpay's statement, {settled}: {moved}; to our bank {rupees(self.settled_paise)}.",
            f"Nodal balance by it: {rupees(self.expected_paise)}, {pending}; the books say {rupees(nodal_paise)}.",
        ]
        if self.unbooked_paise:
            said.append(f"Not in the books, see /v1/reconciliations/exceptions: {rupees(self.unbooked_paise)}.")
        if self.foreign_paise:
            said.append(f"Of other environments on the same account: {rupees(self.foreign_paise)}.")
        return said


class StatementCheck:
    """One comparison of the rows that were read before `to`."""

    def __init__(self, records: Records, *, to: datetime) -> None:
        self._records = records
        self._rows = [row for row in records.statement_rows if moment(row["read_at"]) < to]
        self._by_entity: dict[str, list[Json]] = defaultdict(list)
        for row in self._rows:
            self._by_entity[row["razorpay_id"]].append(row)
        self._ours = {name: ours for name, ours in _records(records) if name}
        self._nodal: Counter[str] = Counter()
        for journal in records.journals:
            for line in journal["postings"]:
                if line["account"] == "nodal":
                    self._nodal[_group(journal)] += line["debit_paise"] - line["credit_paise"]
        self._marks = {row["environment"] for row in self._rows if row["razorpay_id"] in self._ours and row["environment"]}
        self._booked = {journal["key"] for journal in records.journals}
        self._books_begin = min((moment(journal["occurred_at"]) for journal in records.journals), default=to)
        self._foreign = {entity for entity, rows in self._by_entity.items() if self._is_foreign(entity, rows)}
        self.sums = StatementSums()
        """Complete once the differences were asked for."""

    def differences(self) -> Iterable[RowDifference]:
        """Every row that differs."""
        for entity, rows in self._by_entity.items():
            net = sum(_net(row) for row in rows)
            if entity in self._foreign:
                self.sums.foreign_paise += net
                continue
            self._count(rows)
            ours = self._ours.get(entity)
            if ours is None:
                booked = self._nodal[f"adjustment/{entity}"]
                self.sums.unbooked_paise += net - booked
                if booked:  # finance accepted it
                    if booked != net:
                        yield _differs(rows[-1], f"moved our balance by {net} paise", f"it is booked with {booked} paise")
                elif rows[0]["type"] in OF_OURS and moment(rows[0]["moved_at"]) >= self._books_begin:
                    yield _differs(rows[0], f"tells of {entity}, {rows[0]['amount_paise']} paise", "no record of ours has it")
                continue
            yield from self._compare(ours, rows, net)
        yield from self._settlements()
        shown = {self._ours[entity].journals for entity in self._by_entity if entity in self._ours}
        shown |= {f"adjustment/{entity}" for entity in self._by_entity}
        self.sums.pending_paise = sum(
            paise for group, paise in self._nodal.items() if group not in shown and not group.startswith("settlement/")
        )

    def shares(self) -> dict[str, int]:
        """{settlement of our balance: how much of it is ours}: all but what other environments brought into it."""
        own: Counter[str] = Counter()
        theirs: Counter[str] = Counter()
        for row in self._rows:
            if row["settlement_id"] is not None:
                (theirs if row["razorpay_id"] in self._foreign else own)[row["settlement_id"]] += 1
        brought: Counter[str] = Counter()
        for row in self._rows:
            if row["razorpay_id"] in self._foreign and row["settlement_id"] is not None:
                brought[row["settlement_id"]] += _net(row)
        amounts = {settled["id"]: settled["amount_paise"] for settled in self._records.settlements}
        return {name: amounts[name] - brought[name] if own[name] else 0 for name in {*own, *theirs} if name in amounts}

    def _compare(self, ours: _Ours, rows: list[Json], net: int) -> Iterable[RowDifference]:
        own = [row for row in rows if row["type"] == ours.kind]
        amount = sum(row["amount_paise"] for row in own)
        if own and amount != ours.amount_paise:
            yield _differs(own[0], f"is of {amount} paise", f"{ours.name} says {ours.amount_paise} paise")
            return
        if ours.base not in self._booked or not ours.done:
            return  # older than what was read of the books, or not at its end: there is nothing to compare with yet
        if (moved := self._nodal[ours.journals]) != net:
            fee = sum(row["fee_paise"] for row in own)
            words = f"the books moved it by {moved} paise for {ours.name}"
            yield _differs(rows[-1], f"moved our balance by {net} paise, {fee} paise of them Razorpay's fee", words)

    def _settlements(self) -> Iterable[RowDifference]:
        """A settlement of our balance is the sum of its rows."""
        sums: Counter[str] = Counter()
        last: dict[str, Json] = {}
        for row in self._rows:
            if row["settlement_id"] is not None:
                sums[row["settlement_id"]] += _net(row)
                last[row["settlement_id"]] = row
        recorded = {settled["id"]: settled for settled in self._records.settlements}
        shares = self.shares()
        for name, paise in sums.items():
            settled = recorded.get(name)
            if settled is None:
                yield _differs(last[name], f"was settled by {name}, {paise} paise", "no settlement of ours is that")
                continue
            self.sums.settled_paise += shares.get(name, 0)
            if settled["amount_paise"] != paise and shares.get(name):
                yield RowDifference(
                    moment(settled["processed_at"]),
                    name,
                    f"is of {settled['amount_paise']} paise",
                    f"its rows in Razorpay's statement add up to {paise} paise",
                )

    def _is_foreign(self, entity: str, rows: list[Json]) -> bool:
        """Of another environment: nobody here knows it or its payment, and its notes, or the payment's, name another."""
        payments = {row["payment_id"] for row in rows if row["payment_id"]}
        if entity in self._ours or any(name in self._ours for name in payments):
            return False
        family = [*rows, *(row for name in payments for row in self._by_entity.get(name, ()))]
        named = {row["environment"] for row in family if row["environment"]}
        return bool(named) and not named & self._marks

    def _count(self, rows: list[Json]) -> None:
        for row in rows:
            at = moment(row["settled_at"] or row["read_at"])
            self.sums.rows += 1
            self.sums.first = at if self.sums.first is None else min(self.sums.first, at)
            self.sums.last = at if self.sums.last is None else max(self.sums.last, at)
            fee = row["fee_paise"] if abs(_net(row)) != row["amount_paise"] else 0
            self.sums.by_type[f"{row['type']}s"] += _net(row) + fee
            self.sums.by_type["fees"] -= fee


def _records(records: Records) -> Iterable[tuple[str | None, _Ours]]:
    for payment in records.payments:
        ended = payment["bill"] is not None or payment["refund_reason"] is not None
        of = f"payment/{number(payment['id'])}"
        yield (
            payment["razorpay_payment_id"],
            _Ours(payment["id"], "payment", payment["amount_paise"], ended, of, f"{of}/captured"),
        )
        for refund in payment["refunds"]:
            of, done = f"refund/{number(refund['id'])}", refund["status"] == "PROCESSED"
            yield refund["razorpay_refund_id"], _Ours(refund["id"], "refund", refund["amount_paise"], done, of, f"{of}/processed")
    for payment in records.recharge_payments:
        of, told = f"recharge_payment/{number(payment['id'])}", payment["fee_paise"] is not None
        ours = _Ours(payment["id"], "payment", payment["amount_paise"], told, of, f"{of}/captured")
        yield payment["razorpay_payment_id"], ours
    for transfer in records.transfers:
        of = f"transfer/{number(transfer['id'])}"
        done = (transfer["paid_twice_status"] or transfer["status"]) in ("PROCESSED", "SETTLED")
        ours = _Ours(transfer["id"], "transfer", transfer["amount_paise"], done, of, f"{of}/processed")
        yield transfer["razorpay_transfer_id"], ours
        for reversal in transfer.get("reversals", ()):
            name = reversal["razorpay_reversal_id"]
            base, done = f"{of}/reversed/{name}", reversal["status"] == "DONE"
            yield name, _Ours(reversal["id"], "reversal", reversal["amount_paise"], done, base, base)


def _group(journal: Json) -> str:
    """payment/17 of payment/17/captured: what belongs to one movement. Money that came back of a transfer is one of its own."""
    parts = str(journal["key"]).split("/")
    return "/".join(parts[:4] if parts[2:3] == ["reversed"] and len(parts) > 3 else parts[:2])


def _net(row: Json) -> int:
    return int(row["credit_paise"]) - int(row["debit_paise"])


def _differs(row: Json, says: str, should: str) -> RowDifference:
    at = moment(row["settled_at"] or row["read_at"])
    return RowDifference(at, f"{row['id']} ({row['razorpay_id']})", says, should)
