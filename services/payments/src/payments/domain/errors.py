"""What the rules of payments refuse."""


class PaymentsError(Exception):
    """Anything that payments refuses for a reason that a caller can read."""


class NotFoundError(PaymentsError):
    """There is no such thing, or it is not for this caller to see."""


class ConflictError(PaymentsError):
    """The thing is in a state in which this can't be done."""


class MalformedEventError(PaymentsError):
    """A verified Razorpay event whose body is not what Razorpay documents: it is kept, and an operator sees why it failed."""


class InvalidSignatureError(PaymentsError):
    """A webhook that Razorpay did not sign. Nothing of it is stored or believed."""


class ContradictionError(PaymentsError):
    """Two facts that can't both be true, such as a session on a payment that has been refunded. Stops; a person has to look."""


class ProviderUnavailableError(PaymentsError):
    """Razorpay can't be asked just now, or refused what we asked."""


class UnansweredError(PaymentsError):
    """Another service of ours did not answer in time."""
