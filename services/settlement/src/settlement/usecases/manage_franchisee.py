"""Staff enter franchisees, hold and release their payouts, correct their details, and agree on terms."""

from datetime import datetime
from typing import Any

from chassis.database import UnitOfWork
from chassis.web import Principal, Role, forbidden, invalid_field
from settlement.domain.errors import EmailTaken, NoSuchFranchisee, TermsExist
from settlement.domain.franchisee import FranchiseeStatus
from settlement.domain.link import LinkStep, stakeholder_correction, with_corrections
from settlement.repository import franchisees
from settlement.repository.franchisees import Franchisee
from settlement.usecases.announce import announce_franchisee, audit
from settlement.usecases.context import Settlement
from settlement.usecases.follow_kyc import open_gate
from settlement.usecases.see import view_franchisee, view_terms
from settlement.views import FranchiseeCreate, FranchiseeId, FranchiseePatch, FranchiseeView, TermsCreate, TermsView

WHO_MOVES_MONEY = frozenset({Role.ADMIN, Role.FINANCE})


async def create_franchisee(app: Settlement, uow: UnitOfWork, body: FranchiseeCreate, principal: Principal) -> FranchiseeView:
    """Enter a franchisee with its first terms; its onboarding at Razorpay begins with the commit. Raises EmailTaken."""
    made = await franchisees.add(
        uow.connection,
        legal_business_name=body.legal_business_name,
        display_name=body.display_name or body.legal_business_name,
        business_type=body.business_type,
        email=body.email,
        phone=body.phone,
        contact_name=body.contact_name,
        pan=body.pan,
        gstin=body.gstin,
        address=body.address.model_dump(),
        stakeholder=body.stakeholder.model_dump(),
        bank=body.bank.model_dump(),
        status=FranchiseeStatus.CREATED.value,
        link_step=LinkStep.ACCOUNT.value,
        link_due_at=uow.now,
        created_at=uow.now,
        updated_at=uow.now,
    )
    if made is None:
        raise EmailTaken
    terms = _terms(body)
    await _add_terms(uow, made.id, principal, effective_from=uow.now, **terms)
    _audit(uow, made.id, "create", principal, after={"legal_business_name": made.legal_business_name, **terms})
    uow.after_commit(app.links.wake)
    return view_franchisee(made)


async def patch_franchisee(
    app: Settlement, uow: UnitOfWork, franchisee_id: FranchiseeId, body: FranchiseePatch, principal: Principal
) -> FranchiseeView:
    """Hold or release payouts, correct details. Where its money goes only administrators and finance change.

    Raises NoSuchFranchisee, EmailTaken.
    """
    found = await franchisees.find(uow.connection, franchisee_id, lock=True)
    if found is None:
        raise NoSuchFranchisee(franchisee_id)
    given = {name: value for name, value in body.model_dump(exclude_unset=True).items() if value is not None}
    if "bank" in given and not principal.has(*WHO_MOVES_MONEY):
        raise forbidden(WHO_MOVES_MONEY)
    values: dict[str, Any] = dict(given)
    if given.get("operator_hold") is False:
        values["operator_reason"] = None
    if "email" in given and await franchisees.email_taken(uow.connection, given["email"], by_other_than=franchisee_id):
        raise EmailTaken
    if given.keys() - {"operator_hold", "operator_reason"}:
        if found.razorpay_account_id is not None and given.keys() - {"operator_hold", "operator_reason", "bank", "stakeholder"}:
            raise invalid_field(
                "#/body", "Razorpay has the account already: of its details only bank and stakeholder are taken here"
            )
        values |= _to_be_sent(found, given)
        values |= {"link_due_at": None if values["link_step"] == LinkStep.DONE else uow.now, "link_calls": 0, "link_error": None}
        uow.after_commit(app.links.wake)
    if not values:
        return view_franchisee(found)
    changed = await franchisees.set_values(uow.connection, franchisee_id, updated_at=uow.now, **values)
    # Bank account, PAN and addresses are nobody's business in the journal: that they changed is, and which account by its end.
    accounts = ({"bank_account_ends": _ends(found)}, {"bank_account_ends": _ends(changed)}) if "bank" in given else ({}, {})
    _audit(
        uow,
        franchisee_id,
        "change",
        principal,
        before={"operator_hold": found.operator_hold, "operator_reason": found.operator_reason, **accounts[0]},
        after={
            "operator_hold": changed.operator_hold,
            "operator_reason": changed.operator_reason,
            "changed": sorted(given.keys()),
            **accounts[1],
        },
    )
    await announce_franchisee(uow, changed, before=found)
    if changed.gate is None and found.gate is not None:
        await open_gate(app, uow, changed)
    return view_franchisee(changed)


def _to_be_sent(found: Franchisee, given: dict[str, Any]) -> dict[str, Any]:
    """Where the onboarding goes on with what is given. Raises ValidationProblem for what Razorpay does not change."""
    sent, step = found.stakeholder_sent, found.link_step
    if "stakeholder" in given and found.razorpay_stakeholder_id is not None:
        if given["stakeholder"]["email"] != found.stakeholder["email"]:
            raise invalid_field("#/body/stakeholder/email", "Razorpay has the stakeholder already: its email can't be changed")
        if sent is None or (step is LinkStep.CORRECTION and found.link_calls):
            sent = {}  # what Razorpay has is not known
    if "bank" in given and step in (LinkStep.DONE, LinkStep.CORRECTION):
        step = LinkStep.BANK
    wanted = stakeholder_correction(given.get("stakeholder", found.stakeholder))
    return {"link_step": with_corrections(step, wanted=wanted, sent=sent).value, "stakeholder_sent": sent}


def _ends(franchisee: Franchisee) -> str:
    return str(franchisee.bank["account_number"])[-4:]


async def create_terms(uow: UnitOfWork, franchisee_id: FranchiseeId, body: TermsCreate, principal: Principal) -> TermsView:
    """Agree on new terms, from now or later on: past sessions keep theirs. Raises NoSuchFranchisee, TermsExist."""
    if await franchisees.find(uow.connection, franchisee_id, lock=True) is None:
        raise NoSuchFranchisee(franchisee_id)
    effective_from = body.effective_from or uow.now
    if effective_from < uow.now:
        raise invalid_field("#/body/effective_from", "Terms are for sessions to come: this moment has passed")
    terms = _terms(body)
    row = await _add_terms(uow, franchisee_id, principal, effective_from=effective_from, **terms)
    _audit(uow, franchisee_id, "terms", principal, after={**terms, "effective_from": effective_from.isoformat()})
    return view_terms(row)


def _terms(body: FranchiseeCreate | TermsCreate) -> dict[str, Any]:
    """A base is the rate's: without one of their own, terms leave both to the tax rule in force."""
    base = body.tds_base.value if body.tds_bps is not None else None
    return {"commission_bps": body.commission_bps, "tds_bps": body.tds_bps, "tds_base": base}


async def _add_terms(uow: UnitOfWork, franchisee_id: int, principal: Principal, *, effective_from: datetime, **terms: Any) -> Any:
    row = await franchisees.add_terms(
        uow.connection,
        franchisee_id=franchisee_id,
        effective_from=effective_from,
        created_by=principal.subject,
        created_at=uow.now,
        **terms,
    )
    if row is None:
        raise TermsExist
    return row


def _audit(uow: UnitOfWork, franchisee_id: int, action: str, principal: Principal, **figures: Any) -> None:
    audit(
        uow,
        entity="franchisee",
        entity_id=f"frn_{franchisee_id}",
        action=action,
        actor=principal.subject,
        trigger="api",
        **figures,
    )
