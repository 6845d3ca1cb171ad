"""`python -m tests.fuzz [--frames N] [--seed N] [--only K]`: exit status 1 where something was found."""

import argparse
import asyncio
import random
from collections.abc import Sequence

from tests.fuzz import mutate, oracle
from tests.fuzz.run import ATTACKERS, attack, report
from tests.fuzz.world import private_servers


async def run(seed: int, numbers: Sequence[int], attackers: int, seconds_max: float) -> int:
    """The number of findings."""
    async with private_servers() as servers:
        tally, findings = await attack(servers, seed, numbers, attackers=attackers, seconds_max=seconds_max)
    print(report(tally))
    print("\n".join([*findings, f"{len(findings)} findings"]))
    return len(findings)


def main() -> None:
    """Arguments."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description="Fuzzed frames against a live gateway.")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None, help="which frames; without one, any")
    parser.add_argument("--only", type=int, nargs="+", help="send these frames of the seed alone, on one socket, and show them")
    parser.add_argument("--attackers", type=int, default=ATTACKERS)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="send no more frames after so long")
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"python -m tests.fuzz --frames {options.frames} --seed {seed}", flush=True)
    numbers: Sequence[int] = options.only or range(options.frames)
    for number in options.only or ():
        frame = mutate.frame(seed, number)
        print(f"{frame.kind}: {frame.data!r}\n{oracle.expected(frame.data)}", flush=True)
    raise SystemExit(1 if asyncio.run(run(seed, numbers, 1 if options.only else options.attackers, 60 * options.minutes)) else 0)


if __name__ == "__main__":
    main()
