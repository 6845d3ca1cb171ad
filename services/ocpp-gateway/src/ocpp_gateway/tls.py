"""TLS for chargers (OCPP security profile 2): the server's certificate, renewed without closing a socket.

The files are looked at every so often; when they have changed and fit each other, new sockets get the new certificate, and
those that are open keep theirs. A pair that can't be used changes nothing but a metric and a log line: the old one serves on.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from prometheus_client import CollectorRegistry, Counter, Gauge

from chassis.runtime import Service

log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


class CertificateInvalid(ValueError):
    """Certificate and key can't be used: which file, and why."""


class Certificate:
    """Certificate chain and private key, and the context that sockets are served with. A Part."""

    def __init__(
        self,
        *,
        certificate: Path,
        key: Path,
        ciphers: str | None,
        look_seconds: float,
        service: Service,
        registry: CollectorRegistry,
    ) -> None:
        """Raises CertificateInvalid: a gateway that was told to speak TLS does not start without."""
        self._certificate = certificate
        self._key = key
        self._ciphers = ciphers
        self._look_seconds = look_seconds
        self._service = service
        self._expires = Gauge(
            "voltlync_ocpp_gateway_certificate_expires_seconds",
            "When the certificate shown to chargers expires, Unix time (docs/runbooks/tls.md)",
            registry=registry,
        )
        self._failures = Counter(
            "voltlync_ocpp_gateway_certificate_reload_failures_total",
            "New certificate files that could not be used; the old certificate serves on (docs/runbooks/tls.md)",
            registry=registry,
        )
        self.context = self._fresh_context()
        self._stamp = self._look()
        self._load()

    async def start(self) -> None:
        """Begin to look for changes."""
        self._service.tasks.keep("certificate.watch", self._watch)

    async def stop(self) -> None:
        """The watch ends with the service's tasks."""

    def _fresh_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ciphers is not None:
            try:
                context.set_ciphers(self._ciphers)
            except ssl.SSLError as error:
                raise CertificateInvalid(f"VOLTLYNC_OCPP_TLS_CIPHERS names no cipher that we have: {error}") from error
        return context

    def _look(self) -> Stamp:
        """What tells one version of the files from another. A file that is not there looks like nothing."""
        stamps = []
        for path in (self._certificate, self._key):
            try:
                stat = path.stat()
                stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)

    def _load(self) -> None:
        """Try the pair in a context of its own first: one that does not fit would leave the serving one without a key."""
        self._try(self._fresh_context())
        expires = self._not_after()
        self._try(self.context)
        self._expires.set(expires.timestamp())
        if expires <= self._service.clock.now():
            log.error("certificate.expired", file=str(self._certificate), expired_at=expires.isoformat())
        log.info("certificate.loaded", file=str(self._certificate), expires_at=expires.isoformat())

    def _try(self, context: ssl.SSLContext) -> None:
        try:
            # An empty password: a key that wants one is refused, not asked for on a terminal.
            context.load_cert_chain(self._certificate, self._key, password="")
        except ssl.SSLError as error:
            raise CertificateInvalid(f"{self._certificate} and {self._key} can't be used together: {error}") from error
        except OSError as error:
            raise CertificateInvalid(f"{error.filename or self._certificate}: {error.strerror or error}") from error

    def _not_after(self) -> datetime:
        try:
            return x509.load_pem_x509_certificates(self._certificate.read_bytes())[0].not_valid_after_utc.astimezone(UTC)
        except (OSError, ValueError) as error:
            raise CertificateInvalid(f"{self._certificate}: {error}") from error

    async def _watch(self) -> None:
        while True:
            await self._service.clock.sleep(self._look_seconds)
            stamp = self._look()
            if stamp == self._stamp:
                continue
            # Noted before it is tried: a pair that can't be used is told of once, not at every look.
            self._stamp = stamp
            try:
                self._load()
            except CertificateInvalid as error:
                self._failures.inc()
                log.error("certificate.reload_failed", error=str(error))  # noqa: TRY400  (the message says it all)
