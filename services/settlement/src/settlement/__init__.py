"""Franchisees, linked accounts, commission ledger, transfers, reconciliation."""
