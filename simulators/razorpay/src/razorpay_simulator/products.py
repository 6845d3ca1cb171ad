"""A linked account's Route configuration: https://razorpay.com/docs/api/payments/route (v2 API)."""

from razorpay_simulator import fields
from razorpay_simulator.accounts import Accounts
from razorpay_simulator.business import IFSC
from razorpay_simulator.core import Core
from razorpay_simulator.entities import Account, JsonObject, Product
from razorpay_simulator.errors import ACCOUNT_LOCKED, ApiError, unknown_id
from razorpay_simulator.kyc import Kyc

_BANK = ("account_number", "ifsc_code", "beneficiary_name")


class Products:
    """Requests, shows and completes product configurations."""

    def __init__(self, core: Core, accounts: Accounts, kyc: Kyc) -> None:
        self._core = core
        self._accounts = accounts
        self._kyc = kyc

    def request(self, account_id: str, raw: object) -> JsonObject:
        account = self._accounts.find(account_id)
        body = fields.object_body(raw)
        fields.refuse_unknown(body, {"product_name", "tnc_accepted", "ip"})
        if body.get("product_name") != "route":
            raise ApiError("The product requested is invalid.", field="product_name")
        existing = self._kyc.products(account)
        if existing:
            return self.view(account, existing[0])
        now = self._core.now()
        product = Product(
            id=self._core.ids.new("acc_prd_"),
            account_id=account.id,
            requested_at=now,
            tnc_id=self._core.ids.new("tnc_"),
            tnc_accepted_at=now if _tnc_accepted(body) else None,
            activation_status="needs_clarification",
        )
        self._core.state.products[product.id] = product
        return self.view(account, product)

    def fetch(self, account_id: str, product_id: str) -> JsonObject:
        account, product = self._find(account_id, product_id)
        return self.view(account, product)

    def update(self, account_id: str, product_id: str, raw: object) -> JsonObject:
        account, product = self._find(account_id, product_id)
        body = fields.object_body(raw)
        fields.refuse_unknown(body, {"settlements", "tnc_accepted", "ip"})
        if product.activation_status in ("under_review", "suspended"):
            raise ApiError(ACCOUNT_LOCKED)
        settlements = fields.object_body(body.get("settlements") or {})
        _check_bank(settlements)
        if _tnc_accepted(body):
            product.tnc_accepted_at = self._core.now()
        if settlements:
            product.settlements = product.settlements | settlements
            if product.activation_status == "activated":
                # A new bank account is tested anew, and until then nothing is paid to it.
                product.activation_status = "needs_clarification"
        self._kyc.reconsider(account)
        return self.view(account, product)

    def view(self, account: Account, product: Product) -> JsonObject:
        bank = {name: product.settlements.get(name) for name in _BANK}
        accepted = product.tnc_accepted_at is not None
        return {
            "requested_configuration": [],
            "active_configuration": {"settlements": bank},
            "requirements": self._kyc.requirements(account, product),
            "tnc": {"id": product.tnc_id, "accepted": accepted, "accepted_at": product.tnc_accepted_at},
            "id": product.id,
            "product_name": "route",
            "activation_status": product.activation_status,
            "account_id": account.id,
            "requested_at": product.requested_at,
        }

    def _find(self, account_id: str, product_id: str) -> tuple[Account, Product]:
        account = self._accounts.find(account_id)
        product = self._core.find(self._core.state.products, product_id, "acc_prd_")
        if product.account_id != account.id:
            raise unknown_id()
        return account, product


def _tnc_accepted(body: JsonObject) -> bool:
    accepted = body.get("tnc_accepted", False)
    if "tnc_accepted" in body and accepted is not True:
        raise ApiError("The selected tnc accepted is invalid.", field="tnc_accepted")
    return accepted is True


def _check_bank(settlements: JsonObject) -> None:
    fields.refuse_unknown(settlements, _BANK)
    number = settlements.get("account_number")
    if number is not None and not 5 <= len(str(number)) <= 20:
        raise ApiError("The account number must be between 5 and 20 characters.", field="account_number")
    ifsc = settlements.get("ifsc_code")
    if ifsc is not None and not IFSC.match(str(ifsc)):
        raise ApiError("Invalid IFSC Code.", field="ifsc_code")
    fields.text(settlements, "beneficiary_name", shortest=4, longest=120)
