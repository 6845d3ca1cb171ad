"""A sandbox that speaks Razorpay's REST API and sends its signed webhooks."""
