"""The private servers: they answer, keep their data over a kill, keep their permissions, and go when their owner goes."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aio_pika
import aiormq
import asyncpg
import psutil
import pytest
from redis.asyncio import Redis

from testkit.servers import BrokerUser, Servers, forget, fresh_database
from testkit.servers.rabbitmq import can_log_in, password_hash

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of this module alone, since it kills them."""
    payments = BrokerUser("payments", "p@ss/word", configure="^payments", write="^payments$", read="^payments")
    with Servers.throwaway(broker_users=[payments], durable=True) as running:
        yield running


def test_a_password_is_hashed_as_rabbitmq_does_it() -> None:
    # The example of RabbitMQ's own guide on passwords: "test12", salt 908D C60A.
    assert password_hash("test12", bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


async def test_rabbitmq_keeps_confirmed_messages_over_a_kill(own_servers: Servers) -> None:
    async with await aio_pika.connect(own_servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("payments.kept", durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(b"worth keeping", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "payments.kept")
    await asyncio.to_thread(own_servers.rabbitmq.sync_queue_directory)
    await asyncio.to_thread(own_servers.rabbitmq.restart)
    async with await aio_pika.connect(own_servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue("payments.kept")
        received = await queue.get(timeout=60)
        assert received.body == b"worth keeping"
        await received.ack()


async def test_a_service_user_may_write_its_own_exchange_only(own_servers: Servers) -> None:
    async with await aio_pika.connect(own_servers.rabbitmq.url) as connection:
        channel = await connection.channel()
        for exchange in ("payments", "settlement"):
            await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
    async with await aio_pika.connect(own_servers.rabbitmq.url_for("payments")) as connection:
        channel = await connection.channel()
        own = await channel.get_exchange("payments", ensure=False)
        await own.publish(aio_pika.Message(b"mine"), "payments.billed.v1", mandatory=False)
        others = await channel.get_exchange("settlement", ensure=False)
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await others.publish(aio_pika.Message(b"forged"), "settlement.settled.v1", mandatory=False)


async def test_a_fresh_vhost_is_empty_and_goes_afterwards(own_servers: Servers) -> None:
    with own_servers.rabbitmq.fresh_vhost() as vhost:
        url = own_servers.rabbitmq.url_for("payments", vhost=vhost)
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.declare_queue("payments.new", durable=True)
    address = urlsplit(url)
    assert address.port is not None
    login = {"user": "payments", "password": unquote(address.password or "")}
    assert can_log_in("127.0.0.1", address.port, **login, vhost="voltlync")
    assert not can_log_in("127.0.0.1", address.port, **login, vhost=vhost)


async def test_postgres_keeps_what_was_committed_over_a_kill(own_servers: Servers) -> None:
    async with fresh_database(own_servers.postgres.dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept (paise bigint); INSERT INTO kept VALUES (236)")
        connection.terminate()
        await asyncio.to_thread(own_servers.postgres.restart)
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT paise FROM kept") == 236
        await connection.close()
        name = dsn.rsplit("/", 1)[1]
        connection = await asyncpg.connect(own_servers.postgres.dsn)
        assert await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name) == 1
        await connection.close()


async def test_redis_comes_back_empty_as_after_a_flush(own_servers: Servers) -> None:
    redis = Redis.from_url(own_servers.redis.url)
    await redis.set("budget", 100)
    await redis.aclose()
    await asyncio.to_thread(own_servers.redis.restart)
    async with Redis.from_url(own_servers.redis.url) as redis:
        assert await redis.get("budget") is None


OWNER = """
import json, sys, time
from pathlib import Path
from urllib.parse import unquote, urlsplit
from testkit.servers import Servers
servers = Servers(Path(sys.argv[1]), durable=False, throwaway=sys.argv[2] == "throwaway")
servers.start()
print(json.dumps({server.name: server.pid for server in servers.all}), flush=True)
time.sleep(600)
"""


def run_owner(directory: Path, mode: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(directory), mode], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    json.loads(owner.stdout.readline())
    return owner, psutil.Process(owner.pid).children(recursive=True)


def test_servers_die_with_their_owner_and_leave_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)  # PostgreSQL's user can't get in: its data go elsewhere, and must go from there too
    owner, processes = run_owner(directory / "here", "throwaway")
    postgres = (directory / "here" / "postgres").resolve()
    assert {"postgres", "redis-server", "epmd"} <= {process.name() for process in processes}
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []
    assert not (directory / "here").exists()
    assert not postgres.exists()


def test_kept_servers_come_back_with_their_ports_and_passwords(tmp_path: Path) -> None:
    with Servers(tmp_path / "kept") as first:
        before = (first.postgres.dsn, first.rabbitmq.url, first.redis.url)
        with pytest.raises(RuntimeError, match="Another process runs servers"):
            Servers(tmp_path / "kept")
    with Servers(tmp_path / "kept") as second:
        assert (second.postgres.dsn, second.rabbitmq.url, second.redis.url) == before
    data = (tmp_path / "kept" / "postgres").resolve()
    forget(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    assert not data.exists()


def test_a_start_that_fails_says_why_and_may_be_stopped_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Servers.throwaway()

    def no_room(port: int | None = None) -> None:
        raise OSError("no room")

    for server in failing.all:
        monkeypatch.setattr(server, "start", no_room)
    with pytest.raises(OSError, match="no room"):
        failing.start()
    failing.stop()
