"""The proof: `books verify` over the month, the nodal balance against the bank's own, and every seeded error named."""

from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter

import asyncpg

from tests.month.seeds import SEEDS, sown
from tests.month.world import Network
from voltlync.books.run import verified
from voltlync.books.verify import Verdict


@dataclass
class Proof:
    """What verify said."""

    verdict: Verdict
    seconds: float
    nodal_paise: int
    """Our balance at Razorpay by the books, from zero."""
    bank_paise: int
    """The same by the sandbox."""
    named: dict[str, str] = field(default_factory=dict)
    """What verify said first of each seeded error."""
    missed: dict[str, str] = field(default_factory=dict)


async def verify(network: Network) -> Verdict:
    """As `voltlync books verify` does, through the door."""
    to = network.clock.now() + timedelta(seconds=1)
    return await verified(lambda path: network.api("GET", path, role="finance"), lambda _: None, from_=None, to=to)


async def prove(network: Network) -> Proof:
    """The whole of it. The books are to agree before the first seed is sown, and after each is taken away."""
    began = perf_counter()
    verdict = await verify(network)
    razorpay = network.razorpay
    balance = razorpay.state.balance(razorpay.settings.account_id)
    proof = Proof(
        verdict,
        perf_counter() - began,
        nodal_paise=verdict.balances["nodal"],
        bank_paise=balance - razorpay.settings.opening_balance,
    )
    if verdict.differences:
        return proof
    admin = await asyncpg.connect(network.dsn)
    try:
        for seed in SEEDS:
            async with sown(admin, seed) as words:
                found = [str(difference) for difference in (await verify(network)).differences]
            # Razorpay's own row of it is a second witness, and may speak first.
            own = [said for said in found if not said.startswith(("row_", "setl_"))]
            if own and words in own[0]:
                proof.named[seed.name] = own[0]
            else:
                proof.missed[seed.name] = f"expected {words!r}, got {found[:1]}"
    finally:
        await admin.close()
    left = (await verify(network)).differences
    assert not left, f"what a seed left behind: {left[0]}"
    return proof
