"""QR codes, webhooks, QR payments, riders, bills, refunds."""
