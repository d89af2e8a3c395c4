"""Connections to PostgreSQL are encrypted where the URL says so, and only to servers that are believed."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import trustme
from structlog.testing import capture_logs

from modelbus.chassis.database import Database
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.chassis.migrations import migrate
from modelbus.chassis.relay import Relay
from modelbus.contracts.bus import SYNC
from modelbus.sync.store.tables import outbox
from running import eventually
from servers import FreshDatabase
from testing_bus import LocalBus

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


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


@asynccontextmanager
async def relaying(url: str, local: LocalBus) -> AsyncIterator[Relay]:
    """Run the relay, which has a connection of its own beside those of the sessions."""
    reached, bus = Database(url, service="sync", outbox=outbox), Bus(local.url, service="sync")
    bus.start()
    relay = Relay(reached, outbox, bus, SYNC)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await stop([task])
        await bus.stop()
        await reached.close()


async def test_the_relay_enters_the_database_by_tls_too(
    database: FreshDatabase, bus: LocalBus, authority: trustme.CA, ca_file: Path, shown: dict[str, str]
) -> None:
    own = {"sslcert": shown["nats_cert_file"], "sslkey": shown["nats_key_file"]}
    # What stands before the server says nothing to whom it has not seen begin with TLS and show a certificate.
    async with (
        tls_before(database.superuser_url, authority, must_show=True) as place,
        relaying(through(database, place, ca_file, **own), bus) as relay,
    ):
        await eventually(lambda: relay.is_leader)


@pytest.mark.parametrize("terms", [{}, {"sslmode": "verify-ca"}, {"sslmode": "disable"}], ids=str)
async def test_the_relay_tells_nothing_where_the_database_is_not_believed_or_does_not_speak_in_the_clear(
    database: FreshDatabase, bus: LocalBus, authority: trustme.CA, foreign_ca_file: Path, terms: dict[str, str]
) -> None:
    reason = "connection was closed" if terms.get("sslmode") == "disable" else "unable to get local issuer certificate"
    with capture_logs() as logs:
        async with (
            tls_before(database.superuser_url, authority) as place,
            relaying(through(database, place, foreign_ca_file, **terms), bus) as relay,
        ):
            await eventually(lambda: [line for line in logs if line["event"] == "relay is interrupted"])
            assert not relay.is_leader

    [first, *_] = [line for line in logs if line["event"] == "relay is interrupted"]
    assert reason in first["error"]
