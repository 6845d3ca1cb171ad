"""Play the month, prove it, and say what came of it; `--write` puts it into docs/month.md."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path
from time import perf_counter

import structlog

from contracts.topology import permissions
from settlement.domain.books import ACCOUNTS
from testkit.servers import BrokerUser, Servers
from testkit.servers.postgres import fresh_database
from tests.month.plan import DAYS, Month, month
from tests.month.play import Played, Player
from tests.month.prove import Proof, prove
from tests.month.world import Network
from voltlync.money_text import rupees

PAGE = Path(__file__).parents[2] / "docs/month.md"
IST = timezone(timedelta(hours=5, minutes=30))
BAR = 40


async def run(options: argparse.Namespace) -> tuple[Month, Played, Proof, float]:
    """Real servers, thrown away afterwards."""
    users = [BrokerUser(right.user, f"{right.user}-test", right.configure, right.write, right.read) for right in permissions()]
    plan = month(options.seed, options.sessions, days=options.days)
    with Servers.throwaway(broker_users=users) as servers, servers.rabbitmq.fresh_vhost() as vhost:
        async with fresh_database(servers.postgres.dsn) as dsn:
            network = Network(servers, vhost, dsn, Path(tempfile.mkdtemp()))
            await network.start()
            try:
                began = perf_counter()
                await network.open()
                player = Player(
                    network, plan, tell=lambda words: print(f"{perf_counter() - began:6.0f} s  {words}", file=sys.stderr)
                )
                played = await player.play()
                await player.close_the_month()
                seconds = perf_counter() - began
                return plan, played, await prove(network), seconds
            finally:
                await network.stop()


def page(options: argparse.Namespace, plan: Month, played: Played, proof: Proof, seconds: float) -> Iterator[str]:
    """What came of it, line by line."""
    verdict = proof.verdict
    yield f"{played.payments} payments at 50 chargers of 10 stations over {options.days} days (seed {options.seed})."
    yield ""
    yield "| | |\n| --- | --: |"
    yield f"| journals, postings | {verdict.journals}, {verdict.postings} |"
    yield f"| differences | {len(verdict.differences)} |"
    yield f"| seeded errors named | {len(proof.named)} of {len(proof.named) + len(proof.missed)} |"
    balances = f"{rupees(proof.nodal_paise)}, {rupees(proof.bank_paise)}"
    yield f"| our balance at Razorpay: by the books, by the sandbox's bank | {balances} |"
    yield f"| fees corrected and refunds' charges booked by Razorpay's statement | {played.corrections}, {played.charges} |"
    yield f"| seconds to play, to verify once | {seconds:.0f}, {proof.seconds:.1f} |"
    yield ""
    yield "| what became of a visit | visits |\n| --- | --: |"
    yield from (f"| {ends} | {number} |" for ends, number in played.by_end.most_common())
    yield ""
    yield "| what went wrong at Razorpay or on its way | times |\n| --- | --: |"
    yield from (f"| {mishap} | {number} |" for mishap, number in sorted(played.mishaps.items()))
    yield ""
    yield "| account | balance |\n| --- | --: |"
    yield from (f"| {ACCOUNTS[code].name} | {rupees(paise)} |" for code, paise in verdict.balances.items())
    yield ""
    yield "Visits by the hour of India's day:\n\n```"
    hours = Counter(visit.at.astimezone(IST).hour for visit in plan.visits)
    yield from (f"{hour:02d} {'#' * (hours[hour] * BAR // max(hours.values()))} {hours[hour]}" for hour in range(24))
    yield "```\n"
    yield "| seeded error | the first row that verify named |\n| --- | --- |"
    yield from (f"| {name} | `{words}` |" for name, words in proof.named.items())
    yield from (f"| {name} | **missed**: {words} |" for name, words in proof.missed.items())
    yield from (f"DIFFERS {difference}" for difference in verdict.differences[:20])


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="into docs/month.md, below its head")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    plan, played, proof, seconds = asyncio.run(run(options))
    told = "\n".join(page(options, plan, played, proof, seconds))
    print(told)
    if options.write:
        head = PAGE.read_text(encoding="utf-8").partition("## The last run")[0]
        PAGE.write_text(f"{head}## The last run\n\n{told}\n", encoding="utf-8")
    agrees = not proof.verdict.differences and not proof.missed and proof.nodal_paise == proof.bank_paise
    raise SystemExit(0 if agrees else 1)


if __name__ == "__main__":
    main()
