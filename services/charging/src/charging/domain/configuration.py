"""Configuration of chargers: what it should be, whether it is, and what to ask for next. Pure.

Desired are the platform's values (`configuration.yaml`), then those of the charger's quirk profile, then those that a person
set for it. Keys are compared without regard to case (row 93), values as chargers mean them: `True` is `true`, `"a, b"` is `a,b`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from charging.domain.quirk_profiles import QuirkProfile
from charging.domain.redaction import is_secret, shown
from charging.domain.states import CommandStatus

VALUE_CHARACTERS_MAX = 500
"""CiString500, which some exceed (row 31): more is cut, for it is only compared."""

KEYS_MAX = 500
"""Keys kept of one charger's listing: the longest seen has some 200; a liar must not fill our table."""


class ConfigurationState(StrEnum):
    """Where the conversation with a charger stands."""

    WAITING = "WAITING"
    """For its time, for quiet, or for a session to end."""
    LISTING = "LISTING"
    """GetConfiguration is out."""
    CHANGING = "CHANGING"
    """A ChangeConfiguration is out."""
    READING_BACK = "READING_BACK"
    """GetConfiguration of what was changed is out."""
    DONE = "DONE"
    """Until its firmware or the desired values change, or a day has passed."""
    GIVEN_UP = "GIVEN_UP"
    """It hung or dropped again and again: left alone until its firmware changes or a person asks."""
    LEFT_ALONE = "LEFT_ALONE"
    """Its quirk profile says that it takes no such commands (rows 13, 14)."""


UNDER_WAY = frozenset({ConfigurationState.LISTING, ConfigurationState.CHANGING, ConfigurationState.READING_BACK})


class KeyAnswer(StrEnum):
    """What came of a ChangeConfiguration."""

    ACCEPTED = "ACCEPTED"
    REBOOT_REQUIRED = "REBOOT_REQUIRED"
    REJECTED = "REJECTED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    ERROR = "ERROR"
    """A CALLERROR."""
    NO_ANSWER = "NO_ANSWER"
    """It hung, or dropped the connection: not tried again on this firmware."""


TOOK = frozenset({KeyAnswer.ACCEPTED, KeyAnswer.REBOOT_REQUIRED})
DECLINED = frozenset({KeyAnswer.REJECTED, KeyAnswer.NOT_SUPPORTED, KeyAnswer.ERROR})


def answer_of(status: CommandStatus, said: str) -> KeyAnswer | None:
    """From a command's end. None: it was never sent, so nothing was learned."""
    if status is CommandStatus.ANSWERED:
        return KeyAnswer.REBOOT_REQUIRED if said == "RebootRequired" else KeyAnswer.ACCEPTED
    if status is CommandStatus.REJECTED:
        return KeyAnswer.NOT_SUPPORTED if said in ("NotSupported", "NotImplemented") else KeyAnswer.REJECTED
    if status is CommandStatus.CALL_ERROR:
        return KeyAnswer.ERROR
    return None if status is CommandStatus.EXPIRED else KeyAnswer.NO_ANSWER


@dataclass(frozen=True, slots=True)
class Desired:
    """A key, what it should be, and what will do."""

    key: str
    value: str
    between: tuple[int, int] | None = None
    """Any number from the first to the second will do: nothing is sent for it."""
    fallbacks: tuple[str, ...] = ()
    """Lesser values for a charger that declines the first, in this order."""

    def met_by(self, reported: str) -> bool:
        """Whether what the charger reports will do."""
        if self.between is not None:
            number = _number(reported)
            return number is not None and self.between[0] <= number <= self.between[1]
        return same(self.value, reported)

    def next_after(self, value: str) -> "Desired | None":
        """The next lesser wish after one that was declined."""
        ladder = (self.value, *self.fallbacks)
        for index, each in enumerate(ladder):
            if same(each, value) and index + 1 < len(ladder):
                return Desired(self.key, ladder[index + 1])
        return None


def same(one: str, other: str) -> bool:
    """Whether two values mean the same: lists item by item, numbers as numbers, words in any case, quotes apart (row 31)."""
    return _meaning(one) == _meaning(other)


def _meaning(value: str) -> tuple[Any, ...]:
    items = [item.strip().strip("\"'").strip().casefold() for item in value.split(",")]
    return tuple(item if (number := _number(item)) is None else number for item in items if item)


def _number(text: str) -> int | None:
    text = text.strip()
    whole, _, rest = text.partition(".")
    return int(whole) if whole.isascii() and whole.isdecimal() and not rest.strip("0") and len(whole) <= 12 else None


