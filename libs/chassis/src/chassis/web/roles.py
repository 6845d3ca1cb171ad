"""Who may call. A route names its roles as a set: `ADMIN | FINANCE`."""

from enum import StrEnum


class Role(StrEnum):
    """The roles of VoltLync (features.md A2). A franchisee sees its own data only; a rider its own charges."""

    ADMIN = "admin"
    OPERATOR = "operator"
    FINANCE = "finance"
    FRANCHISEE = "franchisee"
    RIDER = "rider"
    GUEST = "guest"


Roles = frozenset[Role]

NOBODY: Roles = frozenset()
"""The default of a route: closed until somebody decides."""

ADMIN: Roles = frozenset({Role.ADMIN})
OPERATOR: Roles = frozenset({Role.OPERATOR})
FINANCE: Roles = frozenset({Role.FINANCE})
FRANCHISEE: Roles = frozenset({Role.FRANCHISEE})
RIDER: Roles = frozenset({Role.RIDER})
GUEST: Roles = frozenset({Role.GUEST})

STAFF: Roles = ADMIN | OPERATOR | FINANCE
"""VoltLync's own people."""

SIGNED_IN: Roles = frozenset(Role) - GUEST
"""Everybody with an account."""


class Public:
    """The marker of routes that ask for no caller at all. Not a set: it cannot be or-ed with roles by mistake."""

    def __repr__(self) -> str:
        return "PUBLIC"


PUBLIC = Public()
