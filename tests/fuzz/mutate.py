"""Frame K of seed N. The bytes depend on these two numbers alone, so that `--seed N --only K` shows a finding again."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tests.fuzz import corpus
from tests.fuzz.wire import BINARY, TEXT, encode

FRAME_BYTES_MAX = 1024 * 1024
"""GatewaySettings.frame_bytes_max, on which the gateway closes a socket: frames stay below it, garbage goes beyond."""

LONG_TEXTS = (*(30, 51, 256, 300) * 6, *(5000,) * 3, 70_000)
DEPTHS = (5, 30, 31, 32, 33, 34, 100, 199, 253, 255, 300, 600, 1023, 1025, 3000)
"""Around the bounds of the gateway, of orjson (254 written, 1024 read) and of Python's stack."""

GARBAGE_ONE_IN = 1500
"""Garbage ends a socket, and each new handshake costs milliseconds."""

HUGE_ONE_IN = 4000
"""Frames just under the limit."""

_DEEP, _RAW = "@deep@", "@raw@"
"""Placeholders for what json.dumps does not write."""

_RAW_TEXTS = (
    "1e999", "-1e999", "9" * 400, "9" * 5000, "-0", "1E+2", "NaN", "-Infinity", "01", "0x1", "tru", "''", "1.", ".5", "\x00",
    "18446744073709551616", "-9223372036854775809", "1e-400", "/**/", "\\u0000", '"\\ud83d\\u0000\\ude00"', '"\\x41"', '"\t"',
)  # fmt: skip

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63, -(2**63), 10**30, "", " ", "\x00", "a\x00b", "\ud800",
    "\udc00\ud800", "\U0001f50c", "é", "\u2028", "1e5", "NaN", "-1", "null", "Wh", "2026-13-45T99:99:99Z", "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:59.999999+14:00", "'; DROP TABLE x; --", "%s%n", "\\", '"', [], {}, [[]], [None], {"": {}},
    {"value": []}, _DEEP, _RAW,
)  # fmt: skip

_IDS: tuple[Any, ...] = (
    None, 0, -1, 7, 2**31, 2**53 + 1, 2**64, 1.5, True, "", " ", "\x00", "\ud800", "é", "x" * 36, "x" * 255, "x" * 256,
    "x" * 5000, [], {}, [1], '"', "\\", _RAW,
)  # fmt: skip

_TYPES: tuple[Any, ...] = (0, 1, 3, 4, 5, -2, 2.0, 2.5, "2", "3", "", None, True, [2], {}, 2**64, "CALL", _RAW)

_TOKENS = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\x00",
    b"\xff", b"\xed\xa0\x80", b"null", b"e9", b"-", b"\xef\xbb\xbf", b"\n",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to send."""

    number: int
    kind: str
    data: bytes
    """The payload; of garbage the bytes as they go on the wire."""
    wire: bytes
    """All WebSocket frames of it."""
    garbage: bool = False
    """It breaks WebSocket: this socket ends, and the sender expects no answer."""

    def bears(self, message_id: object) -> bool:
        """Whether this id can come from this frame alone; what mutation leaves as an id may be anybody's."""
        return isinstance(message_id, str) and message_id.startswith(f"{self.number:x}.")

    @property
    def honest(self) -> bool:
        """A real frame, unchanged: it deserves a CALLRESULT."""
        return self.kind == "real"


Random = random.Random

# As JSON: read anew each time, which is cheaper than a deep copy.
_REAL = [(action, orjson.dumps(payload)) for action, payload in corpus.REAL]
_TRACED = [(action, orjson.dumps(payload)) for action, payload in corpus.TRACED]
_ANSWERS = [orjson.dumps(answer) for answer in corpus.ANSWERS]


def frame(seed: int, number: int) -> Frame:
    """Frame `number` of `seed`."""
    rng = Random(seed << 40 | number)
    if rng.randrange(GARBAGE_ONE_IN) == 0:
        kind, raw = rng.choice(_GARBAGE)
        wire = raw(rng)
        return Frame(number, kind, wire, wire, garbage=True)
    if rng.randrange(HUGE_ONE_IN) == 0:
        kind, data = "huge", _huge(rng, _fresh_id(rng, number))
    else:
        kind, make = rng.choices(_KINDS, _WEIGHTS)[0]
        data = make(rng, _fresh_id(rng, number))
    data = data[:FRAME_BYTES_MAX]
    return Frame(number, kind, data, _on_wire(rng, data))


def _fresh_id(rng: Random, number: int) -> str:
    """An id that no mutation of another frame's turns into."""
    return f"{number:x}.{rng.getrandbits(32):08x}"


