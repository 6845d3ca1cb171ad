"""Read the records through the door, compare, and tell what came of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from settlement.domain.books import ACCOUNTS
from voltlync.books.records import Get, Say, moment, read_records
from voltlync.books.verify import Verdict, Verifier
from voltlync.money_text import rupees
from voltlync.world import Addresses, Refused, World

TOO_MANY_REQUESTS = 429
PAUSE_SECONDS = 5.0
TRIES_MAX = 30
"""The door counts requests by the minute: whoever reads everything waits for it."""


async def verified(get: Get, say: Say, *, from_: datetime | None, to: datetime) -> Verdict:
    """The comparison, told line by line."""
    records = await read_records(get, say, from_=from_, to=to)
    verdict = Verifier(records, from_=from_, to=to).verdict()
    say("")
    for code, paise in verdict.balances.items():
        account = ACCOUNTS[code]
        say(f"{account.name:<28}{account.normal_side.value.lower():<8}{rupees(paise):>18}")
    for line in verdict.statement:
        say(line)
    say("")
    if younger := sum(moment(journal["occurred_at"]) >= to for journal in records.journals):
        say(f"{younger} journals are of {to:%Y-%m-%d %H:%M:%S} UTC or later and were not compared: see --to.")
    if not verdict.differences:
        say(f"The books agree: {verdict.journals} journals, {verdict.postings} postings.")
        return verdict
    say(f"DIFFERS  {verdict.differences[0]}")
    if len(verdict.differences) > 1:
        say(f"{len(verdict.differences) - 1} more rows differ after it; mend the first one first.")
    return verdict


@asynccontextmanager
async def door(url: str | None) -> AsyncIterator[Get]:
    """GETs at the door, with a token of the environment's or the sandbox's finance person; patient where it counts us out."""
    addresses = Addresses(url, "", "", "", "", "") if url else Addresses.of_running()
    token = os.environ.get("VOLTLYNC_TOKEN")
    async with World.at(addresses) as world:

        async def get(path: str) -> Any:
            bearer = token or await world.token("finance")
            for attempt in range(TRIES_MAX):
                try:
                    return await world.call("GET", addresses.door_url + path, headers={"Authorization": f"Bearer {bearer}"})
                except Refused as refusal:
                    if refusal.status != TOO_MANY_REQUESTS or attempt == TRIES_MAX - 1:
                        raise
                await asyncio.sleep(PAUSE_SECONDS)
            return None

        yield get
