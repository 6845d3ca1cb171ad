"""The durable spool: where events wait on the gateway's own volume while the broker is away.

Files `spool-<number>.log` in one folder, appended by one thread that syncs once per group of records. A record is

    length (4 bytes, little endian) | crc32 of what follows | key length (2 bytes) | key (the charger) | payload

A segment is never written again after a restart, so a torn tail can only be the end of a file; nobody was told it is safe.
`position.json` says up to where all is relayed; it may be behind (a repeat is recognised downstream), never ahead.
"""

import asyncio
import fcntl
import os
import queue
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import IO

import orjson
import structlog

from ocpp_gateway.metrics import Metrics

log = structlog.get_logger(__name__)

HEAD = Struct("<II")
KEY_LENGTH = Struct("<H")

GROUP_RECORDS_MAX = 1024
"""Most records written with one fsync."""

Done = Callable[[bool], None]


class SpoolFull(Exception):
    """The spool has reached its size bound."""


class SpoolInUse(RuntimeError):
    """Another gateway of this name runs on this volume."""


@dataclass(slots=True)
class Segment:
    """One file. `size`: bytes that are synced and whole."""

    number: int
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Record:
    """One spooled event; `end` is where the next record begins."""

    key: str
    payload: bytes
    segment: int
    end: int


def encode(key: str, payload: bytes) -> bytes:
    """A record as it stands in the file."""
    name = key.encode()
    body = KEY_LENGTH.pack(len(name)) + name + payload
    return HEAD.pack(len(body), zlib.crc32(body)) + body


def whole_records(data: bytes, start: int = 0) -> Iterator[tuple[str, bytes, int]]:
    """(key, payload, end) of each whole record from `start`; stops silently at the first that is cut or damaged."""
    offset = start
    while offset + HEAD.size <= len(data):
        length, crc = HEAD.unpack_from(data, offset)
        begin, end = offset + HEAD.size, offset + HEAD.size + length
        if end > len(data) or length < KEY_LENGTH.size:
            return
        body = data[begin:end]
        if zlib.crc32(body) != crc:
            return
        (key_length,) = KEY_LENGTH.unpack_from(body)
        key_end = KEY_LENGTH.size + key_length
        if key_end > length:
            return
        yield body[KEY_LENGTH.size : key_end].decode(errors="replace"), body[key_end:], end
        offset = end