def desired_of(platform: Sequence[Desired], profile: QuirkProfile, overrides: Mapping[str, tuple[str, str]]) -> list[Desired]:
    """What a charger should have, in the order of asking. `overrides`: lower-case key → (key, value). Denied keys are left out.

    A person's override stands even where a profile denies the key: whoever sets it for one charger knows this charger.
    """
    wished: dict[str, Desired] = {each.key.casefold(): each for each in platform}
    for key, value in profile.configuration.items():
        wished[key.casefold()] = Desired(key, value)
    wished = {name: each for name, each in wished.items() if not profile.denies_key(name)}
    for name, (key, value) in overrides.items():
        wished[name] = Desired(key, value)
    return list(wished.values())


@dataclass(slots=True)
class Key:
    """What is known of one key of one charger. As in `tables.configuration_keys`."""

    name: str
    key: str
    override: str | None = None
    desired: str | None = None
    position: int | None = None
    reported: str | None = None
    readonly: bool | None = None
    seen_at: Any = None
    sent: str | None = None
    sent_at: Any = None
    answer: KeyAnswer | None = None
    settled: bool = False
    fallback: bool = False


@dataclass(slots=True)
class Configuration:
    """All keys of a charger, and what they should be."""

    keys: dict[str, Key]
    wished: list[Desired] = field(default_factory=list)

    def wish(self, wished: Iterable[Desired]) -> None:
        """Take these as desired. A lesser value that the charger was content with stays, unless the wish itself changed."""
        self.wished = list(wished)
        names = {each.key.casefold() for each in self.wished}
        for name, key in self.keys.items():
            if name not in names:
                key.desired, key.position, key.fallback = None, None, False
        for position, each in enumerate(self.wished):
            key = self.keys.setdefault(each.key.casefold(), Key(each.key.casefold(), each.key))
            lesser = key.fallback and key.desired is not None and any(same(key.desired, value) for value in each.fallbacks)
            if not lesser:
                if key.sent is not None and not same(key.sent, each.value):
                    key.settled = False  # another value than the one it was asked for
                key.desired, key.fallback = each.value, False
            key.position = position

    def forget_probes(self) -> None:
        """Another firmware, or a person who asks: everything may be tried once more."""
        for key in self.keys.values():
            key.settled = key.fallback = False
            key.answer = None

    def take_listing(self, response: Mapping[str, Any], at: Any) -> None:
        """GetConfiguration.conf, as leniently as chargers write it (rows 31, 93). What it now calls unknown is no more."""
        listed = response.get("configurationKey")
        for item in listed if isinstance(listed, list) else []:
            if not isinstance(item, Mapping) or not isinstance(item.get("key"), str) or not item["key"].strip():
                continue
            spelled = item["key"].strip()[:100]
            name = spelled.casefold()
            if name not in self.keys and len(self.keys) >= KEYS_MAX:
                continue
            key = self.keys.setdefault(name, Key(name, spelled))
            key.key = spelled
            key.reported = shown(spelled, _text(item.get("value")))
            key.readonly = item.get("readonly") is True
            key.seen_at = at
        unknown = response.get("unknownKey")
        for word in unknown if isinstance(unknown, list) else []:
            gone = self.keys.get(str(word).strip().casefold())
            if gone is not None:
                gone.reported, gone.readonly = None, None

    def next_change(self) -> Key | None:
        """The next key to ask for, in order; None: all is as it can be. One that can't be changed is not asked for."""
        for each in self.wished:
            key = self.keys[each.key.casefold()]
            if key.settled or key.readonly or is_secret(key.key) or self._met(each, key):
                continue
            return key
        return None

    def asked(self, name: str, answer: KeyAnswer) -> Key:
        """A ChangeConfiguration ended. Declined: its lesser value is wished for next, if there is one."""
        key = self.keys[name]
        key.answer, key.settled = answer, True
        if answer in DECLINED and key.sent is not None:
            wish = next((each for each in self.wished if each.key.casefold() == name), None)
            lesser = wish.next_after(key.sent) if wish is not None else None
            if lesser is not None:
                key.desired, key.fallback, key.settled = lesser.value, True, False
        return key

    def drifting(self, key: Key) -> bool:
        """Whether the charger reports another value than it should have. Unknown is no drift."""
        wish = next((each for each in self.wished if each.key.casefold() == key.name), None)
        return wish is not None and key.reported is not None and not is_secret(key.key) and not self._met(wish, key)

    @property
    def drift(self) -> int:
        """How many keys are not as desired."""
        return sum(self.drifting(key) for key in self.keys.values())

    def _met(self, wish: Desired, key: Key) -> bool:
        if key.reported is None:
            return False
        return same(key.desired or "", key.reported) if key.fallback else wish.met_by(key.reported)


def _text(value: Any) -> str | None:
    """A value as text: some send numbers and booleans, some nothing for what is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()[:VALUE_CHARACTERS_MAX]
