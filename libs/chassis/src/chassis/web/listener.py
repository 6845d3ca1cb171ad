"""A port: opened last, closed first."""

from aiohttp import web

# An idle keep-alive connection holds nothing but a socket; the door keeps some open to each service.
KEEPALIVE_SECONDS = 75.0

# Connections that wait to be accepted: a stadium's worth of phones after a power cut.
BACKLOG = 1024


class Listener:
    """Serves an application on host and port; port 0 takes a free one, which `port` then tells.

    Bodies with a Content-Encoding stay as they were sent: signatures are over them, and nothing small unfolds to gigabytes.
    """

    def __init__(self, application: web.Application, *, host: str, port: int, drain_seconds: float) -> None:
        self._application = application
        self._host = host
        self._wanted_port = port
        self._drain_seconds = drain_seconds
        self._runner: web.AppRunner | None = None
        self.port = port

    @property
    def url(self) -> str:
        """`http://127.0.0.1:8102`, once started."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "") else self._host  # noqa: S104  (compared, not bound)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        runner = web.AppRunner(
            self._application,
            access_log=None,  # the observer writes one line per request, with ids
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_SECONDS,
            shutdown_timeout=self._drain_seconds,
            auto_decompress=False,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._wanted_port, backlog=BACKLOG).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Take no new requests, give those in progress `drain_seconds`, then cut them."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
