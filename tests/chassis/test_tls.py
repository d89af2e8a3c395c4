"""Connections to NATS are encrypted where settings say so, and only to servers that are believed."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from chassis.certificates import CA_FILE, certificate
from modelbus.chassis.messaging import Bus
from modelbus.chassis.settings import BusSettings
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.program import wait_ready
from running import eventually, free_port
from testing_bus import LocalBus


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
