"""Redirects are followed a few times, with no credential for another server; listings are asked for on condition."""

import hashlib
from dataclasses import replace

import httpx
import pytest

from modelbus.sync.clients.answers import Delivery
from modelbus.sync.clients.endpoint import Endpoint, Limits
from modelbus.sync.clients.redirects import MOST_REDIRECTS
from modelbus.sync.domain.errors import ListingUnchangedError, SupplierAwayError, UnusableAnswerError
from modelbus.sync.domain.validators import Validators
from sync.catalog_stand_in import a_supplier

LIMITS = Limits(max_bytes=1000, connect_s=1, read_s=1, deadline_s=1, tries=1, first_pause_s=0.01)
BASE = "https://api.example.com/v1"
BODY = b'{"data": [1], "total": 7}'
KNOWN = Validators('"one"', "Wed, 23 Apr 2025 07:28:00 GMT")


class Provider:
    """Answers by the URL, and keeps what it was asked."""

    def __init__(self, tag: str = "", **answers: httpx.Response) -> None:
        self._tag = tag
        self.asked: list[httpx.Request] = []
        self.delivery = Delivery()
        self._answers = {url: answers[name] for name, url in NAMED.items() if name in answers}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answers.get(str(request.url)) or listing(etag=self._tag)

    async def ask(self, secret: str | None = "secret", known: Validators | None = None, times: int = 1) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as client:
            endpoint = Endpoint(client, a_supplier(BASE), secret, LIMITS, known=known, delivery=self.delivery)
            for _ in range(times):
                await endpoint.get_json("/models", headers={"x-version": "1", **endpoint.key_header("x-api-key")})

    def seen(self, header: str) -> list[str | None]:
        return [request.headers.get(header) for request in self.asked]


NAMED = {
    "first": f"{BASE}/models",
    "moved": "https://api.example.com/v2/models",
    "elsewhere": "https://cdn.example.net/models",
}


def listing(**headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, stream=httpx.ByteStream(BODY))


def redirect(to: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"Location": to})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_server_is_followed_with_the_credential(status: int) -> None:
    provider = Provider(first=redirect("/v2/models", status))

    await provider.ask()

    assert [str(request.url) for request in provider.asked] == [NAMED["first"], NAMED["moved"]]
    assert provider.seen("x-api-key") == ["secret", "secret"]


async def test_another_server_is_shown_no_credential() -> None:
    provider = Provider(first=redirect(NAMED["elsewhere"]))

    await provider.ask()

    assert provider.seen("x-api-key") == ["secret", None]
    assert provider.seen("x-version") == ["1", "1"]


async def test_another_server_that_wants_a_credential_is_said_to() -> None:
    provider = Provider(first=redirect(NAMED["elsewhere"]), elsewhere=httpx.Response(401))

    with pytest.raises(UnusableAnswerError, match=r"sent us to https://cdn\.example\.net/models, which answered 401"):
        await provider.ask()


async def test_redirects_come_to_an_end() -> None:
    provider = Provider(first=redirect(NAMED["first"]))

    with pytest.raises(UnusableAnswerError, match=r"more than 3 redirects, the last to https://api\.example\.com"):
        await provider.ask()

    assert len(provider.asked) == MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    "target", ["http://api.example.com/models", "ftp://api.example.com/models", "file:///etc/passwd"]
)
async def test_a_redirect_away_from_https_is_not_followed(target: str) -> None:
    provider = Provider(first=redirect(target))

    with pytest.raises(UnusableAnswerError, match="which is not followed"):
        await provider.ask()

    assert len(provider.asked) == 1


async def test_a_known_listing_is_asked_for_on_condition_also_after_a_redirect() -> None:
    provider = Provider(first=redirect(NAMED["moved"]), moved=httpx.Response(304))

    with pytest.raises(ListingUnchangedError):
        await provider.ask(known=KNOWN)

    assert provider.seen("if-none-match") == ['"one"', '"one"']


async def test_of_several_pages_only_the_first_is_asked_for_on_condition_and_none_vouches_for_the_others() -> None:
    provider = Provider(tag='"two"')

    await provider.ask(known=KNOWN, times=2)

    assert provider.seen("if-none-match") == ['"one"', None]
    assert provider.delivery.validators == Validators()
    assert (provider.delivery.pages, len(provider.delivery.answers)) == (2, 2)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"etag": '"two"', "last_modified": "yesterday"}, Validators('"two"', "yesterday")),
        ({"etag": 'W/"weak"'}, Validators('W/"weak"')),
        ({"etag": "x" * 501}, Validators()),
        ({}, Validators()),
    ],
)
async def test_a_single_page_is_known_by_what_the_supplier_told(headers: dict[str, str], told: Validators) -> None:
    provider = Provider(first=listing(**headers))

    await provider.ask()

    digest = hashlib.sha256(BODY).hexdigest()
    assert (provider.delivery.validators, provider.delivery.declared) == (replace(told, body_digest=digest), 7)


async def test_the_same_bytes_are_the_same_listing_whatever_the_supplier_calls_them() -> None:
    provider = Provider(tag='"new"')

    with pytest.raises(ListingUnchangedError):
        await provider.ask(known=Validators('"one"', body_digest=hashlib.sha256(BODY).hexdigest()))

    assert provider.delivery.validators.etag == '"new"'


async def test_nobody_is_asked_at_an_address_that_is_no_url() -> None:
    provider = Provider(first=redirect("https://[::1"))

    with pytest.raises(SupplierAwayError, match="Invalid URL in location header"):
        await provider.ask()
