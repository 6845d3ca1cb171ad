"""The short form of the month: some days of the whole network, proved, and every seeded error named (`make month`: the month)."""

from pathlib import Path

import pytest

from testkit.servers import Servers
from testkit.servers.postgres import fresh_database
from tests.month.fold import told_again
from tests.month.plan import ENDS, SITES, boxes, month
from tests.month.play import Player
from tests.month.prove import prove
from tests.month.seeds import SEEDS
from tests.month.world import Network

SESSIONS, DAYS, SEED = 24, 1, 7


def test_a_month_is_the_same_for_the_same_seed() -> None:
    assert (len(boxes()), len(SITES)) == (50, 10)
    whole = month(1, 3000)
    assert whole == month(1, 3000)
    assert whole != month(2, 3000)
    assert {visit.ends for visit in whole.visits} == ENDS.keys()
    until = {}
    for visit in whole.visits:
        assert until.get(visit.box, visit.at) <= visit.at, "one car at a time"
        until[visit.box] = visit.at


@pytest.mark.servers
async def test_some_days_of_the_network_are_proved_and_every_seeded_error_is_named(servers: Servers, tmp_path: Path) -> None:
    with servers.rabbitmq.fresh_vhost() as vhost:
        async with fresh_database(servers.postgres.dsn) as dsn:
            network = Network(servers, vhost, dsn, tmp_path)
            await network.start()
            try:
                await network.open()
                player = Player(network, month(SEED, SESSIONS, days=DAYS))
                played = await player.play()
                assert played.by_end.total() >= SESSIONS - 2
                await told_again(network, SEED)
                await player.close_the_month()
                proof = await prove(network)
                assert [str(difference) for difference in proof.verdict.differences] == []
                assert proof.nodal_paise == proof.bank_paise, "the books have our balance at Razorpay to the paisa"
                assert proof.missed == {}
                assert proof.named.keys() == {seed.name for seed in SEEDS}
                assert await network.dead_letters() == {}
            finally:
                await network.stop()
