"""Plays a trace: the charger's frames go to a real socket of today's gateway, at their times, on a clock that steps.

Two things of a record can't be repeated as they were, and are translated: the idTags that we mint for paid starts, and the
transaction ids that we give. What the charger answered to a command then, it answers to the same operation now.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from money import final_bill
from testkit.bare_charger import BareCharger
from testkit.field import Field
from voltlync.replay.trace import Line, Trace

PAID_PAISE = 100_000
"""What a rider is taken to have paid where the trace knows of a RemoteStart and of no payment: 1,000 rupees."""

REPEATED = frozenset(
    {"ChangeAvailability", "ChangeConfiguration", "ClearCache", "GetConfiguration", "Reset", "UnlockConnector", "TriggerMessage"}
)
"""Operations that people asked for then: asked for again. RemoteStart and RemoteStop are decisions: today's code makes them."""

AFTERMATH_SECONDS = 1000
"""Most time that passes after the last line while a session is open: longer than every window of a session."""

AFTERMATH_STEP_SECONDS = 50

UNRECORDED: Mapping[str, Mapping[str, Any]] = {
    "RemoteStartTransaction": {"status": "Accepted"},
    "RemoteStopTransaction": {"status": "Accepted"},
}
"""What the charger is taken to say to an operation that the record has not. To any other it says NotImplemented."""

SHOWN = ("state", "stop_intent", "stop_reason", "ocpp_stop_reason", "resume_count", "implausible")
"""What of a transaction makes a step when it changes."""


_TRANSACTION_ID = re.compile(r'("transactionId"\s*:\s*)(\d{1,18})')


@dataclass
class Outcome:
    """What today's code made of a trace: compare two with `--diff`."""

    steps: list[str] = field(default_factory=list)
    transactions: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {"steps": self.steps, "transactions": self.transactions}


