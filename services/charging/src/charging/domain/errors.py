"""What charging refuses a caller, for a reason that the caller can read."""


class NotFoundError(Exception):
    """There is no such thing, or it is not for this caller to see."""


class ConflictError(Exception):
    """It exists already, or is in a state in which this can't be done."""


class InvalidCommandError(Exception):
    """An OCPP payload that the operation's schema refuses."""
