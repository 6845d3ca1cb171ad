"""Who knocks, and may they come in: pure rules of the WebSocket handshake (OCPP-J 1.6 §3.1, §3.2; ocpp.md rows 1 to 6)."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import unquote

SUBPROTOCOL = "ocpp1.6"

CHARGE_POINT_ID_LENGTH_MAX = 64
"""As in the contracts; OCPP-J itself asks for at most 48 bytes before encoding."""

PASSWORD_BYTES_MAX = 256
"""OCPP's keys are 16 to 20 bytes; a header may not make us hash kilobytes."""


def charge_point_id_of(raw_path: str) -> str | None:
    """The identity in a request path as chargers really send it, or None where there is none.

    `/ocpp/CP1`, `///CP1`, `/ocpp/CP1/`, `/ws://10.0.0.5:9000/CP_1/SERIAL` all mean their last segment; it is percent-decoded
    once (`RDAM%20123`; `A%2FB` is one segment). The query is no part of it. Spelling is settled by the lookup.
    """
    path = raw_path.partition("?")[0].strip("/ ")
    identity = unquote(path.rpartition("/")[2]).strip().strip("\x00")
    if not identity or len(identity) > CHARGE_POINT_ID_LENGTH_MAX or not identity.isprintable():
        return None
    return identity


_ASKS_FOR_WEBSOCKET = re.compile(rb"^upgrade:[ \t]*websocket[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CONNECTION = re.compile(rb"^connection:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE)


def asking_to_upgrade(head: bytes) -> bytes:
    """A request's head, up to its empty line, with the `Connection: Upgrade` that RFC 6455 §4.1 asks for and some boxes forget.

    Only where it asks for a WebSocket; any other head is left as it is.
    """
    connection = _CONNECTION.search(head + b"\r\n")
    if (connection is not None and b"upgrade" in connection[0].lower()) or not _ASKS_FOR_WEBSOCKET.search(head):
        return head
    request_line, _, headers = head.partition(b"\r\n")
    rest = _CONNECTION.sub(b"", headers + b"\r\n").removesuffix(b"\r\n")
    return request_line + b"\r\nConnection: Upgrade\r\n" + rest


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """What to do about the offered WebSocket subprotocols."""

    accepted: bool
    """False: finish the handshake without one, then close (OCPP-J §3.2)."""
    echo: str | None = None
    """To be named in the answer, in the charger's own spelling (RFC 6455 wants it back exactly)."""


def choose_subprotocol(offered: str | None) -> Subprotocol:
    """Known chargers send no header at all, several versions, or odd spellings (`OCPP1.6`, `ocpp1.6;`): all are 1.6 to us."""
    names = [name.strip() for name in (offered or "").split(",")]
    names = [name for name in names if name]
    if not names:
        return Subprotocol(accepted=True)
    for name in names:
        bare = name.rstrip("; ").lower()
        if bare in {SUBPROTOCOL, "ocpp1.6j"}:
            # Only a clean token can be echoed; a box that sends `ocpp1.6;` is served without.
            return Subprotocol(accepted=True, echo=name if name.lower() == bare else None)
    return Subprotocol(accepted=False)


def basic_password(authorization: str | None) -> bytes | None:
    """The password of an HTTP Basic header as bytes, or None. The user name is not looked at (row 6: it is often wrong).

    Split at the first colon: a key given as 20 raw bytes may hold more of them, and need not be UTF-8.
    """
    scheme, _, encoded = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=False)
    except (binascii.Error, ValueError):
        return None
    _, colon, password = decoded.partition(b":")
    return password if colon and len(password) <= PASSWORD_BYTES_MAX else None


def hash_password(salt: str, password: bytes) -> str:
    """The stored form: hex SHA-256 over the salt's text and the password. Keys are long and random, so a fast hash serves."""
    return hashlib.sha256(salt.encode() + password).hexdigest()


def password_matches(salt: str, password_hash: str, presented: bytes) -> bool:
    """Whether the presented key is the stored one: hex text in either case and the 20 bytes it stands for are one key.

    Every form is compared, in constant time each. An empty stored hash (no password set) matches nothing.
    """
    if not password_hash:
        return False
    forms = [presented, presented.hex().encode(), presented.hex().upper().encode(), presented.lower(), presented.upper()]
    try:
        forms.append(bytes.fromhex(presented.decode("ascii")))
    except ValueError:
        forms.append(presented)
    # Lower and upper are other spellings of a hex key only; of a text password they are other passwords.
    if not _is_hex(presented):
        forms[3] = forms[4] = presented
    matched = False
    for form in forms:
        matched |= hmac.compare_digest(hash_password(salt, form), password_hash.lower())
    return matched


def _is_hex(text: bytes) -> bool:
    return len(text) % 2 == 0 and all(byte in b"0123456789abcdefABCDEF" for byte in text)
