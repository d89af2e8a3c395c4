"""Connections to NATS and PostgreSQL are encrypted where settings say so, and only to servers that are believed."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import trustme
from structlog.testing import capture_logs

from modelbus.chassis.database import Database
from modelbus.chassis.messaging import Bus
from modelbus.chassis.migrations import migrate
from modelbus.chassis.settings import BusSettings
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.ports import free_port
from modelbus.launcher.program import wait_ready
from running import eventually
from servers import FreshDatabase
from testing_bus import LocalBus

CA_FILE = "ca.pem"
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / CA_FILE)
    return tmp_path / CA_FILE


@pytest.fixture
def foreign_ca_file(tmp_path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(tmp_path / "foreign.pem")
    return tmp_path / "foreign.pem"


@pytest.fixture
def shown(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Settings by which we show a certificate that the authority has signed."""
    return certificate(authority, "sync", tmp_path)


def certificate(authority: trustme.CA, name: str, directory: Path) -> dict[str, str]:
    issued = authority.issue_cert(name)
    places = {"nats_cert_file": directory / f"{name}.pem", "nats_key_file": directory / f"{name}.key"}
    issued.cert_chain_pems[0].write_to_path(places["nats_cert_file"])
    issued.private_key_pem.write_to_path(places["nats_key_file"])
    return {setting: str(place) for setting, place in places.items()}


class TlsNatsServer(NatsServer):
    """A server that speaks to nobody in the clear."""

    more = ""

    def prepare(self) -> None:
        super().prepare()
        place = self.directory / "nats.conf"
        own = 'cert_file: "127.0.0.1.pem", key_file: "127.0.0.1.key"'
        place.write_text(f"{place.read_text()}tls {{ {own}, {self.more} }}\n")

    def is_ready(self) -> bool:
        # It greets nobody before TLS where that comes first.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@pytest.fixture
def nats_url(
    authority: trustme.CA, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    authority.cert_pem.write_to_path(tmp_path / CA_FILE)
    certificate(authority, "127.0.0.1", tmp_path)
    # The server finds certificates from where it runs.
    monkeypatch.chdir(tmp_path)
    server = TlsNatsServer(tmp_path / "nats", free_port())
    server.more = getattr(request, "param", "")
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)
    yield server.url
    server.stop()


asks_for_a_certificate = pytest.mark.parametrize("nats_url", [f"ca_file: {CA_FILE}, verify: true"], indirect=True)
says_nothing_in_the_clear = pytest.mark.parametrize("nats_url", ["handshake_first: true"], indirect=True)


async def entered(settings: dict[str, Any], within_s: float = 10) -> Bus:
    bus = Bus.of(BusSettings.model_validate(settings), service="sync")
    bus.start()
    await asyncio.wait_for(bus.connected(), within_s)
    return bus


async def reason(settings: dict[str, Any], words: str) -> None:
    """Wait until a service with these settings says why it is not ready, and has said so in its log once."""
    bus = Bus.of(BusSettings.model_validate(settings), service="sync")
    with capture_logs() as logs:
        bus.start()
        await eventually(lambda: _says(bus, words))
        await bus.stop()
    assert [line["event"] for line in logs].count("bus is away") == 1


async def _says(bus: Bus, words: str) -> bool:
    return words in str(await bus.problem())


async def test_the_bus_is_entered_by_tls(nats_url: str, ca_file: Path) -> None:
    bus = await entered({"nats_url": nats_url, "nats_ca_file": ca_file})

    assert is_encrypted(bus)
    await bus.stop()


def is_encrypted(bus: Bus) -> bool:
    transport: Any = bus.broker.connection._transport
    return transport._io_writer.get_extra_info("ssl_object") is not None


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_bus_whose_certificate_somebody_else_signed_is_the_reason_not_to_be_ready(
    nats_url: str, foreign_ca_file: Path
) -> None:
    settings = {"nats_url": nats_url, "nats_ca_file": foreign_ca_file}

    await reason(settings, "NATS is not connected: its certificate is not believed: unable to get local issuer")


@asks_for_a_certificate
async def test_a_bus_that_asks_for_our_certificate_gets_it(nats_url: str, ca_file: Path, shown: dict[str, str]) -> None:
    bus = await entered({"nats_url": nats_url, "nats_ca_file": ca_file, **shown})

    assert is_encrypted(bus)
    await bus.stop()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@asks_for_a_certificate
