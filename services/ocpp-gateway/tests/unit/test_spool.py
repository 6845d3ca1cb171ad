"""The spool on real files: what was synced is there after any crash, in order; only the end of a file can be torn."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ocpp_gateway.metrics import Metrics
from ocpp_gateway.spool import Spool, SpoolFull, SpoolInUse, encode, whole_records

payloads = st.lists(st.tuples(st.sampled_from(["CP-1", "CP-2", "ü"]), st.binary(max_size=200)), max_size=12)


def open_spool(folder: Path, *, bytes_max: int = 10**9, segment_bytes: int = 4096) -> Spool:
    return Spool(folder, bytes_max=bytes_max, segment_bytes=segment_bytes, metrics=Metrics(CollectorRegistry()))


async def append(spool: Spool, key: str, payload: bytes) -> bool:
    synced: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    spool.append(key, payload, synced.set_result)
    return await synced


async def drain(spool: Spool, *, at_most: int = 10**9) -> list[tuple[str, bytes]]:
    taken: list[tuple[str, bytes]] = []
    while len(taken) < at_most and (records := await spool.read(min(3, at_most - len(taken)), 300)):
        taken += [(record.key, record.payload) for record in records]
        await spool.forget(records)
    return taken


@given(payloads, st.data())
@settings(max_examples=200, deadline=None)
def test_any_cut_leaves_a_prefix_of_whole_records(records, data):
    encoded = [encode(key, payload) for key, payload in records]
    whole = b"".join(encoded)
    cut = data.draw(st.integers(0, len(whole)))
    found = [(key, payload) for key, payload, _ in whole_records(whole[:cut])]
    ends = [sum(len(part) for part in encoded[: number + 1]) for number in range(len(encoded))]
    assert found == records[: sum(end <= cut for end in ends)]


@given(payloads.filter(bool), st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_byte_ends_the_reading_before_it_and_invents_nothing(records, data):
    encoded = [encode(key, payload) for key, payload in records]
    whole = bytearray(b"".join(encoded))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = [(key, payload) for key, payload, _ in whole_records(bytes(whole))]
    intact, offset = 0, 0
    for part in encoded:
        offset += len(part)
        if offset > at:
            break
        intact += 1
    assert found[:intact] == records[:intact]
    assert len(found) <= intact or found == records


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.sampled_from(["A", "B", "C"]), st.binary(max_size=900)),
            st.tuples(st.just("relay"), st.integers(1, 6)),
            st.tuples(st.just("restart"), st.booleans()),
        ),
        max_size=25,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_what_was_acknowledged_comes_out_in_order_through_any_crashes(tmp_path, steps):
    folder = tmp_path / "spool"
    shutil.rmtree(folder, ignore_errors=True)

    async def play() -> None:
        spool = open_spool(folder, segment_bytes=1500)
        await spool.start()
        acknowledged: list[tuple[str, bytes]] = []
        relayed: list[tuple[str, bytes]] = []
        for step in steps:
            if step[0] == "append":
                assert await append(spool, step[1], step[2])
                acknowledged.append((step[1], step[2]))
            elif step[0] == "relay":
                relayed += await drain(spool, at_most=step[1])
            else:
                await crash(spool, folder, torn=step[1])
                spool = open_spool(folder, segment_bytes=1500)
                await spool.start()
                assert spool.events == len(acknowledged) - len(relayed)
                for key in "ABC":
                    assert spool.waiting[key] == sum(k == key for k, _ in acknowledged[len(relayed) :])
        relayed += await drain(spool)
        assert relayed == acknowledged
        assert spool.empty
        assert not spool.waiting
        assert spool.bytes_waiting == 0
        await spool.stop()

    asyncio.run(play())


async def crash(spool: Spool, folder: Path, *, torn: bool) -> None:
    """As a kill leaves it: the files as they are, perhaps with half a record at the end, and nobody holding the folder."""
    spool._queue.put(None)
    await asyncio.to_thread(spool._thread.join)
    spool._lock.close()
    files = sorted(folder.glob("spool-*.log"))  # noqa: ASYNC240  (a folder of three files)
    if torn and files:
        with files[-1].open("ab") as file:
            file.write(encode("A", b"never acknowledged")[:-3])


async def test_relayed_segments_are_deleted_and_the_position_outlives_a_restart(tmp_path):
    spool = open_spool(tmp_path, segment_bytes=4096)
    await spool.start()
    for number in range(40):
        await append(spool, "A", bytes(500) + str(number).encode())
    assert len(list(tmp_path.glob("spool-*.log"))) > 3
    assert len(await drain(spool, at_most=30)) == 30
    await spool.stop()
    again = open_spool(tmp_path, segment_bytes=4096)
    await again.start()
    rest = await drain(again)
    assert [int(payload[500:]) for _, payload in rest] == list(range(30, 40))
    await again.read(1, 1)
    assert len(list(tmp_path.glob("spool-*.log"))) <= 1
    await again.stop()


async def test_a_full_spool_refuses_at_once_and_takes_again_when_relayed(tmp_path):
    spool = open_spool(tmp_path, bytes_max=2000)
    await spool.start()
    assert await append(spool, "A", bytes(900))
    assert await append(spool, "A", bytes(900))
    with pytest.raises(SpoolFull):
        spool.append("A", bytes(900), lambda _: None)
    await drain(spool)
    assert await append(spool, "A", bytes(900))
    await spool.stop()


async def test_a_disk_that_fails_says_no_and_what_comes_later_is_kept(tmp_path, monkeypatch):
    spool = open_spool(tmp_path)
    await spool.start()
    assert await append(spool, "A", b"before")
    real = os.fsync

    def broken(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    assert not await append(spool, "A", b"refused")
    monkeypatch.setattr(os, "fsync", real)
    assert await append(spool, "A", b"after")
    assert [payload for _, payload in await drain(spool)] == [b"before", b"after"]
    await spool.stop()


async def test_two_gateways_of_one_name_do_not_share_a_volume(tmp_path):
    spool = open_spool(tmp_path)
    await spool.start()
    with pytest.raises(SpoolInUse):
        await open_spool(tmp_path).start()
    await spool.stop()


async def test_a_record_longer_than_a_read_comes_whole(tmp_path):
    spool = open_spool(tmp_path)
    await spool.start()
    await append(spool, "A", bytes(100_000))
    assert [len(payload) for _, payload in await drain(spool)] == [100_000]
    await spool.stop()