class Player:
    """One trace in one sandbox."""

    def __init__(self, sandbox: Field, trace: Trace, *, paise: int = PAID_PAISE, tell: Callable[[str], None]) -> None:
        self._field = sandbox
        self._trace = trace
        self._paise = paise
        self._tell = tell
        self._outcome = Outcome()
        self._charger: BareCharger | None = None
        self._shown: dict[str, dict[str, Any]] = {}
        self._energy: dict[str, int] = {}
        self._our_tag: dict[str, str] = {}
        self._our_id: dict[int, int] = {}
        self._name: dict[str, str] = {}
        self._asked: dict[str, tuple[str, int | None]] = {}
        """Message id of a frame of the record → (its action, our transaction's id where it was a StartTransaction)."""
        self._open: defaultdict[str, deque[str]] = defaultdict(deque)
        """Today's CALLs that wait for the charger's answer, by action."""
        self._seen = 0
        self._payments_known = any(line.event == "paid" for line in trace.lines)
        self._recorded = {str(line.frame[2]) for line in trace.lines if line.event == "out" and line.frame[:1] == (2,)}
        """Operations whose answers the record has."""

    async def play(self) -> Outcome:
        """Replay it all; what came of it."""
        header = self._trace.header
        self._outlet = await self._field.outlet(
            name=header.charge_point_id,
            connectors=header.connectors,
            rated_power_w=header.rated_power_w,
            kind=header.connector_kind,
            paise_per_kwh=header.paise_per_kwh,
            gst_bps=header.gst_bps,
            quirks_of_record=header.quirks or None,
            online=False,
        )
        for line in self._trace.lines:
            await self._field.pass_seconds(max(0.0, (line.at - self._field.clock.now()).total_seconds()))
            await self._look()
            await self._play(line)
            await self._field.rest()
            await self._look()
        for _ in range(AFTERMATH_SECONDS // AFTERMATH_STEP_SECONDS):
            if all(transaction["state"] == "STOPPED" for transaction in await self._field.transactions(self._outlet)):
                break
            await self._field.pass_seconds(AFTERMATH_STEP_SECONDS)
            await self._look()
        for transaction in await self._field.transactions(self._outlet):
            self._outcome.transactions.append(self._summary(transaction))
        await self._leave()
        return self._outcome

    def _step(self, text: str) -> None:
        line = f"{self._field.clock.now():%Y-%m-%d %H:%M:%S}  {text}"
        self._outcome.steps.append(line)
        self._tell(line)

    # -- the record's lines

    async def _play(self, line: Line) -> None:
        if line.event == "connected":
            await self._connect()
        elif line.event == "disconnected":
            await self._leave()
            self._step("charger    disconnected")
        elif line.event == "paid":
            await self._pay(line.connector, line.paise, line.fee_paise)
        elif line.event == "in":
            await self._from_charger(line)
        else:
            await self._to_charger(line)

    async def _connect(self) -> None:
        # The newer socket first: some come back before the old one is gone.
        before = self._charger
        try:
            self._charger = await self._field.bare(self._outlet)
        except aiohttp.WSServerHandshakeError as refused:
            self._step(f"gateway    refused the connection: {refused.status}")
            return
        self._seen = 0
        self._open.clear()
        self._step("charger    connected")
        if before is not None:
            await before.stop()

    async def _leave(self) -> None:
        if self._charger is not None:
            await self._charger.stop()
            self._charger = None

    async def _pay(self, connector: int, paise: int, fee_paise: int, their_tag: str | None = None) -> None:
        key = await self._field.paid_start(self._outlet, connector=connector, paise=paise, fee_paise=fee_paise)
        request = await self._field.start_request(key)
        self._step(f"payments   {paise / 100:.2f} rupees for connector {connector}: start {request['state']}")
        if their_tag is not None and (tag := await self._field.tag_of(key)):
            self._our_tag[their_tag.upper()] = tag

    async def _from_charger(self, line: Line) -> None:
        if self._charger is None or not self._charger.connected:
            await self._connect()
        if self._charger is None:
            return
        if not line.frame or len(line.frame) < 3:
            await self._charger.send(_TRANSACTION_ID.sub(self._our_id_in_text, line.text))
            self._step(f"charger    sent what is no message: {line.text[:60]!r}")
            return
        kind, message_id = line.frame[0], str(line.frame[1])
        if kind == 2 and len(line.frame) >= 4:
            await self._call(line, str(line.frame[2]), message_id)
        elif kind in (3, 4):
            await self._answer(line, message_id)
        else:
            await self._charger.send(line.text)

    async def _call(self, line: Line, action: str, message_id: str) -> None:
        assert self._charger is not None
        payload = self._translated(line.frame[3])
        if action in ("StartTransaction", "Authorize") and isinstance(payload, dict):
            await self._know_tag(payload)
        seen = len(self._charger.received)
        await self._charger.send([2, line.frame[1], action, payload])
        answer = await self._charger.first_answer(message_id, after=seen)
        answers = [] if answer is None else [answer]
        await self._field.rest()
        said = "no answer" if not answers else _brief(answers[0])
        our_id = answers[0][2].get("transactionId") if answers and answers[0][0] == 3 else None
        self._asked[message_id] = (action, our_id if action == "StartTransaction" else None)
        if action not in ("Heartbeat", "MeterValues"):
            self._step(f"charger    {action} {_brief_payload(line.frame[3])} → {said}")
        elif not answers or answers[0][0] == 4:
            self._step(f"charger    {action} → {said}")

    async def _know_tag(self, payload: dict[str, Any]) -> None:
        """A tag that no payment brought is staff's: known, as it was then."""
        tag = str(payload.get("idTag", ""))
        if tag and tag not in self._our_tag.values() and tag.upper() not in self._our_tag:
            self._our_tag[tag.upper()] = tag
            await self._field.staff_tag(tag)

    async def _answer(self, line: Line, message_id: str) -> None:
        assert self._charger is not None
        action, _ = self._asked.get(f"out/{message_id}", ("", None))
        waiting = self._open[action]
        if not waiting:
            if action and action not in REPEATED:
                self._step(f"charger    answered {action}, which today's code had not sent")
            return
        await self._charger.send([line.frame[0], waiting.popleft(), *line.frame[2:]])
        self._step(f"charger    answered {action}: {_brief([line.frame[0], '', *line.frame[2:]])}")

    async def _to_charger(self, line: Line) -> None:
        """What the central system of then said: its ids are learnt, what people asked for is asked for again."""
        if len(line.frame) < 3:
            return
        kind, message_id = line.frame[0], str(line.frame[1])
        if kind == 3:
            action, ours = self._asked.get(message_id, ("", None))
            theirs = line.frame[2].get("transactionId") if isinstance(line.frame[2], dict) else None
            if action == "StartTransaction" and isinstance(theirs, int) and ours is not None:
                self._our_id[theirs] = ours
            return
        if kind != 2 or len(line.frame) < 4:
            return
        action, payload = str(line.frame[2]), line.frame[3] if isinstance(line.frame[3], dict) else {}
        self._asked[f"out/{message_id}"] = (action, None)
        if action == "RemoteStartTransaction":
            await self._remotely_started(payload)
        elif action in REPEATED:
            await self._field.api(
                "POST", f"/v1/chargers/{self._outlet.id}/commands", {"action": action, "payload": self._translated(payload)}
            )

    async def _remotely_started(self, payload: dict[str, Any]) -> None:
        theirs = str(payload.get("idTag", ""))
        if not self._payments_known:
            await self._pay(int(payload.get("connectorId", 1)), self._paise, 0, their_tag=theirs)
        elif self._charger is not None and (ours := self._charger.calls("RemoteStartTransaction")):
            self._our_tag[theirs.upper()] = ours[-1]["idTag"]

    def _our_id_in_text(self, found: re.Match[str]) -> str:
        return found[1] + str(self._our_id.get(int(found[2]), int(found[2])))

    def _translated(self, payload: Any) -> Any:
        """A payload in today's ids. Ids that the record never gave (0, -1, garbage) stay as they are."""
        if not isinstance(payload, dict):
            return payload
        said = dict(payload)
        if isinstance(said.get("transactionId"), int):
            said["transactionId"] = self._our_id.get(said["transactionId"], said["transactionId"])
        if isinstance(said.get("idTag"), str):
            tag = said["idTag"].strip()
            said["idTag"] = said["idTag"].replace(tag, self._our_tag.get(tag.upper(), tag))
        return said

    # -- what today's code does

    async def _look(self) -> None:
        """Tell what changed: commands that were sent, states, energy."""
        if self._charger is not None:
            for frame in self._charger.received[self._seen :]:
                if frame[0] == 2:
                    self._step(f"central    {frame[2]} {self._named(_brief_payload(frame[3]))}")
                    if frame[2] in self._recorded:
                        self._open[frame[2]].append(frame[1])
                    elif frame[2] in UNRECORDED:
                        await self._charger.send([3, frame[1], UNRECORDED[frame[2]]])
                    else:
                        await self._charger.send([4, frame[1], "NotImplemented", "", {}])
            self._seen = len(self._charger.received)
            await self._field.rest()
        for transaction in await self._field.transactions(self._outlet):
            self._tell_changes(transaction)

    def _tell_changes(self, transaction: dict[str, Any]) -> None:
        name = self._name.setdefault(transaction["id"], f"session {len(self._name) + 1}")
        now = {key: transaction[key] for key in SHOWN}
        before = self._shown.get(transaction["id"], dict.fromkeys(SHOWN))
        changed = [f"{key} {value}" for key, value in now.items() if value != before[key] and value not in (None, False, 0)]
        if transaction["confirmed_wh"] != self._energy.get(transaction["id"], 0):
            changed.append(f"{transaction['confirmed_wh']} Wh")
        if changed:
            self._step(f"{name}  {', '.join(changed)}")
        self._shown[transaction["id"]] = now
        self._energy[transaction["id"]] = transaction["confirmed_wh"]

    def _named(self, text: str) -> str:
        for identity, name in self._name.items():
            text = text.replace(f"transactionId={identity.removeprefix('txn_')}", f"transactionId=({name})")
        return text

    def _summary(self, transaction: dict[str, Any]) -> dict[str, Any]:
        summary = {
            key: transaction[key]
            for key in (
                "connector_id", "state", "stop_reason", "ocpp_stop_reason", "energy_wh", "meter_start_wh", "meter_stop_wh",
                "implausible", "late_wh", "resume_count", "budget_paise",
            )
        }  # fmt: skip
        if transaction["budget_paise"] is not None and transaction["energy_wh"] is not None:
            bill = final_bill(
                energy_wh=transaction["energy_wh"],
                tariff_paise_per_kwh=transaction["tariff_paise_per_kwh"],
                gst_bps=transaction["gst_bps"],
                platform_fee_paise=transaction["platform_fee_paise"],
                paid_paise=transaction["budget_paise"],
            )
            summary |= {
                "energy_charge_paise": bill.energy_charge_paise,
                "gst_paise": bill.gst_paise,
                "refund_paise": bill.refund_paise,
                "shortfall_paise": bill.shortfall_paise,
            }
        return summary


def _brief(frame: Any) -> str:
    if frame[0] == 4:
        return f"{frame[2] if len(frame) > 2 else 'error'}"
    return _brief_payload(frame[2] if len(frame) > 2 else {}, hide=("transactionId", "currentTime"))


MINTED = ("idTag",)
"""New with every replay: they would make two replays of one trace differ."""


def _brief_payload(payload: Any, hide: tuple[str, ...] = ()) -> str:
    if not isinstance(payload, dict):
        return str(payload)[:60]
    parts = []
    for key, value in payload.items():
        if key in hide or key in MINTED:
            continue
        shown = value.get("status", "…") if isinstance(value, dict) else f"[{len(value)}]" if isinstance(value, list) else value
        parts.append(f"{key}={shown}")
    return " ".join(parts)[:120] or "ok"
