"""Replay (feature B5): a recorded OCPP log runs again through today's gateway and charging, in a sandbox of its own."""