class Spool:
    """Appends are answered by callback once they are synced; reading is in order. A Part.

    Everything but the writing thread runs on the event loop.
    """

    def __init__(self, folder: Path, *, bytes_max: int, segment_bytes: int, metrics: Metrics) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._segment_bytes = segment_bytes
        self._metrics = metrics
        self._queue: queue.SimpleQueue[tuple[bytes, str, Done] | None] = queue.SimpleQueue()
        self._segments: list[Segment] = []
        self._position = (0, 0)
        self._unsynced = 0
        self.events = 0
        """How many wait."""
        self._lock: IO[str] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting: Counter[str] = Counter()
        """Events per charger that are in the spool, synced or about to be, and not relayed."""
        self.arrived = asyncio.Event()
        """Set while something synced waits."""

    @property
    def bytes_waiting(self) -> int:
        """Bytes not relayed yet."""
        segment, offset = self._position
        synced = sum(each.size for each in self._segments if each.number >= segment)
        return synced - (offset if any(each.number == segment for each in self._segments) else 0) + self._unsynced

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self.waiting

    async def start(self) -> None:
        """Take the folder, find what an earlier life left, start writing to a new segment. Raises SpoolInUse."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)
        number = self._segments[-1].number + 1 if self._segments else max(self._position[0], 0) + 1
        self._thread = threading.Thread(target=self._write, args=(number,), name="spool", daemon=True)
        self._thread.start()
        self._changed()
        if self.waiting:
            log.warning("spool.found", events=self.events, chargers=len(self.waiting), bytes=self.bytes_waiting)

    async def stop(self) -> None:
        """Sync what is queued and let go of the folder. Says so if something is left: the next start relays it."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            await asyncio.sleep(0)  # noqa: TID251  (no time: the thread's last callbacks)
        if self.waiting:
            log.error("spool.left_behind", events=self.events, bytes=self.bytes_waiting, folder=str(self._folder))
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def append(self, key: str, payload: bytes, done: Done) -> None:
        """Queue a record; `done(True)` is called on the loop once it is synced, else `done(False)`. Raises SpoolFull."""
        record = encode(key, payload)
        if self.bytes_waiting + len(record) > self._bytes_max:
            self._metrics.spool_failures.labels("full").inc()
            raise SpoolFull(f"{self.bytes_waiting} bytes wait, {self._bytes_max} is the bound")
        self._unsynced += len(record)
        self._count(key, 1)
        self._queue.put((record, key, done))

    async def read(self, records_max: int, bytes_max: int) -> list[Record]:
        """The next records in order, not yet forgotten; at least one if anything synced waits."""
        while self._segments:
            segment = self._segments[0]
            number, offset = self._position
            if number != segment.number:
                self._position = (segment.number, 0)
                continue
            if offset < segment.size:
                return await asyncio.to_thread(self._read, segment, offset, records_max, bytes_max)
            if len(self._segments) == 1:
                return []
            self._segments.pop(0)
            await asyncio.to_thread(segment.path.unlink, missing_ok=True)
        return []

    def _read(self, segment: Segment, offset: int, records_max: int, bytes_max: int) -> list[Record]:
        records: list[Record] = []
        # A record may be longer than the chunk: grow until one fits.
        length = bytes_max
        while not records:
            with segment.path.open("rb") as file:
                file.seek(offset)
                data = file.read(min(length, segment.size - offset))
            for key, payload, end in whole_records(data):
                records.append(Record(key, payload, segment.number, offset + end))
                if len(records) == records_max:
                    break
            if len(data) == segment.size - offset:
                break
            length *= 2
        return records

    async def forget(self, records: list[Record]) -> None:
        """These records, the first ones, are relayed."""
        last = records[-1]
        self._position = (last.segment, last.end)
        for record in records:
            self._count(record.key, -1)
        self._changed()
        await asyncio.to_thread(self._save_position, self._position)

    def _count(self, key: str, change: int) -> None:
        self.events += change
        self.waiting[key] += change
        if not self.waiting[key]:
            del self.waiting[key]

    def _changed(self) -> None:
        number, offset = self._position
        synced = any(each.number > number or (each.number == number and each.size > offset) for each in self._segments)
        if synced:
            self.arrived.set()
        else:
            self.arrived.clear()
        self._metrics.spool_events.set(self.events)
        self._metrics.spool_bytes.set(self.bytes_waiting)

    # Files; in threads.

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SpoolInUse(f"{self._folder} is held by another gateway process") from error
        self._position = self._load_position()
        for path in sorted(self._folder.glob("spool-*.log")):
            number = int(path.stem.partition("-")[2])
            if number < self._position[0]:
                path.unlink()
                continue
            data = path.read_bytes()
            offset = start = self._position[1] if number == self._position[0] else 0
            for key, _, end in whole_records(data, start):
                self._count(key, 1)
                offset = end
            if offset < len(data):
                self._metrics.spool_torn.inc(len(data) - offset)
                log.warning("spool.torn_tail", segment=path.name, bytes=len(data) - offset)
            if offset > start:
                self._segments.append(Segment(number, path, offset))
            else:
                # Nothing whole is left in it.
                path.unlink()

    def _load_position(self) -> tuple[int, int]:
        try:
            position = orjson.loads((self._folder / "position.json").read_bytes())
            return int(position["segment"]), int(position["offset"])
        except (OSError, ValueError, KeyError, TypeError):
            # Relaying from the beginning repeats; it loses nothing.
            return 0, 0

    def _save_position(self, position: tuple[int, int]) -> None:
        temporary = self._folder / "position.json.new"
        temporary.write_bytes(orjson.dumps({"segment": position[0], "offset": position[1]}))
        temporary.replace(self._folder / "position.json")

    def _write(self, number: int) -> None:
        """The writing thread: groups what has queued up, writes it, syncs it, tells the loop."""
        file: int | None = None
        size = 0
        running = True
        while running:
            group: list[tuple[bytes, str, Done]] = []
            item = self._queue.get()
            while item is not None:
                group.append(item)
                if len(group) == GROUP_RECORDS_MAX or self._queue.empty():
                    break
                item = self._queue.get()
            running = item is not None
            if not group:
                continue
            path = self._folder / f"spool-{number:010d}.log"
            data = b"".join(record for record, _, _ in group)
            try:
                if file is None:
                    file = self._new_file(path)
                _write_all(file, data)
                os.fsync(file)
                size += len(data)
                ok = True
            except OSError as error:
                log.error("spool.write_failed", error=repr(error), segment=path.name)  # noqa: TRY400  (told in one line)
                ok = False
            self._tell(group, Segment(number, path, size), len(data), ok=ok)
            if file is not None and (not ok or size >= self._segment_bytes):
                # After a failure too: what was half written must stay the end of its file.
                os.close(file)
                file, size, number = None, 0, number + 1
            elif not ok:
                number += 1
        if file is not None:
            os.close(file)

    def _new_file(self, path: Path) -> int:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file

    def _tell(self, group: list[tuple[bytes, str, Done]], segment: Segment, length: int, *, ok: bool) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._synced, group, segment, length, ok)

    def _synced(self, group: list[tuple[bytes, str, Done]], segment: Segment, length: int, ok: bool) -> None:
        self._unsynced -= length
        if ok:
            if self._segments and self._segments[-1].number == segment.number:
                self._segments[-1].size = segment.size
            else:
                self._segments.append(segment)
            self._metrics.spooled.inc(len(group))
        else:
            self._metrics.spool_failures.labels("disk").inc(len(group))
            for _, key, _ in group:
                self._count(key, -1)
        self._changed()
        for _, _, done in group:
            done(ok)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
