"""What becomes of a linked account's verification, and the two families of events that tell of it.

`product.route.*` are Route's own; `account.*` are the partner programme's, with another payload. Which of them a live
account receives is not settled by the documentation, so the sandbox sends both unless told otherwise.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from razorpay_simulator.business import BUSINESS_PAPERS_OPTIONAL, BUSINESS_TYPES, OWNERS_PAN_NEEDED
from razorpay_simulator.core import Core
from razorpay_simulator.entities import Account, JsonObject, Product

KycMove = Literal[
    "instantly_activated", "payments_enabled", "under_review", "needs_clarification", "activated_kyc_pending",
    "activated", "rejected", "funds_hold", "funds_unhold", "suspended",
]  # fmt: skip


class _Result(NamedTuple):
    """The account after a move. None leaves a field as it was."""

    activation: str | None
    hold_funds: bool
    activated: bool | None = True
    live: bool | None = True


_RESULTS: dict[KycMove, _Result] = {
    "instantly_activated": _Result("instantly_activated", hold_funds=True),
    "payments_enabled": _Result("instantly_activated", hold_funds=False),
    "under_review": _Result("under_review", hold_funds=True),
    "needs_clarification": _Result("needs_clarification", hold_funds=True),
    "activated_kyc_pending": _Result("activated_kyc_pending", hold_funds=False),
    "activated": _Result("activated", hold_funds=False),
    "rejected": _Result("rejected", hold_funds=True),
    "funds_hold": _Result(None, hold_funds=True, activated=None, live=None),
    "funds_unhold": _Result(None, hold_funds=False, activated=None, live=None),
    "suspended": _Result(None, hold_funds=True, activated=False, live=False),
}
_PENNY_TEST: JsonObject = {
    "field_reference": "settlements.ifsc_code",
    "description": "Max retry exceeded for bank account details.",
}
_NEXT = {
    "under_review": ["needs_clarification", "activated", "rejected", "activated_mcc_pending", "activated_kyc_pending"],
    "needs_clarification": ["under_review"],
}


class Kyc:
    """Moves accounts from state to state. A complete form goes under review; the rest is the reviewer's, or a timer's."""

    def __init__(self, core: Core, released: list[Callable[[Account], None]]) -> None:
        """`released` is called, each of it, when an account's funds are no longer held: what waited may be settled."""
        self._core = core
        self._released = released

    def move(self, account: Account, move: KycMove, clarifications: list[JsonObject] | None = None) -> None:
        """Bring about one state and tell of it. `clarifications` are the requirements of `needs_clarification`."""
        result, held = _RESULTS[move], account.hold_funds
        if move == "suspended":
            account.status, account.suspended_at = "suspended", self._core.now()
        if result.activation is not None:
            account.activation = result.activation
        account.hold_funds = result.hold_funds
        account.activated = account.activated if result.activated is None else result.activated
        account.live = account.live if result.live is None else result.live
        if account.activation == "activated" and account.activated_at is None:
            account.activated_at = self._core.now()
        if move == "activated":
            account.bank = "verified"
        if move not in ("funds_hold", "funds_unhold"):
            for product in self.products(account):
                product.activates_at = None  # a decision was taken, the timer's is void
        if move in ("under_review", "needs_clarification", "activated", "suspended"):
            self._move_products(account, move, clarifications or [])
        if self._core.settings.kyc_events in ("both", "account"):
            self._core.emit(f"account.{move}", {"account": {"entity": self._merchant(account)}}, account_id=account.id)
        if held and not account.hold_funds:
            for release in self._released:
                release(account)

    def fail_penny_test(self, account: Account) -> None:
        """The bank account cannot be verified: the product asks for another one."""
        account.bank = "failed"
        self.move(account, "needs_clarification", [dict(_PENNY_TEST)])

    def reconsider(self, account: Account) -> None:
        """After a change of the form: complete → under review; incomplete → its product asks for what is missing."""
        if account.status == "suspended":
            return
        if account.details["profile"]["subcategory"] in self._core.settings.silent_subcategories:
            return  # Razorpay was seen to leave such an account waiting, with no requirement and no event
        for product in self.products(account):
            if product.activation_status == "needs_clarification" and not self.missing(account, product):
                product.clarifications.clear()
                account.submitted_at = self._core.now()
                self.move(account, "under_review")
                self.schedule(product)

    def schedule(self, product: Product) -> None:
        """Let the review end by itself, where the settings say when."""
        if self._core.settings.activation_seconds is not None:
            product.activates_at = self._core.timestamp() + self._core.settings.activation_seconds
            self.watch(product)

    def watch(self, product: Product) -> None:
        """Activate a product under review when its time comes."""
        if product.activates_at is None or product.activation_status != "under_review":
            return

        due = product.activates_at

        def activate() -> None:
            if product.activation_status != "under_review" or product.activates_at != due:
                return
            account = self._core.state.accounts[product.account_id]
            if self._core.outcomes.take("penny_test") == "failed":
                self.fail_penny_test(account)
            else:
                self.move(account, "activated")

        self._core.at(f"activation of {product.id}", product.activates_at, activate)

    def products(self, account: Account) -> list[Product]:
        return [product for product in self._core.state.products.values() if product.account_id == account.id]

    def missing(self, account: Account, product: Product) -> list[JsonObject]:
        """The requirements that keep a product from review, by the type of business."""
        kind, resolution = account.details["business_type"], f"/accounts/{account.id}"
        at_product = f"{resolution}/products/{product.id}"
        lacking = [
            (f"settlements.{name}", at_product)
            for name in ("account_number", "ifsc_code", "beneficiary_name")
            if not product.settlements.get(name)
        ]
        legal = account.details.get("legal_info") or {}
        if kind not in BUSINESS_PAPERS_OPTIONAL:
            lacking += [(f"legal_info.{name}", resolution) for name in ("pan", "gst") if not legal.get(name)]
        if kind in OWNERS_PAN_NEEDED:
            holders = [s for s in self._core.state.stakeholders.values() if s.account_id == account.id]
            if not any((s.details.get("kyc") or {}).get("pan") for s in holders):
                at_stakeholder = f"{resolution}/stakeholders" + (f"/{holders[0].id}" if holders else "")
                lacking.append(("individual.kyc.pan", at_stakeholder))
        return [
            {"field_reference": name, "resolution_url": url, "reason_code": "field_missing", "status": "required"}
            for name, url in lacking
        ]

    def requirements(self, account: Account, product: Product) -> list[JsonObject]:
        """What the product's view and its event ask for."""
        if product.activation_status != "needs_clarification":
            return []
        return self.missing(account, product) + product.clarifications

    def _move_products(self, account: Account, move: KycMove, clarifications: list[JsonObject]) -> None:
        for product in self.products(account):
            product.activation_status = move  # type: ignore[assignment]  # narrowed by the caller's condition
            product.clarifications = [
                {
                    "resolution_url": f"/accounts/{account.id}/products/{product.id}",
                    "reason_code": "needs_clarification",
                    "status": "required",
                }
                | clarification
                for clarification in clarifications
            ]
            # No event tells of a suspended product.
            if move != "suspended" and self._core.settings.kyc_events in ("both", "product"):
                self._tell_product(account, product)

    def _tell_product(self, account: Account, product: Product) -> None:
        requirements = self.requirements(account, product)
        part = {
            "entity": {"id": product.id, "merchant_id": account.id, "activation_status": product.activation_status},
            "data": {"requirements": requirements} if product.activation_status == "needs_clarification" else [],
        }
        self._core.emit(f"product.route.{product.activation_status}", {"merchant_product": part}, account_id=account.id)

    def _merchant(self, account: Account) -> JsonObject:
        """The partner family's entity: the id without its prefix, and the form under `merchant_detail` (a subset)."""
        details = account.details
        activation = None if account.status == "suspended" else account.activation
        fields_at_issue = [c["field_reference"] for p in self.products(account) for c in self.requirements(account, p)]
        return {
            "id": account.id.removeprefix("acc_"),
            "entity": "merchant",
            "name": details["legal_business_name"],
            "email": details["email"],
            "activated": account.activated,
            "activated_at": account.activated_at,
            "live": account.live,
            "hold_funds": account.hold_funds,
            "parent_id": None,
            "category": None,
            "category2": details["profile"]["category"],
            "linked_account_kyc": False,
            "suspended_at": account.suspended_at,
            "restricted": False,
            "external_id": details.get("reference_id"),
            "notes": details.get("notes") or [],
            "merchant_detail": {
                "business_type": BUSINESS_TYPES[details["business_type"]],
                "business_name": details["legal_business_name"],
                "activation_status": activation,
                "allowed_next_activation_statuses": _NEXT.get(activation or "", []),
                "clarification_mode": "email",
                "issue_fields": ",".join(fields_at_issue) or None,
                "issue_fields_reason": "Details are missing or need clarification." if fields_at_issue else None,
                "kyc_clarification_reasons": None,
                "bank_details_verification_status": account.bank,
                "submitted": account.submitted_at is not None,
                "submitted_at": account.submitted_at,
            },
        }
