"""The pure rules of settlement: KYC standings, the life of ledger entries and transfers, what Razorpay's words mean."""
