"""Which access keys open the router: while their consumer is in service, and the one before a rotation for a while."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts.access import ConsumerRecord
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import KeyRefusedError, ModelNotPermittedError
from modelbus.router.ingress.access import admit
from router.picking import chosen, in_turn
from router.routers import PROMPT, running_router
from router.seeding import Seed
from router.world import World

OLD, NEW = "mb-before-the-rotation", "mb-after-the-rotation"
SOON, LATELY = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=1)


def a_consumer(seed: Seed, **fields: Any) -> ConsumerRecord:
    usual: dict[str, Any] = {
        "name": "acme",
        "consumer_kind": "tenant",
        "tier": "free",
        "is_active": True,
        "model_ids": None,
        "scope_ids": None,
        "rpm_limit": None,
        "tpm_limit": None,
        "concurrency_limit": None,
        "budgets": [],
    }
    return seed.put(ConsumerRecord(id=new_id(), **(usual | fields)))


def shown(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


def rotated(seed: Seed, until: datetime | None) -> Table:
    seed.key(NEW, previous_key_hash=sha256(OLD.encode()).hexdigest(), previous_expires_at=until)
    return seed.table()


def test_both_keys_open_until_the_grace_is_over() -> None:
    table = rotated(Seed(), SOON)

    assert admit(table, shown(OLD)).id == admit(table, shown(NEW)).id


@pytest.mark.parametrize("until", [LATELY, None])
def test_the_previous_key_ceases_by_the_clock_even_if_the_catalog_has_not_told_so(until: datetime | None) -> None:
    table = rotated(Seed(), until)

    assert admit(table, shown(NEW))
    with pytest.raises(KeyRefusedError, match="rotated"):
        admit(table, shown(OLD))


def test_a_key_of_a_consumer_out_of_service_or_gone_opens_nothing() -> None:
    seed = Seed()
    active, inactive = a_consumer(seed), a_consumer(seed, is_active=False)
    seed.key("mb-active", consumer_id=active.id)
    seed.key("mb-inactive", consumer_id=inactive.id)
    seed.key("mb-orphan", consumer_id=new_id())
    table = seed.table()

    assert admit(table, shown("mb-active")).consumer_id == active.id
    for key in ("mb-inactive", "mb-orphan"):
        with pytest.raises(KeyRefusedError, match="whoever holds"):
            admit(table, shown(key))


def test_a_key_may_no_more_than_its_consumer() -> None:
    seed = Seed()
    one, two, three = (seed.model(name) for name in ("one", "two", "three"))
    consumer = a_consumer(seed, model_ids=[one.id, two.id])
    seed.key("mb-all", consumer_id=consumer.id)
    seed.key("mb-some", consumer_id=consumer.id, model_ids=[two.id, three.id])
    table = seed.table()

    assert admit(table, shown("mb-all")).model_ids == frozenset({one.id, two.id})
    assert admit(table, shown("mb-some")).model_ids == frozenset({two.id})


async def test_a_disabled_consumer_is_refused_at_the_door(world: World, tmp_path: Path) -> None:
    world.seed.key("mb-of-acme", consumer_id=a_consumer(world.seed, is_active=False).id)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.http.post(
            "/v1/chat/completions", json=PROMPT, headers={"Authorization": "Bearer mb-of-acme"}
        )

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_credential_is_used_only_for_its_models_and_once_it_has_cooled_off() -> None:
    seed = Seed()
    supplier, model, other = seed.supplier("acme"), seed.model("m"), seed.model("other")
    seed.source(model, supplier)
    for_other = seed.credential(supplier, "a", model_ids=[other.id])
    cooling = seed.credential(supplier, "b", state="cooling", state_until=SOON)
    cooled = seed.credential(supplier, "c", state="cooling", state_until=LATELY)
    dead = seed.credential(supplier, "d", state="dead")
    fit = seed.credential(supplier, "e", model_ids=[model.id])
    table = seed.table()
    caller = admit(rotated(seed, None), shown(NEW))

    [offer] = chosen(table, "m", caller).offers

    assert {one.id for one in offer.credentials} == {cooled.id, fit.id}
    assert not {for_other.id, cooling.id, dead.id} & {one.id for one in offer.credentials}


def test_what_neither_key_nor_consumer_allows_is_not_offered() -> None:
    seed = Seed()
    model = seed.model("m")
    seed.source(model, seed.supplier("acme"))
    seed.key("mb-other", consumer_id=a_consumer(seed, model_ids=[new_id()]).id)
    table = seed.table()

    with pytest.raises(ModelNotPermittedError):
        in_turn(table, "m", admit(table, shown("mb-other")))
