"""The append-only record: OCPP message log, entity audit log."""
