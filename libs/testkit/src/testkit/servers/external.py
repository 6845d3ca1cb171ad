"""Servers that somebody else runs, named by a setting. We use them; we neither start nor stop nor kill them."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

from testkit.servers.rabbitmq import VHOST


class NotOurs(RuntimeError):
    """Asked to kill or restart a server that was given by address. Unset the setting to let the kit start its own."""


class _External:
    name = "a server"

    def __init__(self, address: str) -> None:
        self._address = address
        self.port = urlsplit(address).port or 0

    def start(self, port: int | None = None) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It goes on running."""

    def kill(self) -> None:
        raise NotOurs(f"{self.name} at port {self.port} was given by address: it can't be killed from here.")

    def restart(self) -> None:
        self.kill()


class ExternalPostgres(_External):
    name = "PostgreSQL"

    @property
    def dsn(self) -> str:
        return self._address


class ExternalRedis(_External):
    name = "Redis"

    @property
    def url(self) -> str:
        return self._address


class ExternalRabbitMQ(_External):
    name = "RabbitMQ"

    @property
    def url(self) -> str:
        return self._address

    def url_for(self, user: str, *, vhost: str = VHOST) -> str:  # noqa: ARG002 - the same call as on a broker of ours
        """The given user for everybody: we can't create users on a broker that is not ours."""
        return urlunsplit(urlsplit(self._address)._replace(path="/" + quote(vhost, safe="")))

    @contextmanager
    def fresh_vhost(self) -> Iterator[str]:
        """The given broker's own vhost: we can't make one there, so suites share it, and meet what others left."""
        yield VHOST
