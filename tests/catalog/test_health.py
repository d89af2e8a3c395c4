"""What observers see decides on the health of sources; what is down for too long is out of service until it is well."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from builders import a_model, a_source, a_supplier, shown
from catalogs import Told
from modelbus.catalog.actions.health import note_health, question_the_unclaimed
from modelbus.catalog.domain.health import Claim, Terms, Verdict, sum_up, worse
from modelbus.catalog.domain.sources import Health
from modelbus.catalog.jobs import follow_health, let_time_pass
from modelbus.catalog.store.tables import health_claims, outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.observing import Tell, teller
from modelbus.contracts.bus import HEALTH
from modelbus.contracts.catalog import (
    ModelAvailable,
    ModelUnavailable,
    SourceAvailable,
    SourceChanged,
    SourceUnavailable,
)
from modelbus.contracts.health import SourceHealthChanged
from running import ADMIN_TOKEN, eventually
from servers import FreshDatabase
from testing_bus import LocalBus

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(minutes=6)
TERMS = Terms(patience=timedelta(minutes=5), expires=timedelta(minutes=15))
"""As the settings are by default: the catalog that serves the test goes by the same."""


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


def seen(supplier: dict[str, Any], health: str, **fields: Any) -> SourceHealthChanged:
    # Not when the tests began: a run of all takes longer than the patience.
    at = datetime.now(UTC)
    defaults = {"observer": "sync", "supplier_id": UUID(supplier["id"]), "since": at, "observed_at": at}
    return SourceHealthChanged(**{**defaults, "health": health, **fields})


def of_source(source: dict[str, Any], health: str, **fields: Any) -> SourceHealthChanged:
    told = {"supplier_id": UUID(source["supplier_id"]), "source_id": UUID(source["id"]), "observer": "r1"}
    return seen({"id": source["supplier_id"]}, health, **{**told, **fields})


async def follow(opened: Database, *told: SourceHealthChanged) -> None:
    for event in told:
        async with opened.transaction() as session:
            await note_health(session, event)
    await follow_health(opened, TERMS)


async def served(http: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, Any]]:
    supplier, model = await a_supplier(http), await a_model(http)
    return supplier, await a_source(http, model["id"], supplier["id"])


async def now(http: httpx.AsyncClient, source: dict[str, Any]) -> tuple[str, bool, str | None]:
    found = await shown(http, f"/api/v1/sources/{source['id']}")
    return found["health"], found["is_available"], found["reason"]


async def test_what_is_seen_of_a_supplier_is_the_health_of_each_of_its_sources(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier, source = await served(http)
    other = await a_source(http, source["model_id"], (await a_supplier(http))["id"])

    await follow(opened, seen(supplier, "down"))

    assert await now(http, source) == ("down", True, None)
    assert await now(http, other) == ("unknown", True, None)
    assert (await told(SourceChanged))[-1].record.health == "down"
    assert not await told(SourceUnavailable)


async def test_what_is_down_for_too_long_is_out_of_service_and_back_once_it_is_well(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier, source = await served(http)

    await follow(opened, seen(supplier, "down", since=LONG_AGO))
    out = await now(http, source)
    await follow(opened, seen(supplier, "degraded"))
    back = await now(http, source)

    assert (out, back) == (("down", False, "unhealthy"), ("degraded", True, None))
    assert [event.reason for event in await told(SourceUnavailable)] == ["unhealthy"]
    assert [event.reason for event in await told(ModelUnavailable)] == ["unhealthy"]
    assert len(await told(SourceAvailable)) == len(await told(ModelAvailable)) == 2


async def test_the_time_comes_by_itself(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, source = await served(http)
    almost = datetime.now(UTC) - TERMS.patience + timedelta(milliseconds=300)
    await follow(opened, seen(supplier, "down", since=almost))
    before = await now(http, source)

    async def out() -> bool:
        await let_time_pass(opened)
        return await now(http, source) == ("down", False, "unhealthy")

    await eventually(out)
    assert before == ("down", True, None)


async def test_a_reason_that_somebody_gave_comes_before_what_is_seen(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, source = await served(http)
    await follow(opened, seen(supplier, "down", since=LONG_AGO))

    await http.post(f"/api/v1/suppliers/{supplier['id']}/disable")
    disabled = await now(http, source)
    await http.post(f"/api/v1/suppliers/{supplier['id']}/enable")

    assert disabled == ("down", False, "supplier_disabled")
    assert await now(http, source) == ("down", False, "unhealthy")


async def test_it_ends_the_same_twice_late_and_in_any_order(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, source = await served(http)
    new = seen(supplier, "healthy")
    old = seen(supplier, "down", since=LONG_AGO, observed_at=new.observed_at - timedelta(minutes=2))
    middle = seen(supplier, "degraded", observed_at=new.observed_at - timedelta(minutes=1))

    for order in permutations((old, middle, new)):
        await follow(opened, *order, *order)

        assert await now(http, source) == ("healthy", True, None)


async def test_repeating_what_is_known_tells_nothing(http: httpx.AsyncClient, opened: Database, told: Told) -> None:
    supplier, _ = await served(http)
    since = datetime.now(UTC)
    await follow(opened, seen(supplier, "down", since=since))
    before = await told(SourceChanged)

    await follow(opened, seen(supplier, "down", since=since), seen(supplier, "down", since=since))

    assert await told(SourceChanged) == before


async def test_a_source_that_comes_later_has_its_health_when_it_is_next_repeated(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier, source = await served(http)
    await follow(opened, seen(supplier, "healthy"))
    late = await a_source(http, source["model_id"], supplier["id"])
    assert (await now(http, late))[0] == "unknown"

    await follow(opened, seen(supplier, "healthy"))

    assert (await now(http, late))[0] == "healthy"


async def test_what_nobody_repeats_is_forgotten(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, source = await served(http)
    await follow(opened, seen(supplier, "down", since=LONG_AGO))
    out = await now(http, source)

    await follow_health(opened, Terms(TERMS.patience, timedelta(0)))

    assert (out, await now(http, source)) == (("down", False, "unhealthy"), ("unknown", True, None))


async def test_one_router_of_two_that_fails_with_a_source_does_not_take_it_out(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier, source = await served(http)
    await follow(opened, seen(supplier, "healthy"), of_source(source, "down", since=LONG_AGO))
    alone = await now(http, source)
    why = await shown(http, f"/api/v1/sources/{source['id']}/health")

    await follow(opened, of_source(source, "healthy", observer="r2"))
    differing = await now(http, source)
    await follow(opened, of_source(source, "unknown"))

    assert (alone, differing) == (("down", False, "unhealthy"), ("degraded", True, None))
    assert await now(http, source) == ("healthy", True, None)
    assert {(each["observer"], each["is_of_supplier"], each["health"]) for each in why["claims"]} == {
        ("sync", True, "healthy"),
        ("r1", False, "down"),
    }
    assert datetime.fromisoformat(why["unhealthy_at"]) == LONG_AGO + TERMS.patience


async def test_a_word_or_a_subject_of_tomorrow_harms_nobody(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, source = await served(http)

    await follow(
        opened,
        seen(supplier, "splendid"),
        seen({"id": str(new_id())}, "down", since=LONG_AGO),
        seen(supplier, "down", source_id=new_id(), since=LONG_AGO),
        seen(supplier, "down", observer="ahead", since=LONG_AGO, observed_at=NOW + timedelta(days=9)),
    )
    await follow(opened, seen(supplier, "healthy", observer="ahead"))

    assert await now(http, source) == ("healthy", True, None)


async def test_what_nobody_says_after_a_restore_is_not_held_for_ever(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, source = await served(http)
    await follow(opened, seen(supplier, "down", since=LONG_AGO))
    async with opened.transaction() as session:
        await session.execute(sa.delete(health_claims))

    async with opened.transaction() as session:
        await question_the_unclaimed(session)
    await follow_health(opened, TERMS)

    assert await now(http, source) == ("unknown", True, None)


async def test_a_supplier_with_more_sources_than_one_transaction_takes_is_followed_whole(
    http: httpx.AsyncClient, opened: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbus.catalog.actions.health.AT_ONCE", 2)
    supplier, source = await served(http)
    sources = [source, *[await a_source(http, source["model_id"], supplier["id"]) for _ in range(4)]]

    await follow(opened, seen(supplier, "down"), of_source(sources[1], "degraded"))

    assert {(await now(http, each))[0] for each in sources} == {"down"}


async def test_it_is_heard_on_the_bus(catalog_with_bus: str, bus: LocalBus) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    router = Bus(bus.url, service="router")
    router.start()
    async with httpx.AsyncClient(base_url=catalog_with_bus, headers=headers) as http:
        _, source = await served(http)

        tell: Tell[SourceHealthChanged] = teller(router, HEALTH, service="router")
        await tell(of_source(source, "down", since=LONG_AGO))

        async def out() -> bool:
            return await now(http, source) == ("down", False, "unhealthy")

        await eventually(out)
    await router.stop()


def claim(health: str, age_s: float = 0) -> Claim:
    at = NOW - timedelta(seconds=age_s)
    key = new_id()
    return Claim(key, "o", key, health, at, at, None, is_settled=False)


@given(st.lists(st.sampled_from([*Health]), max_size=5))
def test_all_must_say_down_for_it_to_be_down(healths: list[Health]) -> None:
    verdict = sum_up([claim(each) for each in healths], NOW, timedelta(minutes=1))

    known = {*healths} - {Health.UNKNOWN}
    assert (verdict.health == Health.DOWN) == (known == {Health.DOWN})
    assert (verdict.health == Health.UNKNOWN) == (not known)
    assert (verdict.unhealthy_at(TERMS.patience) is not None) == (verdict.health == Health.DOWN)
    assert verdict.unhealthy_at(timedelta(0)) is None


@given(st.sampled_from([*Health]), st.sampled_from([*Health]))
def test_the_worse_of_two_holds_whoever_comes_first(first: Health, second: Health) -> None:
    verdicts = Verdict(first, NOW), Verdict(second, NOW - timedelta(seconds=9))

    assert worse(*verdicts) == worse(*reversed(verdicts))
    assert worse(*verdicts).health in {first, second}
    assert (Health.DOWN in {first, second}) == (worse(*verdicts).health == Health.DOWN)
