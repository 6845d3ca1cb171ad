"""The Local Authorization List (OCPP 1.6 §3.5.3, §5.15): what a charger should know, and the fewest messages to teach it.

A list is a mapping of idTag → idTagInfo, both in OCPP's words.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from charging.domain.states import ForbiddenTransitionError

Entries = Mapping[str, Mapping[str, Any]]

SEND_LENGTH_MAX_UNTOLD = 50
"""Entries of one SendLocalList where the charger has not told SendLocalListMaxLength: some 5 kB, which small boxes take."""

NOT_SUPPORTED_VERSION = -1
"""What GetLocalListVersion answers where there are no local lists (§5.10)."""


class LocalListState(StrEnum):
    """Where the teaching of a charger's list stands."""

    IDLE = "IDLE"
    ASKING = "ASKING"
    """GetLocalListVersion is on its way."""
    SENDING = "SENDING"
    """SendLocalList is on its way."""
    FAILED = "FAILED"
    """The charger would not take it, or did not answer; tried again when it boots, a tag changes, or somebody asks for it."""
    UNSUPPORTED = "UNSUPPORTED"
    """The charger has no local list. Never asked again, as long as its firmware is the same."""


class LocalListHappening(StrEnum):
    """What moves it."""

    ASKED = "ASKED"
    SENT = "SENT"
    DONE = "DONE"
    FAILED = "FAILED"
    UNSUPPORTED = "UNSUPPORTED"


_S, _H = LocalListState, LocalListHappening

LOCAL_LIST_TRANSITIONS: Mapping[tuple[LocalListState, LocalListHappening], LocalListState] = {
    (_S.IDLE, _H.ASKED): _S.ASKING,
    (_S.IDLE, _H.SENT): _S.SENDING,
    (_S.IDLE, _H.FAILED): _S.FAILED,
    (_S.ASKING, _H.SENT): _S.SENDING,
    (_S.ASKING, _H.DONE): _S.IDLE,
    (_S.ASKING, _H.FAILED): _S.FAILED,
    (_S.ASKING, _H.UNSUPPORTED): _S.UNSUPPORTED,
    (_S.SENDING, _H.ASKED): _S.ASKING,
    (_S.SENDING, _H.SENT): _S.SENDING,
    (_S.SENDING, _H.DONE): _S.IDLE,
    (_S.SENDING, _H.FAILED): _S.FAILED,
    (_S.SENDING, _H.UNSUPPORTED): _S.UNSUPPORTED,
    (_S.FAILED, _H.ASKED): _S.ASKING,
    (_S.FAILED, _H.SENT): _S.SENDING,
    (_S.FAILED, _H.FAILED): _S.FAILED,
    (_S.UNSUPPORTED, _H.ASKED): _S.ASKING,
}

IN_FLIGHT = frozenset({LocalListState.ASKING, LocalListState.SENDING})


def next_local_list_state(state: LocalListState, happening: LocalListHappening) -> LocalListState:
    """Where it goes. Raises ForbiddenTransitionError."""
    after = LOCAL_LIST_TRANSITIONS.get((state, happening))
    if after is None:
        raise ForbiddenTransitionError(state, happening)
    return after


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the charger reports by configuration keys (§9.2); None: it has not said."""

    send_length_max: int | None = None
    """SendLocalListMaxLength"""
    list_length_max: int | None = None
    """LocalAuthListMaxLength"""
    managed: bool | None = None
    """Whether SupportedFeatureProfiles lists LocalAuthListManagement"""


def bounds_of(configuration: Mapping[str, str]) -> Bounds:
    """From configuration keys in lower case. A bound of 0 or of no number says nothing."""

    def number(key: str) -> int | None:
        text = configuration.get(key, "").strip()
        return int(text) if text.isdecimal() and int(text) > 0 else None

    features = configuration.get("supportedfeatureprofiles")
    return Bounds(
        send_length_max=number("sendlocallistmaxlength"),
        list_length_max=number("localauthlistmaxlength"),
        managed=None if features is None else "localauthlistmanagement" in features.lower().replace(" ", ""),
    )


@dataclass(frozen=True, slots=True)
class Update:
    """One SendLocalList.req. In a differential one an entry without idTagInfo is taken off the list."""

    version: int
    full: bool
    entries: Mapping[str, Mapping[str, Any] | None]

    def payload(self) -> dict[str, Any]:
        """In OCPP's words. A full one without entries empties the list."""
        listed = [{"idTag": tag} | ({"idTagInfo": dict(info)} if info is not None else {}) for tag, info in self.entries.items()]
        said: dict[str, Any] = {"listVersion": self.version, "updateType": "Full" if self.full else "Differential"}
        return said | ({"localAuthorizationList": listed} if listed else {})


def read_update(payload: Mapping[str, Any]) -> Update:
    """The update of a SendLocalList.req."""
    listed = payload.get("localAuthorizationList", [])
    return Update(
        payload["listVersion"], payload["updateType"] == "Full", {entry["idTag"]: entry.get("idTagInfo") for entry in listed}
    )


def difference(held: Entries, desired: Entries) -> dict[str, Mapping[str, Any] | None]:
    """What makes `desired` of `held`: new and changed entries, and None for those that go."""
    changed: dict[str, Mapping[str, Any] | None] = {tag: info for tag, info in desired.items() if held.get(tag) != info}
    return changed | {tag: None for tag in held if tag not in desired}


def plan(held: Entries | None, desired: Entries, *, version: int, length_max: int) -> tuple[Update, ...]:
    """The messages that make a charger's list `desired`, each of at most `length_max` entries, versions rising from `version`.

    One Differential where we know what it holds and the difference fits; else a Full, continued by Differentials. Nothing
    where nothing differs.
    """
    if held is not None:
        differing = difference(held, desired)
        if not differing:
            return ()
        if len(differing) <= length_max:
            return (Update(version, False, differing),)
    chunks = list(_chunks(list(desired.items()), length_max)) or [[]]
    return tuple(Update(version + index, index == 0, dict(chunk)) for index, chunk in enumerate(chunks))


def apply(held: Entries | None, update: Update) -> dict[str, Mapping[str, Any]] | None:
    """What a charger holds after it accepted an update; None: a differential one to a list that we do not know."""
    if held is None and not update.full:
        return None
    after = {} if update.full or held is None else dict(held)
    for tag, info in update.entries.items():
        if info is None:
            after.pop(tag, None)
        else:
            after[tag] = info
    return after


def _chunks(items: Sequence[tuple[str, Mapping[str, Any]]], size: int) -> Iterable[Sequence[tuple[str, Mapping[str, Any]]]]:
    return (items[begin : begin + size] for begin in range(0, len(items), size))
