"""Flavours over real sockets: where they ask, what they show, and that pages come to an end."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from modelbus.contracts.records import SupplierRecord
from modelbus.simulator import Fault, Rule, Simulator, running_simulator
from modelbus.simulator.providers import Provider
from modelbus.sync.clients.endpoint import Limits
from modelbus.sync.clients.entries import Fetched
from modelbus.sync.clients.flavours import find_flavours
from modelbus.sync.clients.pages import MOST_PAGES, read_pages
from modelbus.sync.clients.suppliers import OpenCredential, Suppliers
from modelbus.sync.domain.errors import FetchFailedError, UnusableAnswerError
from sync.catalog_stand_in import a_supplier

LIMITS = Limits(max_bytes=1024 * 1024, connect_s=1, read_s=1, deadline_s=4, tries=2, first_pause_s=0.01)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


async def list_of(supplier: SupplierRecord, *secrets: str, limits: Limits = LIMITS) -> Fetched:
    suppliers = Suppliers(limits, find_flavours(), ssl.create_default_context())
    answered = await suppliers.fetch_listing(supplier, [OpenCredential(secret, secret) for secret in secrets])
    assert answered.fetched is not None
    return answered.fetched


def names_in(fetched: Fetched) -> list[str]:
    return [model.upstream_name for model in fetched.models]


def paths(provider: Provider) -> list[str]:
    return [exchange.path for exchange in provider.exchanges]


async def test_every_page_of_anthropic_is_read_with_its_headers(simulator: Simulator) -> None:
    names = [f"claude-{number}" for number in range(2500)]
    simulator.anthropic.serve_names(*names)
    supplier = a_supplier(simulator.base_url(simulator.anthropic), flavour="anthropic")

    fetched = await list_of(supplier, "sim-anthropic-key-1")

    assert names_in(fetched) == names
    assert paths(simulator.anthropic) == ["/anthropic/v1/models"] * 3
    shown = simulator.anthropic.exchanges[0].headers
    assert (shown["anthropic-version"], shown["x-api-key"]) == ("2023-06-01", "sim-anthropic-key-1")
    assert "Authorization" not in shown


async def test_every_page_of_gemini_is_read_beside_the_path_of_requests(simulator: Simulator) -> None:
    names = [f"gemini-{number}" for number in range(1001)]
    simulator.gemini.serve_names(*names)
    supplier = a_supplier(simulator.base_url(simulator.gemini) + "/openai", flavour="gemini")

    fetched = await list_of(supplier, "sim-gemini-key-1")

    assert names_in(fetched) == names
    assert paths(simulator.gemini) == ["/gemini/v1beta/models"] * 2
    assert simulator.gemini.exchanges[0].headers["x-goog-api-key"] == "sim-gemini-key-1"


@pytest.mark.parametrize("flavour", ["ollama", "aihubmix"])
async def test_a_listing_beside_the_path_of_requests_is_found(simulator: Simulator, flavour: str) -> None:
    provider: Provider = getattr(simulator, flavour)

    fetched = await list_of(a_supplier(simulator.base_url(provider) + "/v1", flavour=flavour))

    assert names_in(fetched) == ["small", "large"]


@pytest.mark.parametrize("path", ["/models.json", "/models.csv"])
async def test_a_file_is_read_from_where_the_supplier_keeps_it(simulator: Simulator, path: str) -> None:
    url = simulator.base_url(simulator.files) + path

    fetched = await list_of(a_supplier(flavour="file", listing_url=url), "secret")

    assert names_in(fetched) == ["small", "large"]
    assert [str(model.cost.input) for model in fetched.models] == ["0.5", "0.5"]


async def test_a_file_that_is_nowhere_is_said_so() -> None:
    with pytest.raises(FetchFailedError, match="the supplier has no listing_url"):
        await list_of(a_supplier(flavour="file"))


async def test_a_page_instead_of_a_file_is_refused(simulator: Simulator) -> None:
    simulator.files.misbehave(Fault(html=True))

    with pytest.raises(FetchFailedError, match="answered HTML"):
        await list_of(a_supplier(flavour="file", listing_url=simulator.base_url(simulator.files) + "/models.csv"))


async def test_a_credential_is_shown_to_nobody_but_the_supplier_s_own_server(simulator: Simulator) -> None:
    url = simulator.base_url(simulator.files) + "/models.json"

    await list_of(a_supplier("http://127.0.0.1:9/v1", flavour="file", listing_url=url), "secret")
    await list_of(a_supplier(simulator.url + "/v1", flavour="file", listing_url=url), "secret")

    assert [exchange.key for exchange in simulator.files.exchanges] == [None, "secret"]


async def test_the_listing_of_any_flavour_may_be_elsewhere(simulator: Simulator) -> None:
    url = simulator.base_url(simulator.ollama) + "/api/tags?all=1"

    fetched = await list_of(a_supplier(simulator.url + "/v1", flavour="ollama", listing_url=url))

    assert names_in(fetched) == ["small", "large"]
    assert paths(simulator.ollama) == ["/ollama/api/tags"]


async def test_the_limit_of_size_is_over_all_pages_together(simulator: Simulator) -> None:
    simulator.anthropic.serve_names(*(f"claude-{number}" for number in range(2500)))
    one_page = Limits(max_bytes=200_000, connect_s=1, read_s=1, deadline_s=2, tries=1, first_pause_s=0.01)
    supplier = a_supplier(simulator.base_url(simulator.anthropic), flavour="anthropic")

    with pytest.raises(FetchFailedError, match="all pages together are larger than 200000 bytes"):
        await list_of(supplier, "sim-anthropic-key-1", limits=one_page)

    assert len(simulator.anthropic.exchanges) == 2


async def test_the_deadline_is_over_all_pages_together(simulator: Simulator) -> None:
    simulator.anthropic.serve_names(*(f"claude-{number}" for number in range(9000)))
    simulator.anthropic.misbehave(Fault(latency_ms=300))
    supplier = a_supplier(simulator.base_url(simulator.anthropic), flavour="anthropic")
    hurried = Limits(max_bytes=10**7, connect_s=1, read_s=1, deadline_s=0.7, tries=1, first_pause_s=0.01)

    with pytest.raises(FetchFailedError, match=r"no listing within 0\.7 s"):
        await list_of(supplier, "sim-anthropic-key-1", limits=hurried)


async def test_a_page_that_fails_for_a_moment_begins_the_listing_again(simulator: Simulator) -> None:
    simulator.anthropic.serve_names(*(f"claude-{number}" for number in range(1500)))
    simulator.anthropic.behave(Rule(fault=Fault(status=529), times=1))
    supplier = a_supplier(simulator.base_url(simulator.anthropic), flavour="anthropic")

    fetched = await list_of(supplier, "sim-anthropic-key-1")

    assert len(fetched.models) == 1500
    assert len(simulator.anthropic.exchanges) == 3


def pages(*documents: Any) -> Callable[[str | None], Awaitable[Any]]:
    """Answer these documents one after another, the last one for ever."""
    coming = list(documents)

    async def ask(_cursor: str | None) -> Any:
        return coming.pop(0) if len(coming) > 1 else coming[0]

    return ask


def next_of(page: dict[str, Any]) -> object:
    return page.get("next")


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        (
            [{"data": [], "next": "a"}, {"data": [], "next": "b"}, {"data": [], "next": "a"}],
            "go in a circle: 'a' comes",
        ),
        ([{"data": [1], "next": ""}], "says that more follows, and not where"),
        ([{"data": [1], "next": 7}], "says that more follows, and not where"),
        ([{"data": [1], "next": "a"}, {"error": "gone"}], "no list of models under 'data'; it says gone"),
    ],
)
async def test_pages_that_lead_nowhere_are_refused(documents: list[Any], reason: str) -> None:
    with pytest.raises(UnusableAnswerError, match=reason):
        await read_pages(pages(*documents), "data", next_of)


async def test_pages_without_end_are_refused() -> None:
    asked = 0

    async def ask(_cursor: str | None) -> Any:
        nonlocal asked
        asked += 1
        return {"data": [asked], "next": str(asked)}

    with pytest.raises(UnusableAnswerError, match=f"more than {MOST_PAGES} pages"):
        await read_pages(ask, "data", next_of)

    assert asked == MOST_PAGES


async def test_a_page_of_anthropic_that_is_cut_off_is_not_taken_for_the_last(simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(body={"data": [{"id": "a"}], "has_more": True, "last_id": None}))
    supplier = a_supplier(simulator.base_url(simulator.anthropic), flavour="anthropic")

    with pytest.raises(FetchFailedError, match="more follows, and not where"):
        await list_of(supplier, "sim-anthropic-key-1")
