"""The credentials projection: what handshakes are checked against, rebuilt from charging and kept on disk for when it is away.

It is asked for whole at the start and after every reconnection to the broker; in between it follows
`charger_credentials_changed`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import orjson
import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage

from chassis.messaging import Bus, MessagingError, Subscription
from chassis.messaging.envelope import Unreadable, unpack
from chassis.runtime import Service
from contracts.charging import ChargerCredentialsChanged
from contracts.ocpp_gateway import CredentialsAnswer, CredentialsListRequested
from contracts.topology import QUORUM, address_of, exchange_for, gateway_credentials_queue
from ocpp_gateway.handshake import password_matches
from ocpp_gateway.metrics import Metrics
from ocpp_gateway.streams import SENDER

log = structlog.get_logger(__name__)

Credential = CredentialsAnswer.Credential

PAGE = 1000
"""Chargers per answer of charging."""

ANSWER_SECONDS = 5.0
"""How long charging may take for a page; a handshake of an unknown charger waits as long."""

RETRY_SECONDS = 5.0
"""Between attempts to get the whole projection."""

UNKNOWN_MAX = 10_000
"""Unknown ids remembered, so that a scan of ids does not become a scan of charging."""

UNKNOWN_SECONDS = 30.0
"""How long an id stays unknown without asking again; a charger registered meanwhile is announced anyway."""

QUESTIONS_MAX = 8
"""Lookups of unknown ids at once."""

QUEUE_EXPIRES_MILLISECONDS = 3_600_000
"""The queue of a gateway that is gone for good goes too; on its return it asks for everything anyway."""


def accepts(credential: Credential, password: bytes) -> bool | None:
    """Whether this password opens the door; None where it is the one that is being replaced (both do during a hand-over)."""
    if password_matches(credential.salt, credential.password_hash, password):
        return True
    if credential.previous_salt is None or credential.previous_password_hash is None:
        return False
    return None if password_matches(credential.previous_salt, credential.previous_password_hash, password) else False


class CredentialsUnavailable(Exception):
    """Nobody can say just now whether this charger exists: 503."""


class Credentials:
    """The projection. A Part."""

    def __init__(self, *, service: Service, bus: Bus, gateway: str, file: Path, metrics: Metrics) -> None:
        self._service = service
        self._bus = bus
        self._file = file
        self._metrics = metrics
        self._gateway = gateway
        self._known: dict[str, Credential] = {}
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._questions = asyncio.Semaphore(QUESTIONS_MAX)
        self._refresh = asyncio.Event()
        self._save = asyncio.Event()
        queue = gateway_credentials_queue(gateway)
        self._subscription = Subscription(queue, self._changed, prefetch=100, declare=self._declare)
        self.complete = False
        """Whether charging's whole list was read in this life."""
        service.ready_checks["credentials"] = self._ready

    async def _ready(self) -> str | None:
        return None if self.complete or self._known else "the credentials projection is empty: charging has not answered yet"

    async def start(self) -> None:
        """Read the last projection from disk, then keep it up to date in the background."""
        self._take(await asyncio.to_thread(self._load))
        self._refresh.set()
        await self._bus.subscribe(self._subscription)
        self._service.tasks.start("credentials.refresh", self._refresh_when_asked())
        self._service.tasks.start("credentials.save", self._save_when_changed())

    async def stop(self) -> None:
        """Stop following."""
        await self._bus.unsubscribe(self._subscription)
        if self._save.is_set():
            await self._store()

    async def find(self, charge_point_id: str) -> Credential | None:
        """The charger of this id in any case, None if there is none. Raises CredentialsUnavailable if nobody can say."""
        folded = charge_point_id.casefold()
        known = self._known.get(folded)
        if known is not None:
            return known if known.enabled else None
        now = self._service.clock.monotonic()
        until = self._unknown.get(folded)
        if until is not None and now < until:
            return None
        try:
            async with self._questions:
                answer = await self._ask(CredentialsListRequested(charge_point_id=charge_point_id))
        except MessagingError as error:
            self._metrics.credentials_failures.inc()
            raise CredentialsUnavailable(str(error)) from error
        self._take(answer.credentials)
        known = self._known.get(folded)
        if known is None:
            self._unknown[folded] = now + UNKNOWN_SECONDS
            while len(self._unknown) > UNKNOWN_MAX:
                self._unknown.popitem(last=False)
            return None
        self._save.set()
        return known if known.enabled else None

    def closes_without_frame(self, charge_point_id: str) -> bool:
        """Whether this charger is known never to come back after a Close frame (ocpp.md row 8)."""
        known = self._known.get(charge_point_id.casefold())
        return known is not None and known.close_without_frame

    async def _ask(self, question: CredentialsListRequested) -> CredentialsAnswer:
        return await self._bus.ask(
            question, to=address_of(question, sender=SENDER), answer=CredentialsAnswer, timeout_seconds=ANSWER_SECONDS
        )

    def _take(self, credentials: Iterable[Credential]) -> None:
        for credential in credentials:
            folded = credential.charge_point_id.casefold()
            known = self._known.get(folded)
            # Pages and changes cross: the higher version is the later one.
            if known is None or known.version <= credential.version:
                self._known[folded] = credential
                self._unknown.pop(folded, None)

    async def _refresh_when_asked(self) -> None:
        while True:
            await self._refresh.wait()
            self._refresh.clear()
            try:
                await self._read_all()
            except (MessagingError, ValueError) as error:
                self._metrics.credentials_failures.inc()
                log.warning("credentials.not_read", error=str(error), known=len(self._known))
                self._refresh.set()
                await self._service.clock.sleep(RETRY_SECONDS)

    async def _read_all(self) -> None:
        listed: set[str] = set()
        after: str | None = ""
        before = set(self._known)
        while after is not None:
            page = await self._ask(CredentialsListRequested(after=after, limit=PAGE))
            self._take(page.credentials)
            listed.update(credential.charge_point_id.casefold() for credential in page.credentials)
            after = page.next_after
        for folded in before - listed:
            del self._known[folded]
        self.complete = True
        self._save.set()
        log.info("credentials.read", chargers=len(self._known))

    async def _declare(self, channel: AbstractChannel) -> None:
        """Our own queue for changes; what was missed while it did not exist is asked for."""
        queue = gateway_credentials_queue(self._gateway)
        await channel.queue_declare(queue, durable=True, arguments={**QUORUM, "x-expires": QUEUE_EXPIRES_MILLISECONDS})
        await channel.queue_bind(queue, exchange_for(ChargerCredentialsChanged.TYPE), ChargerCredentialsChanged.TYPE)
        self._refresh.set()

    def _changed(self, delivery: DeliveredMessage) -> None:
        try:
            for received in unpack(delivery, self._subscription.queue):
                changed = ChargerCredentialsChanged.model_validate(received.data)
                self._take([Credential.model_validate(changed.model_dump())])
                log.info("credentials.changed", charge_point_id=changed.charge_point_id, version=changed.version)
                self._save.set()
        except (Unreadable, ValueError) as error:
            # The whole list is the truth: read it rather than park one line of it.
            self._metrics.credentials_failures.inc()
            log.error("credentials.unreadable_change", error=str(error))  # noqa: TRY400
            self._refresh.set()
        self._bus.settled.labels(self._subscription.queue).inc()
        self._service.tasks.start("credentials.ack", self._subscription.ack(delivery))

    # On disk.

    async def _save_when_changed(self) -> None:
        while True:
            await self._save.wait()
            self._save.clear()
            try:
                await self._store()
            except OSError as error:
                log.warning("credentials.not_saved", error=str(error))
            await self._service.clock.sleep(RETRY_SECONDS)

    async def _store(self) -> None:
        lines = orjson.dumps([credential.model_dump() for credential in self._known.values()])
        await asyncio.to_thread(self._write, lines)

    def _write(self, data: bytes) -> None:
        temporary = self._file.with_suffix(".new")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_bytes(data)
        temporary.replace(self._file)

    def _load(self) -> list[Credential]:
        try:
            return [Credential.model_validate(entry) for entry in orjson.loads(self._file.read_bytes())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            log.warning("credentials.file_unreadable", error=str(error))
            return []