def _on_wire(rng: Random, data: bytes) -> bytes:
    """As text or binary, whole or in pieces with a ping in between, masked really or with zeros."""
    opcode = BINARY if rng.random() < 0.1 else TEXT
    key = rng.getrandbits(32).to_bytes(4, "big") if rng.random() < 0.1 else bytes(4)
    if rng.random() >= 0.03 or not data:
        return encode(opcode, data, key)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(1, 3)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    pieces = [piece for piece in pieces if piece]
    parts = [encode(0 if place else opcode, piece, key, fin=place == len(pieces) - 1) for place, piece in enumerate(pieces)]
    return encode(0x9, b"between", key).join(parts)


def _dump(rng: Random, message: Any) -> bytes:
    text = json.dumps(message, ensure_ascii=rng.random() < 0.6, separators=(",", ":") if rng.random() < 0.5 else (" , ", " : "))
    if _RAW in text:
        text = text.replace(f'"{_RAW}"', rng.choice(_RAW_TEXTS))
    if _DEEP in text:
        depth = rng.choice(DEPTHS)
        opened, closed = rng.choice((("[", "]"), ('{"a":', "}"), ('[{"meterValue":', "}]")))
        text = text.replace(f'"{_DEEP}"', opened * depth + "1" + closed * depth, 1)
    return text.encode("utf-8", "surrogatepass")


def _call(rng: Random, fresh: str) -> list[Any]:
    action, payload = rng.choice(_TRACED if _TRACED and rng.random() < 0.1 else _REAL)
    return [2, fresh, action, orjson.loads(payload)]


def _real(rng: Random, fresh: str) -> bytes:
    return json.dumps([2, fresh, *rng.choice(corpus.REAL)]).encode()


def _unserved(rng: Random, fresh: str) -> bytes:
    action, payload = rng.choice(corpus.UNSERVED)
    return _dump(rng, [2, fresh, action, payload])


def _bytes(rng: Random, fresh: str) -> bytes:
    """Bit flips, cuts, insertions, spans twice or gone, another frame's end."""
    data = bytearray(_real(rng, fresh))
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        span = rng.randint(1, 1 + min(40, len(data)))
        match rng.randrange(8):
            case 0 | 1 if place < len(data):
                data[place] ^= 1 << rng.randrange(8)
            case 2 if place < len(data):
                data[place] = rng.randrange(256)
            case 3:
                del data[place:]
            case 4:
                data[place:place] = rng.choice(_TOKENS)
            case 5:
                data[place:place] = data[place : place + span]
            case 6:
                del data[place : place + span]
            case _:
                data[place:] = _real(rng, fresh)[place:]
    return bytes(data)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(item, dict | list):
            _places(item, found)
    return found


def _odd(rng: Random) -> Any:
    if rng.random() < 0.1:
        return rng.choice(("x", "é", "\U0001f50c", "\x00", '"', "\ud800")) * rng.choice(LONG_TEXTS)
    value = rng.choice(_ODD)
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def _structure(rng: Random, fresh: str) -> bytes:
    """Other values, names and shapes in the payload."""
    message = _call(rng, fresh)
    payload = message[3]
    for _ in range(rng.randint(1, 3)):
        places = _places(payload, [])
        if not places or rng.random() < 0.2:
            payload[rng.choice((*corpus.KEYS, "", "\x00", "\ud800", "x" * 300, "__proto__"))] = _odd(rng)
            continue
        holder, key = rng.choice(places)
        match rng.randrange(7):
            case 0:
                del holder[key]
            case 1:
                holder[key] = [holder[key]] * rng.choice((1, 2, 60))
            case 2:
                holder[key] = {rng.choice(corpus.KEYS): holder[key]}
            case 3:
                holder[key] = json.dumps(holder[key])
            case 4 if isinstance(holder, dict):
                holder[rng.choice((str(key).lower(), str(key).upper(), rng.choice(corpus.KEYS)))] = holder.pop(key)
            case _:
                holder[key] = _odd(rng)
    return _dump(rng, message)


def _envelope(rng: Random, fresh: str) -> bytes:
    """Another message type, id, action, payload or number of elements; or no array."""
    message: list[Any] = _call(rng, fresh)
    match rng.randrange(9):
        case 0 | 1:
            message[1] = rng.choice(_IDS)
        case 2:
            message[0] = rng.choice(_TYPES)
        case 3:
            message[2] = rng.choice((None, 1, [], {}, "heartbeat", "Heartbeat ", "\x00", "\ud800", "x" * 5000, "__class__", _RAW))
        case 4:
            message[3] = _odd(rng)
        case 5:
            del message[rng.randrange(5) :]
        case 6:
            message += [_odd(rng) for _ in range(rng.randint(1, 3))]
        case 7:
            other: tuple[Any, ...] = ([message], {"0": 2, "1": fresh}, fresh, 2, None, [], {}, message[::-1], _RAW)
            message = rng.choice(other)
        case _:
            message[rng.randrange(4)] = _odd(rng)
    return _dump(rng, message)


