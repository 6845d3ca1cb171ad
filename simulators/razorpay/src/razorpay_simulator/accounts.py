"""Linked accounts and their stakeholder: https://razorpay.com/docs/api/payments/route (v2 API)."""

from razorpay_simulator import fields
from razorpay_simulator.business import (
    ANY_SUBCATEGORY,
    BUSINESS_TYPES,
    COMPANY_PAN,
    EMAIL,
    GSTIN,
    NOT_A_NAME,
    PERSONAL_PAN,
    REFERENCE_ID,
    STATES,
    SUBCATEGORIES,
)
from razorpay_simulator.core import Core, collection
from razorpay_simulator.entities import Account, JsonObject, Stakeholder
from razorpay_simulator.errors import ACCOUNT_LOCKED, ApiError, unknown_id
from razorpay_simulator.kyc import Kyc

SHORTEST_REFERENCE, LONGEST_REFERENCE = 3, 20
LOCKED = frozenset({"under_review", "activated"})
"""While its form is in one of these states, only an account's notes may change."""
_ACCOUNT_FIELDS = {
    "email", "phone", "type", "reference_id", "legal_business_name", "customer_facing_business_name", "business_type",
    "contact_name", "profile", "legal_info", "contact_info", "apps", "notes",
}  # fmt: skip
_STAKEHOLDER_FIELDS = {"name", "email", "phone", "relationship", "percentage_ownership", "addresses", "kyc", "notes"}


class Accounts:
    """Creates, shows, changes and suspends linked accounts."""

    def __init__(self, core: Core, kyc: Kyc) -> None:
        self._core = core
        self._kyc = kyc

    def create(self, raw: object) -> JsonObject:
        body = fields.object_body(raw)
        fields.refuse_unknown(body, _ACCOUNT_FIELDS)
        if fields.required(body, "type") != "route":
            raise ApiError(f"Invalid type: {body['type']}", field="type")
        for name in ("email", "phone", "legal_business_name", "business_type", "contact_name", "profile"):
            fields.required(body, name)
        self._check(body)
        details = {name: value for name, value in body.items() if name not in ("type", "notes")}
        details.setdefault("customer_facing_business_name", body["legal_business_name"])
        if self._core.settings.account_oddities:
            details["phone"] = "+91" + str(details["phone"]).removeprefix("+91")
            if details["business_type"] == "individual":
                details["business_type"] = "not_yet_registered"
        account = Account(
            id=self._core.ids.new("acc_"),
            details=details | {"notes": fields.notes(body)},
            created_at=self._core.now(),
        )
        self._core.state.accounts[account.id] = account
        return account.view()

    def find(self, account_id: str) -> Account:
        account = self._core.state.accounts.get(account_id)
        if account is None:
            raise ApiError("Linked account does not exist", source="", step="", reason="linked_account_id_does_not_exist")
        return account

    def fetch(self, account_id: str) -> JsonObject:
        return self.find(account_id).view()

    def update(self, account_id: str, raw: object) -> JsonObject:
        account = self.find(account_id)
        body = fields.object_body(raw)
        fields.refuse_unknown(body, _ACCOUNT_FIELDS - {"type", "business_type", "email"})
        if account.status == "suspended" or (account.activation in LOCKED and set(body) - {"notes"}):
            raise ApiError(ACCOUNT_LOCKED)
        changed = _merged(account.details, body)
        self._check(changed, own_id=account.id)
        account.details = changed | {"notes": fields.notes(changed)}
        self._kyc.reconsider(account)
        return account.view()

    def delete(self, account_id: str) -> JsonObject:
        account = self.find(account_id)
        if account.status != "suspended":
            self._kyc.move(account, "suspended")
        return account.view()

    # -- the stakeholder

    def create_stakeholder(self, account_id: str, raw: object) -> JsonObject:
        account = self.find(account_id)
        body = fields.object_body(raw)
        if self._stakeholders(account):
            raise ApiError("Stakeholders cannot be more than one for Route product.")
        fields.refuse_unknown(body, _STAKEHOLDER_FIELDS)
        fields.required(body, "name")
        fields.required(body, "email")
        _check_stakeholder(body)
        stakeholder = Stakeholder(
            id=self._core.ids.new("sth_"), account_id=account.id, details=body | {"notes": fields.notes(body)}
        )
        self._core.state.stakeholders[stakeholder.id] = stakeholder
        self._kyc.reconsider(account)
        return stakeholder.view()

    def stakeholders(self, account_id: str) -> JsonObject:
        return collection([stakeholder.view() for stakeholder in self._stakeholders(self.find(account_id))])

    def stakeholder(self, account_id: str, stakeholder_id: str) -> JsonObject:
        return self._stakeholder(account_id, stakeholder_id).view()

    def update_stakeholder(self, account_id: str, stakeholder_id: str, raw: object) -> JsonObject:
        stakeholder = self._stakeholder(account_id, stakeholder_id)
        body = fields.object_body(raw)
        fields.refuse_unknown(body, _STAKEHOLDER_FIELDS - {"email"})
        changed = _merged(stakeholder.details, body)
        _check_stakeholder(changed)
        stakeholder.details = changed | {"notes": fields.notes(changed)}
        self._kyc.reconsider(self.find(account_id))
        return stakeholder.view()

    def _stakeholder(self, account_id: str, stakeholder_id: str) -> Stakeholder:
        self.find(account_id)
        stakeholder = self._core.find(self._core.state.stakeholders, stakeholder_id, "sth_")
        if stakeholder.account_id != account_id:
            raise unknown_id()
        return stakeholder

    def _stakeholders(self, account: Account) -> list[Stakeholder]:
        return [s for s in self._core.state.stakeholders.values() if s.account_id == account.id]

    # -- checks

    def _unique(self, email: str) -> None:
        for account in self._core.state.accounts.values():
            if account.details["email"].lower() == email.lower():
                raise ApiError(f"Merchant email already exists for account - {account.id.removeprefix('acc_')}", field="email")

    def _check(self, body: JsonObject, own_id: str | None = None) -> None:
        email = fields.text(body, "email", longest=132) or ""
        if not EMAIL.match(email):
            raise ApiError("The email must be a valid email address.", field="email")
        if own_id is None:
            self._unique(email)
        phone = str(body["phone"])
        if not phone.removeprefix("+").isdigit() or not 8 <= len(phone) <= 15:
            raise ApiError("The phone must be between 8 and 15 characters.", field="phone")
        fields.text(body, "legal_business_name", shortest=4, longest=200)
        fields.text(body, "customer_facing_business_name", shortest=1)
        fields.text(body, "contact_name", shortest=4)
        for name in ("legal_business_name", "customer_facing_business_name", "contact_name"):
            if NOT_A_NAME.search(body.get(name) or ""):
                raise ApiError("Please enter a valid name. Links, emails and HTML tags are not allowed.", field=name)
        kind = body["business_type"]
        if not isinstance(kind, str) or kind not in BUSINESS_TYPES:
            raise ApiError(f"Invalid business type: {kind}", field="business_type")
        self._check_reference(body.get("reference_id"), own_id)
        _check_profile(fields.object_body(body["profile"]))
        _check_legal(body.get("legal_info") or {})

    def _check_reference(self, reference: object, own_id: str | None) -> None:
        if reference is None:
            return
        if not self._core.settings.route_code_support:
            raise ApiError("Route code Support feature not enabled to add account code.", field="reference_id")
        if not isinstance(reference, str) or not REFERENCE_ID.match(reference):
            raise ApiError("The code format is invalid.", field="reference_id")
        if len(reference) < SHORTEST_REFERENCE:
            raise ApiError(f"The code must be at least {SHORTEST_REFERENCE} characters.", field="reference_id")
        if len(reference) > LONGEST_REFERENCE:
            raise ApiError(f"The code may not be greater than {LONGEST_REFERENCE} characters.", field="reference_id")
        for account in self._core.state.accounts.values():
            if account.id != own_id and account.details.get("reference_id") == reference:
                raise ApiError("The code has already been taken.", field="reference_id")


