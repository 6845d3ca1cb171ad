"""What can be set, with defaults and a sentence each."""

from chassis.runtime import ServiceSettings


class JournalSettings(ServiceSettings):
    """Only what every service has, so far."""
