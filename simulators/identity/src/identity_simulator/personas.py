"""The people of the sandbox: one of each role, so that every screen can be seen as its user sees it."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Role = Literal["admin", "operator", "finance", "franchisee", "rider"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Persona:
    """Who can sign in, and what their tokens say of them."""

    role: Role
    subject: str
    name: str
    email: str
    about: str
    claims: dict[str, Any] = field(default_factory=dict)
    """Further claims: the franchisee whose data a franchisee sees, the phone that a rider verified."""


PERSONAS: dict[str, Persona] = {
    persona.role: persona
    for persona in (
        Persona("admin", "user_admin", "Asha Rao", "asha@voltlync.example", "may do everything"),
        Persona("operator", "user_operator", "Omar Khan", "omar@voltlync.example", "keeps chargers running"),
        Persona("finance", "user_finance", "Fatima Iyer", "fatima@voltlync.example", "payments, refunds, settlements"),
        Persona(
            "franchisee",
            "user_franchisee",
            "Farhan Shetty",
            "farhan@site.example",
            "owns a site and sees its data only",
            {"franchisee_id": "frn_1"},
        ),
        Persona(
            "rider",
            "user_rider",
            "Rahul Menon",
            "rahul@rider.example",
            "charges a scooter, sees own charges",
            {"phone_number": "+919000090000", "phone_number_verified": True},
        ),
    )
}
