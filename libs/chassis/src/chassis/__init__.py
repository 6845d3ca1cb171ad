"""What every service is mounted on: messaging, database, web, telemetry, runtime."""
