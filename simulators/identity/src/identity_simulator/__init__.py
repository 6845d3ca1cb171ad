"""A local OIDC issuer with JWKS: stands in for Clerk."""
