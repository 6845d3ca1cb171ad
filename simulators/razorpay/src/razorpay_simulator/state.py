"""All that the sandbox remembers, and how it survives a restart."""

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from razorpay_simulator.entities import (
    Account,
    Entry,
    IdempotentAnswer,
    Order,
    Payment,
    Product,
    QrCode,
    Refund,
    Reversal,
    Settlement,
    Stakeholder,
    Transfer,
)
from razorpay_simulator.events import Endpoint, EventRecord


class State(BaseModel):
    """The sandbox's books. Dicts keep insertion order, which is creation order."""

    model_config = ConfigDict(extra="forbid")

    qr_codes: dict[str, QrCode] = Field(default_factory=dict)
    orders: dict[str, Order] = Field(default_factory=dict)
    payments: dict[str, Payment] = Field(default_factory=dict)
    refunds: dict[str, Refund] = Field(default_factory=dict)
    accounts: dict[str, Account] = Field(default_factory=dict)
    stakeholders: dict[str, Stakeholder] = Field(default_factory=dict)
    products: dict[str, Product] = Field(default_factory=dict)
    transfers: dict[str, Transfer] = Field(default_factory=dict)
    reversals: dict[str, Reversal] = Field(default_factory=dict)
    settlements: dict[str, Settlement] = Field(default_factory=dict)
    entries: list[Entry] = Field(default_factory=list)
    idempotency: dict[str, IdempotentAnswer] = Field(default_factory=dict)
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    events: dict[str, EventRecord] = Field(default_factory=dict)
    """Events that some receiver has not acknowledged yet."""

    _balances: Counter[str] = PrivateAttr(default_factory=Counter)

    def model_post_init(self, _context: object) -> None:
        for entry in self.entries:
            self._balances[entry.account_id] += entry.credit - entry.debit

    def post(self, entry: Entry) -> None:
        """Book one movement. The only way a balance ever changes."""
        self.entries.append(entry)
        self._balances[entry.account_id] += entry.credit - entry.debit

    def balance(self, account_id: str) -> int:
        return self._balances[account_id]

    def balances(self) -> dict[str, int]:
        return dict(self._balances)

    def share_accounts(self, other: "State") -> None:
        """Linked accounts are one world's as much as the other's: a change in either is seen in both."""
        self.accounts, self.stakeholders, self.products = other.accounts, other.stakeholders, other.products

    def clear(self) -> None:
        """Forget everything but the receivers of webhooks, in place: the parts of the sandbox share this object."""
        for name in type(self).model_fields:
            if name != "endpoints":
                getattr(self, name).clear()
        self._balances.clear()

    def save(self, path: Path) -> None:
        """Write the whole state beside `path` and move it there: a killed process leaves the old or the new, never half.

        Not synced to the disk: it guards against kill -9, not against a power cut.
        """
        draft = path.with_name(path.name + ".tmp")
        draft.write_bytes(self.model_dump_json().encode())
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> "State":
        """The saved state, or an empty one where nothing was saved yet. A file that doesn't fit raises ValueError."""
        return cls.model_validate_json(path.read_bytes()) if path.exists() else cls()
