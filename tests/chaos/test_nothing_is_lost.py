"""Nothing lost: kill -9 of every service and of the broker, and a Redis flush, at random moments of paid sessions.

The story is told as it happens in the long form (`make chaos`) and with `pytest -s`, else when the test has failed.
VOLTLYNC_CHAOS_SEED replays a seed that it printed: the same kills in the same order, the same riders.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.chaos.evidence import Evidence, gather
from tests.chaos.installation import Running, running
from tests.chaos.invariants import moved, unfinished, wrongs
from tests.chaos.kills import carry_out, draw, kill_all_services
from tests.chaos.sites import Site, open_sites
from voltlync.money_text import kwh, rupees

pytestmark = [pytest.mark.chaos, pytest.mark.servers]

# CI plays this one, so that a red build is red again: charging, broker, gateway, settlement, payments, in this order. Another
# seed is another order of kills and other sessions.
SEED = 84
SITES = 6

# From the last visit's end until all is paid out. Most of it is never needed: the longest single wait inside is the lease of
# a Razorpay call whose caller was killed in it (60 s), for a refund and then for a transfer.
REST_SECONDS_MAX = 240.0
LOOK_SECONDS = 1.0

Tell = Callable[[str], None]


def chosen_seed() -> int:
    return int(os.environ.get("VOLTLYNC_CHAOS_SEED") or SEED)


@pytest.mark.timeout(900)
async def test_nothing_is_lost(tmp_path: Path) -> None:
    await nothing_is_lost(tmp_path, seed=chosen_seed(), kills=5)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_nothing_is_lost_in_thirty_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():  # ten minutes: whoever started it wants to see it go on
        await nothing_is_lost(tmp_path, seed=chosen_seed(), kills=30, told_again=True)


async def nothing_is_lost(directory: Path, *, seed: int, kills: int, told_again: bool = False) -> None:
    """`told_again`: at the end all services die at once and every webhook comes once more, which may move no paisa."""
    clock = asyncio.get_running_loop().time
    began = clock()

    def tell(line: str) -> None:
        print(f"{clock() - began:7.1f} s  {line}", flush=True)

    tell(f"seed {seed}, {kills} kills (VOLTLYNC_CHAOS_SEED={seed} plays them again); logs in {directory / 'logs'}")
    async with running(directory) as chaos:
        # A service that ends without having been killed is a finding of its own.
        deaths = asyncio.ensure_future(chaos.supervisor.watch())
        story = asyncio.ensure_future(_story(chaos, seed, kills, told_again, tell))
        try:
            await asyncio.wait({deaths, story}, return_when=asyncio.FIRST_COMPLETED)
            if not story.done():
                name = deaths.result()
                pytest.fail(f"{name} ended by itself. The end of its log:\n{chaos.supervisor.end_of_log(name, lines=40)}")
            await story
        finally:
            for task in (deaths, story):
                task.cancel()
            await asyncio.gather(deaths, story, return_exceptions=True)


async def _story(chaos: Running, seed: int, kills: int, told_again: bool, tell: Tell) -> None:
    sites = await open_sites(chaos, SITES, seed)
    try:
        tell(f"{len(sites)} sites are open")
        closing = asyncio.Event()
        victims: Counter[str] = Counter()
        async with asyncio.TaskGroup() as riders:
            for site in sites:
                riders.create_task(site.keep_playing(closing))
            for kill in draw(seed, kills):
                await carry_out(kill, chaos, sites, tell)
                victims[kill.victim] += 1
            closing.set()
            tell("no more riders; the last visits are played to their ends")
        tell("all have left; the books come to rest")
        evidence = await _at_rest(chaos, sites, tell)
        tell("at rest")
        print(figures(evidence, sites, victims), flush=True)
        found = wrongs(evidence)
        assert not found, f"seed {seed}:\n  " + "\n  ".join(found)
        if told_again:
            tell("all services are killed at once, and every webhook comes once more")
            await kill_all_services(chaos)
            events = await chaos.world.razorpay("GET", "/events")
            await asyncio.gather(*(chaos.world.razorpay("POST", f"/events/{event['id']}/replay") for event in events))
            again = await _at_rest(chaos, sites, tell)
            assert wrongs(again) == []
            assert moved(again) == moved(evidence), "told again, nothing may change"
            tell(f"{len(events)} webhooks came again, nothing changed")
    finally:
        await asyncio.gather(*(site.point.stop() for site in sites))


async def _at_rest(chaos: Running, sites: Sequence[Site], tell: Tell) -> Evidence:
    """Let everything end that is under way, the bank's next working days included. Fails with what never did."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + REST_SECONDS_MAX
    last = 0
    while True:
        await chaos.world.razorpay("POST", "/settle", {})
        evidence = await gather(
            paid={key: amount for site in sites for key, amount in site.paid.items()},
            dsn=chaos.dsn,
            amqp_url=chaos.amqp_url,
            bank_file=chaos.bank_file,
            charge_points=[site.point for site in sites],
        )
        waiting = unfinished(evidence)
        if not waiting:
            return evidence
        if clock() > deadline:
            print(figures(evidence, sites, Counter()), flush=True)
            pytest.fail("It never came to rest:\n  " + "\n  ".join([*waiting, *wrongs(evidence)]))
        if len(waiting) != last:
            last = len(waiting)
            tell(f"{last} things are under way: {waiting[0]}{', ...' if last > 1 else ''}")
        await asyncio.sleep(LOOK_SECONDS)


def figures(evidence: Evidence, sites: Sequence[Site], victims: Counter[str]) -> str:
    """The closing table."""
    tables, bank = evidence.tables, evidence.bank
    played: Counter[str] = sum((Counter(site.played) for site in sites), Counter())
    states = Counter(row["state"] for row in tables["payments"])
    reasons = Counter(row["refund_reason"] for row in tables["payments"] if row["refund_reason"])
    ends = Counter(row["stop_reason"] for row in tables["transactions"])
    sent_back = [refund.amount for refund in bank.refunds.values() if refund.status != "failed"]
    paid_out = [transfer.amount for transfer in bank.transfers.values() if transfer.settlement_status == "settled"]
    billed_paise = sum(row["energy_charge_paise"] + row["gst_paise"] for row in tables["bills"])
    billed_wh = sum(row["energy_wh"] for row in tables["bills"])
    metered = evidence.points.metered
    delivered_wh = sum(metered[id_].delivered_wh for row in tables["bills"] if (id_ := row["transaction_id"]) in metered)
    lines = {
        "kills": _counts(victims),
        "visits": _counts(played),
        "payments": f"{len(bank.payments)}, {rupees(sum(row.amount for row in bank.payments.values()))}: {_counts(states)}",
        "given back whole": _counts(reasons),
        "sessions": f"{len(tables['transactions'])}: {_counts(ends)}",
        "bills": f"{len(tables['bills'])}, {rupees(billed_paise)} for {kwh(billed_wh)} of {kwh(delivered_wh)} delivered",
        "refunds": f"{len(sent_back)}, {rupees(sum(sent_back))}",
        "payouts settled": f"{len(paid_out)}, {rupees(sum(paid_out))}",
        "meter values": f"{evidence.points.acknowledged.total()} acknowledged, {evidence.stored.total()} stored",
    }
    return "\n".join(f"  {name:<17} {text}" for name, text in lines.items())


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counted.most_common()) or "none"
