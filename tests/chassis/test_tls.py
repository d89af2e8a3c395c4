"""Connections to NATS and PostgreSQL are encrypted where settings say so, and only to servers that are believed."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
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

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def foreign_ca_file(tmp_path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(tmp_path / "foreign.pem")
    return tmp_path / "foreign.pem"


class TlsNatsServer(NatsServer):
    """A server that speaks to nobody in the clear."""

    def prepare(self) -> None:
        super().prepare()
        place = self.directory / "nats.conf"
        place.write_text(f'{place.read_text()}tls {{ cert_file: "chain.pem", key_file: "key.pem" }}\n')


@pytest.fixture
def nats_url(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    # The server finds certificates from where it runs.
    monkeypatch.chdir(tmp_path)
    server = TlsNatsServer(tmp_path / "nats", free_port())
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)
    yield server.url
    server.stop()


async def test_the_bus_is_entered_by_tls(nats_url: str, ca_file: Path) -> None:
    bus = Bus.of(BusSettings(nats_url=nats_url, nats_ca_file=ca_file), service="sync")
    bus.start()

    client = await asyncio.wait_for(bus.connected(), 10)

    transport: Any = client._transport
    assert transport._io_writer.get_extra_info("ssl_object") is not None
    await bus.stop()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_bus_whose_certificate_somebody_else_signed_is_not_entered(
    nats_url: str, foreign_ca_file: Path
) -> None:
    bus = Bus.of(BusSettings(nats_url=nats_url, nats_ca_file=foreign_ca_file), service="sync")
    bus.start()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bus.connected(), 1)

    await bus.stop()


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
async def tls_before(url: str, authority: trustme.CA) -> AsyncIterator[str]:
    """Speak TLS as PostgreSQL does, before a server that can't; yields the address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
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


def through(database: FreshDatabase, place: str, ca_file: Path) -> str:
    url = sa.make_url(database.url("sync"))
    host, _, port = place.partition(":")
    query = {"sslmode": "verify-full", "sslrootcert": str(ca_file)}
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


async def test_a_database_whose_certificate_somebody_else_signed_is_not_entered(
    database: FreshDatabase, authority: trustme.CA, foreign_ca_file: Path
) -> None:
    async with tls_before(database.superuser_url, authority) as place:
        refused = Database(through(database, place, foreign_ca_file), service="sync")

        assert "SSLCertVerificationError" in str(await refused.problem())
        await refused.close()