async def test_a_bus_that_asks_for_our_certificate_takes_none_that_somebody_else_signed(
    nats_url: str, ca_file: Path, tmp_path: Path
) -> None:
    forged = certificate(trustme.CA(), "forged", tmp_path)

    with pytest.raises(TimeoutError):
        await entered({"nats_url": nats_url, "nats_ca_file": ca_file, **forged}, within_s=1)


@says_nothing_in_the_clear
async def test_a_bus_is_entered_where_tls_comes_before_anything_is_said(nats_url: str, ca_file: Path) -> None:
    bus = await entered({"nats_url": nats_url, "nats_ca_file": ca_file, "nats_tls_first": True})

    assert is_encrypted(bus)
    await bus.stop()


async def test_nobody_in_the_clear_hears_a_password_where_tls_comes_first(ca_file: Path) -> None:
    said = bytearray()

    async def overhear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.12.0","max_payload":1048576}\r\n')
        with suppress(OSError):
            said.extend(await reader.read(65536))
        writer.close()

    async with await asyncio.start_server(overhear, "127.0.0.1", 0) as listener:
        url = f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        secrets = {"nats_user": "sync", "nats_password": "secret"}
        await reason({"nats_url": url, "nats_ca_file": ca_file, "nats_tls_first": True, **secrets}, "wrong version")

    assert said
    assert b"secret" not in said


@pytest.mark.parametrize("is_by_url", [False, True])
async def test_a_bus_without_tls_is_not_used_where_settings_demand_it(
    bus: LocalBus, ca_file: Path, *, is_by_url: bool
) -> None:
    demand = {"nats_url": bus.url.replace("nats:", "tls:")} if is_by_url else {"nats_ca_file": str(ca_file)}
    connection = Bus.of(BusSettings.model_validate({"nats_url": bus.url, **demand}), service="sync")
    with capture_logs() as logs:
        connection.start()
        await eventually(lambda: logs)

    assert "the server does not use TLS" in logs[0]["error"]
    assert await connection.problem() is not None
    await connection.stop()


@asynccontextmanager
async def tls_before(url: str, authority: trustme.CA, *, must_show: bool = False) -> AsyncIterator[str]:
    """Speak TLS as PostgreSQL does, before a server that can't; yields the address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if must_show:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    server_port = urlsplit(url).port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(8) != SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", server_port)
            await asyncio.gather(_copy(reader, upstream_writer), _copy(upstream_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # A client that does not believe us hangs up.
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while read := await reader.read(65536):
            writer.write(read)
            await writer.drain()
    finally:
        writer.close()


def through(database: FreshDatabase, place: str, ca_file: Path, **more: str) -> str:
    url = sa.make_url(database.url("sync"))
    host, _, port = place.partition(":")
    query = {"sslmode": "verify-full", "sslrootcert": str(ca_file), **more}
    return url.set(host=host, port=int(port), query=query).render_as_string(hide_password=False)


async def test_the_database_is_entered_by_tls_where_its_url_says_so(
    database: FreshDatabase, authority: trustme.CA, ca_file: Path
) -> None:
    async with tls_before(database.superuser_url, authority) as place:
        reached = Database(through(database, place, ca_file), service="sync")
        async with reached.reading() as session:
            raw = await (await session.connection()).get_raw_connection()
            assert raw.driver_connection is not None
            assert raw.driver_connection._transport.get_extra_info("ssl_object") is not None
        assert await reached.problem() is None
        await reached.close()
        await asyncio.to_thread(migrate, "modelbus.sync", through(database, place, ca_file), "sync")


async def test_a_database_that_asks_for_our_certificate_gets_the_one_that_its_url_names(
    database: FreshDatabase, authority: trustme.CA, ca_file: Path, shown: dict[str, str]
) -> None:
    own = {"sslcert": shown["nats_cert_file"], "sslkey": shown["nats_key_file"]}
    async with tls_before(database.superuser_url, authority, must_show=True) as place:
        reached = Database(through(database, place, ca_file, **own), service="sync")
        refused = Database(through(database, place, ca_file), service="sync")

        assert await reached.problem() is None
        assert await refused.problem() is not None
        await reached.close()
        await refused.close()


async def test_a_database_whose_certificate_somebody_else_signed_is_not_entered(
    database: FreshDatabase, authority: trustme.CA, foreign_ca_file: Path
) -> None:
    async with tls_before(database.superuser_url, authority) as place:
        refused = Database(through(database, place, foreign_ca_file), service="sync")

        assert "its certificate is not believed: unable to get local issuer" in str(await refused.problem())
        await refused.close()
