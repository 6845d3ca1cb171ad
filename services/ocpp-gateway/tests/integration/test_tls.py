"""TLS for chargers (security profile 2): wss by a charger that trusts our authority, renewed without closing a socket."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from charger_simulator import ChargePoint
from ocpp_gateway.settings import GatewaySettings
from ocpp_gateway.tls import CertificateInvalid
from ocpp_gateway.websocket import OcppDoor

pytestmark = pytest.mark.servers

PASSWORD = "0123456789abcdef0123456789ABCDEF01234567"
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)
LOOK_SECONDS = 60


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Authority:
    """A certificate authority of the test's own, and the files that the gateway reads."""

    folder: Path

    def __post_init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self.folder / "ca.pem"
        self.certificate, self.private_key = self.folder / "tls.crt", self.folder / "tls.key"
        self.name = named("VoltLync test authority")
        signed = self._builder("VoltLync test authority", self.key, END).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.ca.write_bytes(signed.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def _builder(self, name, key, end):
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(end)
        )

    def issue(self, *, end=END, password=None):
        """A new certificate for this machine; returns its serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder("gateway", key, end)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.put(self.certificate, certificate.public_bytes(Encoding.PEM))
        encryption = BestAvailableEncryption(password) if password is not None else NoEncryption()
        self.put(self.private_key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return certificate.serial_number

    def put(self, path, content):
        """As certificate managers do: a new file in the old one's place."""
        fresh = path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(path)

    def trusted(self):
        return ssl.create_default_context(cafile=self.ca)


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def start_tls(start_gateway, authority):
    async def start(**changes):
        return await start_gateway(
            ocpp_tls_certificate=authority.certificate,
            ocpp_tls_key=authority.private_key,
            ocpp_tls_port=0,
            ocpp_tls_look_seconds=LOOK_SECONDS,
            **changes,
        )

    return start


def tls_url(gateway):
    return f"wss://127.0.0.1:{gateway.part(OcppDoor).tls_port}/ocpp"


async def shown(gateway, context):
    """Serial number of the certificate that a new connection is shown."""
    port = gateway.part(OcppDoor).tls_port
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(der).serial_number


@pytest.mark.oca("TC_086_CSMS")
async def test_a_charger_that_trusts_our_authority_boots_over_tls_and_one_that_does_not_stays_out(
    start_tls, authority, charging, new_id
):
    authority.issue()
    gateway = await start_tls(ocpp_plain=False)
    assert gateway.part(OcppDoor).port == 0  # there is no other way in
    charger_id = new_id()
    charging.add(charger_id)
    charge_point = ChargePoint(charger_id, tls_url(gateway), password=PASSWORD, ssl_context=authority.trusted())
    await charge_point.start()
    try:
        assert charge_point.booted
        await charging.wait(charger_id, "boot_notification")
    finally:
        await charge_point.stop()
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.ws_connect(f"{tls_url(gateway)}/{charger_id}", ssl=ssl.create_default_context())
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:  # the password is asked for all the same
            await http.ws_connect(f"{tls_url(gateway)}/{charger_id}", ssl=authority.trusted())
    assert refused.value.status == 401


async def test_a_new_certificate_is_taken_without_closing_a_socket(start_tls, authority, charging, new_id, clock):
    first = authority.issue()
    gateway = await start_tls()
    charger_id = new_id()
    charging.add(charger_id)
    trusted = authority.trusted()
    charge_point = ChargePoint(charger_id, tls_url(gateway), password=PASSWORD, ssl_context=trusted)
    await charge_point.start()
    try:
        assert await shown(gateway, trusted) == first
        second = authority.issue(end=END - timedelta(days=1))
        assert await shown(gateway, trusted) == first  # nobody has looked yet
        await clock.advance(LOOK_SECONDS)
        assert await shown(gateway, trusted) == second
        assert gateway.metric("certificate_expires_seconds") == (END - timedelta(days=1)).timestamp()
        answer = await charge_point.call("Heartbeat", {})
        assert "currentTime" in answer  # over the socket of before
        assert charging.of(charger_id, "charge_point_disconnected") == []
    finally:
        await charge_point.stop()


async def test_a_pair_that_does_not_fit_changes_nothing_and_is_told_once(start_tls, authority, clock):
    first = authority.issue()
    gateway = await start_tls()
    old_key = authority.private_key.read_bytes()
    authority.issue()
    authority.put(authority.private_key, old_key)
    await clock.advance(3 * LOOK_SECONDS)
    trusted = authority.trusted()
    assert await shown(gateway, trusted) == first
    assert gateway.metric("certificate_reload_failures_total") == 1
    authority.certificate.unlink()
    await clock.advance(LOOK_SECONDS)
    assert await shown(gateway, trusted) == first
    assert gateway.metric("certificate_reload_failures_total") == 2
    third = authority.issue()
    await clock.advance(LOOK_SECONDS)
    assert await shown(gateway, trusted) == third


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_nothing_older_than_tls_1_2_is_spoken(start_tls, authority):
    authority.issue()
    gateway = await start_tls(ocpp_tls_ciphers="ALL:@SECLEVEL=0")  # the weakest that anybody may ask for
    modern, old = authority.trusted(), authority.trusted()
    modern.maximum_version = ssl.TLSVersion.TLSv1_2
    await shown(gateway, modern)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(gateway, old)


async def test_a_gateway_that_shall_speak_tls_does_not_start_without(start_tls, authority):
    with pytest.raises(CertificateInvalid, match=r"tls\.crt"):
        await start_tls()
    authority.issue(password=b"secret")
    with pytest.raises(CertificateInvalid, match="can't be used together"):
        await start_tls()
    authority.issue()
    with pytest.raises(CertificateInvalid, match="VOLTLYNC_OCPP_TLS_CIPHERS"):
        await start_tls(ocpp_tls_ciphers="NONE-SUCH")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ocpp_plain": False}, "nobody could connect"),
        ({"ocpp_tls_certificate": Path("tls.crt")}, "go together"),
        ({"ocpp_tls_key": Path("tls.key")}, "go together"),
    ],
)
def test_settings_that_leave_no_door_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        GatewaySettings(amqp_url="amqp://x", redis_url="redis://x", **changes)
