"""The pytest plugin: every test of the workspace may ask for `servers` and for `clock`.

Hypothesis runs without its deadline, since no test may depend on speed, and in CI with the same examples every time, so that a
failure there is the change's own; on a developer's machine it goes on searching.

`make test` runs in two processes (pytest-xdist, `--dist loadgroup`): a package's tests stay together in one of them, in their
order, for they share its servers and worlds. Each process has servers of its own.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest

from contracts.topology import permissions
from testkit.clock import SteppingClock
from testkit.servers import BrokerUser, Servers

hypothesis.settings.register_profile("voltlync", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("voltlync")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One group per folder of tests (services/payments/tests/integration, tests/e2e) and per file of `tests/` itself."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item.path.relative_to(item.config.rootpath))))


def group_of(path: Path) -> str:
    folder = path.parent
    return str(path if folder == Path("tests") else folder)


@pytest.fixture(scope="session")
def broker_users() -> Sequence[BrokerUser]:
    """RabbitMQ users that `servers` makes beside the administrator: one per service, with the rights of the topology.

    `servers.rabbitmq.url_for("payments")` is that user's address.
    """
    return [BrokerUser(right.user, f"{right.user}-test", right.configure, right.write, right.read) for right in permissions()]


@pytest.fixture(scope="session")
def servers(broker_users: Sequence[BrokerUser]) -> Iterator[Servers]:
    """PostgreSQL, RabbitMQ and Redis of this test session alone, started when the first test asks (about 12 s)."""
    with Servers.throwaway(broker_users=broker_users) as running:
        yield running


@pytest.fixture
def clock() -> SteppingClock:
    """A clock that moves only when the test says so. Begins on Monday 5 January 2026, 10:00 in India."""
    return SteppingClock()
