"""From an event on the CATALOG stream to a finding and an event on the INTEGRITY stream, on real parts."""

from typing import Any
from uuid import UUID, uuid4

import httpx
from nats.aio.client import Client

from integrity.listening import Ear, ready, running_integrity
from integrity.teller import Teller, a_chain, a_complexity, a_model, a_scope, a_source
from modelbus.contracts.bus import CATALOG, INTEGRITY_HEARS_CATALOG
from modelbus.contracts.catalog import ChainChanged, ModelAvailable, ModelChanged, ModelUnavailable
from modelbus.contracts.references import ReferenceRestored, ReferenceStale
from running import eventually
from servers import FreshDatabase
from testing_bus import LocalBus


async def found(http: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await http.get("/api/v1/stale-references", params=filters)
    assert answer.status_code == httpx.codes.OK, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def everything_is_heard(client: Client) -> None:
    """Wait until integrity has answered for every message on the stream."""
    context = client.jetstream()

    async def is_heard() -> bool:
        info = await context.consumer_info(CATALOG.name, INTEGRITY_HEARS_CATALOG.durable)
        return bool(info.num_pending == 0 and info.num_ack_pending == 0)

    await eventually(is_heard)


async def test_a_model_that_goes_is_found_within_a_second_and_its_return_is_told(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear, nats_client: Client
) -> None:
    gone, stays = a_model(name="openai/gpt-4"), a_model()
    chain = a_chain(gone, stays, name="default-chat")
    await catalog.tell(gone, stays, chain)
    await everything_is_heard(nats_client)

    await catalog.tell(a_model(gone.id, name=gone.name, gone="delisted"))
    (stale,) = await ear.hears(1, within_s=4)

    (finding,) = await found(http)
    assert isinstance(stale, ReferenceStale)
    assert stale.finding_id == UUID(finding["id"])
    assert (stale.holder_id, stale.target_id, stale.place, stale.severity) == (chain.id, gone.id, "step 1", "degraded")
    assert (finding["holder_name"], finding["place"], finding["target_name"], finding["reason"]) == (
        "default-chat",
        "step 1",
        "openai/gpt-4",
        "delisted",
    )

    await catalog.tell(gone)
    _, restored = await ear.hears(2)

    assert isinstance(restored, ReferenceRestored)
    assert (restored.finding_id, restored.resolution) == (stale.finding_id, "target_returned")
    assert await found(http) == []
    (kept,) = await found(http, state="all")
    assert (kept["state"], kept["resolution"], kept["closed_revision"]) == ("resolved", "target_returned", 5)
    assert await found(http, state="resolved") == [kept]


async def test_losing_the_last_step_tells_that_the_others_are_dead_too(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    first, second = a_model(), a_model()
    await catalog.tell(first, second, a_chain(first, second))

    await catalog.tell(a_model(first.id, gone="delisted"))
    await ear.hears(1)
    await catalog.tell(a_model(second.id, gone="disabled"))
    heard = await ear.hears(3)

    assert [(each.place, each.severity) for each in heard if isinstance(each, ReferenceStale)] == [
        ("step 1", "degraded"),
        ("step 2", "dead"),
        ("step 1", "dead"),
    ]
    assert {finding["severity"] for finding in await found(http)} == {"dead"}


async def test_every_kind_of_holder_is_flagged_where_it_names_the_model(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    model, source = a_model(), a_source(uuid4())
    other = a_model(source.model_id)
    await catalog.tell(model, other, source)
    await catalog.tell(a_chain(source), a_complexity(hard=[other.id, model.id]), a_scope([model.id], default=model.id))

    await catalog.tell(a_model(model.id, gone="delisted"), a_source(other.id, source.id, gone="no_credential"))
    await ear.hears(4)

    shown = ("holder_kind", "place", "target_kind", "severity")
    assert {tuple(each[name] for name in shown) for each in await found(http)} == {
        ("chain", "step 1", "source", "dead"),
        ("complexity", "level hard, position 2", "model", "degraded"),
        ("scope", "position 1", "model", "dead"),
        ("scope", "default", "model", "dead"),
    }


async def test_a_deleted_holder_takes_its_findings_with_it(http: httpx.AsyncClient, catalog: Teller, ear: Ear) -> None:
    gone = a_model(gone="delisted")
    chain = a_chain(gone, name="doomed")
    await catalog.tell(gone, chain)
    await ear.hears(1)

    await catalog.tell(ChainChanged.gone(chain.id))
    _, restored = await ear.hears(2)

    assert isinstance(restored, ReferenceRestored)
    assert (restored.resolution, restored.holder_name) == ("reference_removed", "doomed")
    assert await found(http) == []


async def test_a_transition_without_a_change_of_the_record_changes_nothing(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear, nats_client: Client
) -> None:
    model = a_model()
    chain = a_chain(model)
    told = await catalog.tell(model, chain)
    moment = told[0].envelope.time

    await catalog.tell(
        ModelUnavailable(model_id=model.id, name=model.name, reason="delisted", since=moment, previous_source_ids=[])
    )
    await catalog.tell(a_model(model.id, gone="delisted"))
    await catalog.tell(ModelAvailable(model_id=model.id, name=model.name, since=moment))
    await everything_is_heard(nats_client)

    assert len(await found(http)) == 1
    assert len(await ear.hears(1)) == 1


async def test_deliveries_twice_and_out_of_order_tell_once(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear, nats_client: Client
) -> None:
    model = a_model()
    chain = a_chain(model)
    news = [model, chain, a_model(model.id, gone="delisted"), model, a_model(model.id, gone="disabled")]
    told = [catalog.commit(each) for each in news]

    await catalog.publish(told[1])
    # What is heard together is told as it is in the end.
    await ear.hears(1)
    for each in [told[4], told[0], told[2], told[4], told[3], told[1], told[2]]:
        await catalog.publish(each, again=True)
    await everything_is_heard(nats_client)

    (finding,) = await found(http, state="all")
    assert (finding["state"], finding["reason"]) == ("open", "disabled")
    # The chain came first, when its target was not known yet.
    assert [(type(each), getattr(each, "reason", None)) for each in await ear.hears(2)] == [
        (ReferenceStale, "deleted"),
        (ReferenceStale, "disabled"),
    ]


async def test_a_late_older_event_does_not_revive_the_deleted(
    http: httpx.AsyncClient, catalog: Teller, nats_client: Client
) -> None:
    model = a_model()
    created, gone = catalog.commit(model), catalog.commit(ModelChanged.gone(model.id))
    await catalog.publish(gone)
    await catalog.publish(created)
    await catalog.tell(a_chain(model))
    await everything_is_heard(nats_client)

    assert [finding["reason"] for finding in await found(http)] == ["deleted"]


async def test_a_message_that_can_not_be_read_is_parked_once_and_delays_nobody(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    poison = catalog.commit(a_model())
    for _ in range(2):
        headers = {**poison.envelope.headers(), "Nats-Msg-Id": str(uuid4())}
        await catalog.publish_raw(ModelChanged.type, b'{"id": "no id"', headers)
    gone = a_model(gone="delisted")
    await catalog.tell(gone, a_chain(gone))
    await ear.hears(1)

    (parked,) = (await http.get("/api/v1/parked")).json()["items"]
    retried = await http.post(f"/api/v1/parked/{parked['id']}/retry")

    assert (parked["subject"], parked["event_id"]) == (ModelChanged.type, str(poison.envelope.id))
    assert retried.status_code == httpx.codes.CONFLICT
    assert (await http.delete(f"/api/v1/parked/{parked['id']}")).status_code == httpx.codes.NO_CONTENT


async def test_a_deleted_consumer_is_made_anew_and_heard_again(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear, nats_client: Client
) -> None:
    gone = a_model(gone="delisted")
    await nats_client.jetstream().delete_consumer(CATALOG.name, INTEGRITY_HEARS_CATALOG.durable)

    await catalog.tell(gone, a_chain(gone))

    assert len(await ear.hears(1)) == 1
    await ready(http)


async def test_two_replicas_open_each_finding_once(
    http: httpx.AsyncClient,
    database: FreshDatabase,
    bus: LocalBus,
    catalog: Teller,
    catalog_url: str,
    nats_client: Client,
) -> None:
    async with running_integrity(database, bus.url, catalog_url) as second:
        await ready(second)
        await ready(http)
        models = [a_model() for _ in range(20)]
        await catalog.tell(*models, *(a_chain(*models, name=f"chain {number}") for number in range(3)))
        await catalog.tell(*(a_model(model.id, gone="delisted") for model in models))
        await everything_is_heard(nats_client)

        every = await found(second, state="all", limit=200)

    assert len(every) == 60
    assert {(each["state"], each["severity"]) for each in every} == {("open", "dead")}
