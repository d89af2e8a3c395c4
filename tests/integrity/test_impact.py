"""What would break if something went, and how much of the traffic that would be."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from nats.aio.client import Client

from integrity.spending import a_request, an_attempt, tell_usage
from integrity.teller import Teller, a_chain, a_model, a_price, a_scope, a_source, a_supplier
from running import eventually

type Serve = Callable[..., Awaitable[httpx.AsyncClient]]

PATH = "/api/v1/impact"


async def impact(http: httpx.AsyncClient, target: Any) -> dict[str, Any]:
    answer = await http.get(PATH, params={"target": str(target)})
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["kind"], each["where"]) for each in found["findings"]}


async def test_only_what_is_not_found_already_or_becomes_worse_is_an_impact(serve: Serve) -> None:
    model, other, gone = a_model(name="openai/gpt"), a_model(), a_model(gone="delisted")
    sources = [a_source(model.id), a_source(other.id), a_source(other.id)]
    chain = a_chain(gone, model, other, name="prod")
    http = await serve(
        model, other, gone, *sources, chain, a_scope([model.id, gone.id], name="support"), a_price(model.id, input="1")
    )

    by_name = await impact(http, "openai/gpt")

    assert (by_name["target_kind"], by_name["target_id"], by_name["usage"]) == ("model", str(model.id), None)
    assert told(by_name) == {
        ("degraded", "chain 'prod', step 2"),
        ("dead", "scope 'support', position 1"),
        ("dead", "scope 'support', position 2"),
        ("orphaned_price", "price 'openai/gpt', price"),
    }
    assert [each["severity"] for each in by_name["findings"]] == ["dead", "dead", "degraded", "at_risk"]
    assert await impact(http, model.id) == by_name
    assert (await http.get("/api/v1/findings", params={"kind": "dead"})).json()["items"] == []


async def test_a_model_goes_with_its_last_source_and_a_supplier_with_all_of_its_sources(serve: Serve) -> None:
    supplier = a_supplier("acme")
    alone, doubled = a_model(), a_model()
    last = a_source(alone.id, supplier_id=supplier.id)
    sources = [a_source(doubled.id, supplier_id=supplier.id), a_source(doubled.id), a_source(doubled.id)]
    http = await serve(supplier, alone, doubled, last, *sources, a_chain(alone, name="a"), a_chain(doubled, name="b"))

    of_source, of_supplier = await impact(http, last.id), await impact(http, supplier.id)

    assert told(of_source) == {("dead", "chain 'a', step 1")}
    assert [each["reason"] for each in of_source["findings"]] == ["no_source"]
    assert (of_supplier["target_kind"], of_supplier["target_name"]) == ("supplier", "acme")
    assert told(of_supplier) == {("dead", "chain 'a', step 1")}
    assert (await impact(http, sources[0].id))["findings"] == []
    assert told(await impact(http, doubled.id)) == {("dead", "chain 'b', step 1")}


async def test_the_share_of_recent_requests_is_told_and_a_batch_that_comes_twice_counts_once(
    http: httpx.AsyncClient, catalog: Teller, nats_client: Client
) -> None:
    model, other = a_model(), a_model()
    source, fallback = a_source(model.id), a_source(other.id)
    await catalog.tell(model, other, source, fallback, a_chain(model, other))
    batch = [
        a_request(an_attempt(source)),
        a_request(an_attempt(source, "failed"), an_attempt(source, "failed"), an_attempt(fallback)),
        a_request(an_attempt(fallback)),
        a_request(an_attempt(fallback)),
        a_request(),
        a_request(an_attempt(source), started_at=datetime.now(UTC) - timedelta(days=3)),
    ]
    context = nats_client.jetstream()
    first = await tell_usage(context, *batch)
    await tell_usage(context, *batch, event_id=first.id)
    await tell_usage(context, a_request(an_attempt(a_source(uuid4()))))

    async def share(target: Any, of: int) -> dict[str, Any]:
        async def is_counted() -> Any:
            found = (await impact(http, target))["usage"]
            assert found is not None
            assert found["of"] == of
            return found

        answer: dict[str, Any] = await eventually(is_counted)
        return answer

    assert await share(model.id, 5) == {"hours": 24, "requests": 2, "of": 5, "share": 0.4}
    assert (await share(fallback.id, 5))["requests"] == 3


async def test_a_target_that_is_unknown_or_malformed_is_refused(serve: Serve) -> None:
    gone = a_model()
    http = await serve(gone)

    for target in ("no/such-model", str(uuid4())):
        answer = await http.get(PATH, params={"target": target})
        assert (answer.status_code, answer.json()["code"]) == (httpx.codes.NOT_FOUND, "target_not_found")
    for query in ({}, {"target": ""}, {"target": "a\x00b"}, {"target": "x", "depth": "1"}):
        refused = await http.get(PATH, params=query)
        assert (refused.status_code, refused.json()["code"]) == (httpx.codes.UNPROCESSABLE_ENTITY, "invalid_input")