def _deep(rng: Random, fresh: str) -> bytes:
    message = _call(rng, fresh)
    if rng.random() < 0.3:
        message = [2, fresh, "DataTransfer", {"vendorId": "in.maker", "data": _DEEP}]
    elif rng.random() < 0.5:
        message[3][rng.choice(corpus.KEYS)] = _DEEP
    else:
        message[rng.choice((0, 1, 2, 3, 3, 3))] = _DEEP
    data = _dump(rng, message)
    return data[: rng.randrange(1, len(data))] if rng.random() < 0.1 else data


def _answer(rng: Random, fresh: str) -> bytes:
    """CALLRESULT and CALLERROR for nobody."""
    message = orjson.loads(rng.choice(_ANSWERS))
    if rng.random() < 0.5:
        message[1] = fresh
    if rng.random() < 0.5:
        message[rng.randrange(1, len(message))] = _odd(rng)
    if rng.random() < 0.3:
        message += [_odd(rng)]
    return _dump(rng, message)


def _glued(rng: Random, fresh: str) -> bytes:
    """Several messages in one frame (some boxes do)."""
    between = rng.choice((b"", b"\n", b"\x00", b",", b" ]"))
    return between.join(_real(rng, f"{fresh}.{place}") for place in range(rng.choice((2, 2, 3, 20))))


def _noise(rng: Random, _fresh: str) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 2, 20, 200, 2000)))


def _huge(rng: Random, fresh: str) -> bytes:
    """Just under the limit: parsers must not take more than linear time over it."""
    size = FRAME_BYTES_MAX - 200
    match rng.randrange(7):
        case 0:
            filling = b'{"data":"%b","vendorId":"x"}' % (b"x" * (size - 100))
        case 1:
            filling = b"[" * size
        case 2:
            filling = b'{"a":[%b]}' % b",".join([b"1"] * (size // 2 - 10))
        case 3:
            filling = b'"' + b"\\" * (size // 2 * 2) + b'"'
        case 4:
            filling = b"9" * size
        case 5:
            filling = b'{"data":"%b","vendorId":"x"}' % (b"\\u0000" * (size // 6 - 20))
        case _:
            filling = b'"' + b"\\ud800" * (size // 6 - 2) + b'"'
    return b'[2,"%b","DataTransfer",%b]' % (fresh.encode(), filling)


def _beyond_limit(rng: Random) -> bytes:
    data = b'[2,"1","DataTransfer",{"vendorId":"%b"}]' % (b"x" * (FRAME_BYTES_MAX + 1))
    if rng.random() < 0.5:
        return encode(TEXT, data)
    # In pieces: the sum counts.
    piece = 65_536
    return encode(TEXT, b"", fin=False) + b"".join(
        encode(0, data[at : at + piece], fin=False) for at in range(0, len(data), piece)
    )


_GARBAGE: tuple[tuple[str, Callable[[Random], bytes]], ...] = (
    ("reserved bits", lambda rng: encode(TEXT, b"[]", rsv=rng.choice((0x10, 0x20, 0x40, 0x70)))),
    ("unknown opcode", lambda rng: encode(rng.choice((3, 4, 7, 0xB, 0xF)), b"[]")),
    ("continuation of nothing", lambda _: encode(0, b"[]")),
    ("text within fragments", lambda _: encode(TEXT, b"[", fin=False) + encode(TEXT, b"]")),
    ("fragmented ping", lambda _: encode(0x9, b"x", fin=False)),
    ("long ping", lambda _: bytes([0x89, 0xFE, 0x01, 0x00]) + bytes(4 + 256)),
    ("length 2^63-1", lambda _: bytes([0x81, 0xFF]) + (2**63 - 1).to_bytes(8, "big") + bytes(4) + b"x" * 1000),
    ("length 2^64-1", lambda _: bytes([0x81, 0xFF]) + b"\xff" * 8 + bytes(4) + b"x" * 1000),
    ("message too long", _beyond_limit),
    ("bad close code", lambda rng: encode(0x8, rng.choice((b"\x00\x01", b"\x03\xed", b"\x13\x88\xff")))),
    ("one byte of close", lambda _: encode(0x8, b"x")),
    ("unmasked, then close", lambda _: b'\x81\x02[]' + encode(0x8, b"\x03\xe8")),
    ("bytes of chance", lambda rng: b"\xf3" + rng.randbytes(rng.randint(10, 3000))),
    ("half a frame, then gone", lambda _: encode(TEXT, b"x" * 500)[:100]),
)  # fmt: skip
"""Each ends its socket: by the gateway, or in the last case by ourselves."""

_KINDS: tuple[tuple[str, Callable[[Random, str], bytes]], ...] = (
    ("real", _real), ("structure", _structure), ("bytes", _bytes), ("envelope", _envelope), ("answer for nobody", _answer),
    ("unserved", _unserved), ("deep", _deep), ("glued", _glued), ("noise", _noise),
)  # fmt: skip
_WEIGHTS = (14, 32, 24, 14, 5, 3, 3, 2, 3)
