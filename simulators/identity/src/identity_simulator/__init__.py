"""A local OIDC issuer with JWKS: stands in for Clerk.

identity = IdentitySimulator()
await identity.start()
identity.issuer                          # http://127.0.0.1:40321
identity.token("finance")                # a signed RS256 access token
identity.token("admin", flaw="expired")  # one that must be refused
"""

from identity_simulator.clock import Clock, SystemClock
from identity_simulator.personas import PERSONAS, Persona, Role
from identity_simulator.simulator import IdentitySimulator, NotInProduction
from identity_simulator.tokens import FLAWS, Flaw

__all__ = ["FLAWS", "PERSONAS", "Clock", "Flaw", "IdentitySimulator", "NotInProduction", "Persona", "Role", "SystemClock"]
