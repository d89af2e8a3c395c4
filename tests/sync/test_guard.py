"""The address guard."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from modelbus.sync.clients.guard import GuardedTransport, refuse_address
from modelbus.sync.domain.errors import AddressRefusedError, SupplierAwayError


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "240.0.0.1",
        "255.255.255.255",
    ],
)
def test_a_private_address_is_for_local_suppliers_only(address: str) -> None:
    with pytest.raises(AddressRefusedError, match="marked as local"):
        refuse_address("host", address, is_local=False)

    refuse_address("host", address, is_local=True)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "ff02::1"])
def test_a_link_local_address_is_nobody_s(address: str) -> None:
    for is_local in (False, True):
        with pytest.raises(AddressRefusedError):
            refuse_address("host", address, is_local=is_local)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_pass(address: str) -> None:
    refuse_address("host", address, is_local=False)


class Carrier(httpx.AsyncBaseTransport):
    """Notes what it would have sent; fails for the addresses that are said to be dead."""

    def __init__(self, *dead: str) -> None:
        self.sent: list[httpx.Request] = []
        self._dead = dead

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if request.url.host in self._dead:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json=[])


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def getaddrinfo(_host: str, port: int | None, **_: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror("no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def get(carrier: Carrier, url: str = "https://api.example.com/v1/models") -> httpx.Response:
    async with httpx.AsyncClient(transport=GuardedTransport(carrier, is_local=False)) as client:
        return await client.get(url)


async def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "1.1.1.1")
    carrier = Carrier()

    answer = await get(carrier)

    [sent] = carrier.sent
    assert answer.status_code == 200
    assert (sent.url.host, sent.headers["host"]) == ("1.1.1.1", "api.example.com")
    assert sent.extensions["sni_hostname"] == "api.example.com"


async def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "1.1.1.1", "10.0.0.1")
    carrier = Carrier()

    with pytest.raises(AddressRefusedError):
        await get(carrier)

    assert carrier.sent == []


async def test_the_next_address_is_tried_when_one_does_not_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "1.1.1.1", "2606:4700:4700::1111")
    carrier = Carrier("1.1.1.1")

    await get(carrier)

    assert [request.url.host for request in carrier.sent] == ["1.1.1.1", "2606:4700:4700::1111"]


async def test_a_name_without_address_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch)

    with pytest.raises(SupplierAwayError, match=r"api\.example\.com can't be resolved"):
        await get(Carrier())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost"])
async def test_no_notation_of_loopback_gets_through(host: str) -> None:
    carrier = Carrier()

    with pytest.raises((AddressRefusedError, SupplierAwayError)):
        await get(carrier, f"http://{host}:1/v1/models")

    assert carrier.sent == []


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's TLS for the name `supplier.test` alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "supplier.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("supplier.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = tmp_path / "chain.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return server, ssl.create_default_context(cafile=str(chain))


async def test_tls_still_asks_for_the_name_and_not_for_the_pinned_address(
    monkeypatch: pytest.MonkeyPatch, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server_tls, client_tls = certified

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        host = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"host:"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(host), host))
        await writer.drain()
        writer.close()

    async def get_as(name: str) -> str:
        carrier = httpx.AsyncHTTPTransport(verify=client_tls)
        async with httpx.AsyncClient(transport=GuardedTransport(carrier, is_local=True)) as client:
            return (await client.get(f"https://{name}:{port}/v1/models")).text

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_tls) as server:
        port = server.sockets[0].getsockname()[1]
        resolving_to(monkeypatch, "127.0.0.1")

        assert await get_as("supplier.test") == f"Host: supplier.test:{port}"
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await get_as("impostor.test")
