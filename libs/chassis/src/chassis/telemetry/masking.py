"""What must not be read in a log: secrets vanish, personal data keeps just enough to recognise a case by."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

# A key with one of these words in it holds a credential, whatever its value looks like.
_SECRET_KEY = re.compile(
    r"password|passwd|secret|token|authorization|private_key|api_key|cookie|signature|credential|dsn", re.IGNORECASE
)
_PHONE_KEY = re.compile(r"(^|_)(phone|mobile|contact)($|_)", re.IGNORECASE)
_VPA_KEY = re.compile(r"(^|_)(vpa|upi_id)($|_)", re.IGNORECASE)
_NAME_KEY = re.compile(r"(^|_)(payer|rider|customer|account_holder)_name$|(^|_)email($|_)", re.IGNORECASE)

# Values are searched too: a VPA inside an exception's text is as personal as one under its key.
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_VPA_OR_MAIL = re.compile(r"(?<![\w.*@/-])([A-Za-z0-9][\w.-]{1,255})@([A-Za-z][\w.-]{1,63})")
_PHONE = re.compile(r"(?<![\w.])(?:\+?91[ -]?)?[6-9]\d{9}(?![\w.])")

# Deeper structures than this are no log fields; what lies below is shown as hidden, never as it is.
MAX_DEPTH = 6


def mask_vpa(vpa: str) -> str:
    """`rahul.sharma@okaxis` → `ra***@okaxis`; the bank's handle is no secret."""
    name, _, handle = vpa.partition("@")
    return f"{name[:2]}{HIDDEN}@{handle}" if handle else f"{name[:2]}{HIDDEN}"


def mask_phone(phone: str) -> str:
    """`+919876543210` → `******3210`."""
    digits = re.sub(r"\D", "", phone)
    return f"******{digits[-4:]}" if len(digits) > 4 else HIDDEN


def mask_text(text: str) -> str:
    """Hide credentials, VPAs, mail addresses and Indian mobile numbers inside a text."""
    if "@" in text:
        text = _URL_CREDENTIALS.sub(HIDDEN, text)
        text = _VPA_OR_MAIL.sub(lambda found: mask_vpa(found.group()), text)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _PHONE.sub(lambda found: mask_phone(found.group()), text)


def mask(value: Any, key: str = "", depth: int = 0) -> Any:
    """A copy of a log field or an error report without secrets and personal data. Numbers and other objects pass unchanged."""
    if value is None or isinstance(value, bool):
        return value
    if key and _SECRET_KEY.search(key):
        return HIDDEN
    if isinstance(value, str | int) and key:
        if _PHONE_KEY.search(key):
            return mask_phone(str(value))
        if isinstance(value, str) and _VPA_KEY.search(key):
            return mask_vpa(value)
        if isinstance(value, str) and _NAME_KEY.search(key):
            return mask_vpa(value) if "@" in value else f"{value[:1]}{HIDDEN}"
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        if depth >= MAX_DEPTH:
            return HIDDEN
        return {name: mask(item, str(name), depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        if depth >= MAX_DEPTH:
            return HIDDEN
        return [mask(item, key, depth + 1) for item in value]
    return value
