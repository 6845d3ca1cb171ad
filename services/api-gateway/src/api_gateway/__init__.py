"""The one public door: identity, roles, rate limits, routing, one OpenAPI document."""