def _check_profile(profile: JsonObject) -> None:
    category, subcategory = fields.required(profile, "category"), fields.required(profile, "subcategory")
    if not isinstance(category, str) or category not in SUBCATEGORIES:
        raise ApiError(f"Invalid business category: {category}", field="category")
    known = SUBCATEGORIES[category]
    legal = isinstance(subcategory, str) and (subcategory in known if known else ANY_SUBCATEGORY.match(subcategory) is not None)
    if not legal:
        raise ApiError(f"Invalid business subcategory for business category: {category}", field="subcategory")
    addresses = fields.object_body(fields.required(profile, "addresses"))
    _check_address(fields.object_body(fields.required(addresses, "registered")), "street1", "street2")
    if addresses.get("operation"):
        _check_address(fields.object_body(addresses["operation"]), "street1", "street2")


def _check_address(address: JsonObject, *streets: str) -> None:
    for name in (*streets, "city"):
        fields.text(address, name, longest=100 if name != "street" else 255, shortest=10 if name == "street" else 0, needed=True)
    state = fields.text(address, "state", shortest=2, longest=32, needed=True) or ""
    if state.upper() not in STATES:
        raise ApiError("State name entered is incorrect. Please provide correct state name.", field="state")
    postal_code = str(fields.required(address, "postal_code"))
    if len(postal_code) != 6 or not postal_code.isdigit():
        raise ApiError("The postal code must be 6 characters.", field="postal_code")
    if fields.required(address, "country") not in ("IN", "india"):
        raise ApiError("The country should be india", field="country")


def _check_legal(legal: object) -> None:
    info = fields.object_body(legal)
    if info.get("pan") is not None and not COMPANY_PAN.match(str(info["pan"])):
        raise ApiError("The pan format is invalid.", field="pan")
    if info.get("gst") is not None and not GSTIN.match(str(info["gst"])):
        raise ApiError("The gst format is invalid.", field="gst")


def _check_stakeholder(body: JsonObject) -> None:
    name = fields.text(body, "name", needed=True) or ""
    if NOT_A_NAME.search(name):
        raise ApiError("Please enter a valid name. Links, emails and HTML tags are not allowed.", field="name")
    if not EMAIL.match(fields.text(body, "email", longest=132) or ""):
        raise ApiError("The email must be a valid email address.", field="email")
    kyc = fields.object_body(body.get("kyc") or {})
    if kyc.get("pan") is not None and not PERSONAL_PAN.match(str(kyc["pan"])):
        raise ApiError("The pan format is invalid.", field="pan")
    addresses = fields.object_body(body.get("addresses") or {})
    if addresses.get("residential"):
        _check_address(fields.object_body(addresses["residential"]), "street")


def _merged(old: JsonObject, new: JsonObject) -> JsonObject:
    """`old` with the fields of `new`; objects are merged, all else is replaced. `notes` are replaced whole."""
    result = dict(old)
    for name, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(name), dict) and name != "notes"
        result[name] = _merged(old[name], value) if both else value
    return result
