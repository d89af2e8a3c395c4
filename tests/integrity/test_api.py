"""What administrators ask of integrity, and what they are told when they ask wrongly."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from integrity.teller import a_chain, a_complexity, a_model, a_scope, a_source
from running import SERVICE_TOKEN


async def items(http: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get(path, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    listed: list[dict[str, Any]] = answer.json()["items"]
    return listed


type Serve = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_findings_are_filtered_by_what_they_say(serve: Serve) -> None:
    gone, other, stays = a_model(gone="delisted"), a_model(gone="disabled"), a_model()
    chain, routing = a_chain(gone, stays), a_complexity(easy=[other.id], hard=[stays.id, gone.id])
    http = await serve(gone, other, stays, chain, routing)

    async def places(**filters: Any) -> set[str]:
        return {each["place"] for each in await items(http, "/api/v1/stale-references", **filters)}

    assert await places(holder_kind="chain") == {"step 1"}
    assert await places(holder_id=str(routing.id)) == {"level easy, position 1", "level hard, position 2"}
    assert await places(severity="dead") == {"level easy, position 1"}
    assert await places(target_id=str(gone.id)) == {"step 1", "level hard, position 2"}
    assert await places(holder_kind="scope") == set()


async def test_findings_are_paged_without_gap_or_double(serve: Serve) -> None:
    gone = [a_model(gone="delisted") for _ in range(5)]
    http = await serve(*gone, a_chain(*gone))

    seen, cursor = [], None
    while True:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await http.get("/api/v1/stale-references", params=query)).json()
        seen += [each["place"] for each in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert sorted(seen) == [f"step {number}" for number in range(1, 6)]


async def test_references_tell_who_depends_on_a_model_by_id_or_name(serve: Serve) -> None:
    model = a_model(name="openai/gpt-4")
    source = a_source(model.id, gone="no_credential")
    unrelated = a_model()
    http = await serve(model, unrelated, source, a_chain(unrelated, source), a_scope([model.id], default=model.id))

    by_name = await items(http, "/api/v1/references", target="openai/gpt-4")

    assert [(each["holder_kind"], each["place"], each["problem"]) for each in by_name] == sorted(
        [("chain", "step 2", "no_credential"), ("scope", "position 1", None), ("scope", "default", None)],
        key=lambda each: [view["place"] for view in by_name].index(each[1]),
    )
    assert await items(http, "/api/v1/references", target=str(model.id)) == by_name
    assert [each["place"] for each in await items(http, "/api/v1/references", target=str(source.id))] == ["step 2"]
    first = (await http.get("/api/v1/references", params={"target": model.name, "limit": 2})).json()
    rest = await items(http, "/api/v1/references", target=model.name, limit=2, cursor=first["next_cursor"])
    assert [*first["items"], *rest] == by_name


async def test_validation_judges_the_asked_kind_only(serve: Serve) -> None:
    gone, stays = a_model(gone="delisted"), a_model()
    http = await serve(gone, stays, a_chain(gone, stays, name="c"), a_scope([gone.id]), a_complexity(easy=[stays.id]))

    async def validated(config_type: str) -> dict[str, Any]:
        answer = await http.post("/api/v1/validate", json={"config_type": config_type})
        assert answer.status_code == httpx.codes.OK, answer.text
        view: dict[str, Any] = answer.json()
        return view

    fallback = await validated("fallback")
    assert (fallback["config_type"], fallback["revision"], fallback["checked"]) == ("fallback", 5, 2)
    (finding,) = fallback["findings"]
    assert (finding["holder_name"], finding["place"], finding["severity"], finding["reason"]) == (
        "c",
        "step 1",
        "degraded",
        "delisted",
    )
    assert [each["severity"] for each in (await validated("scope"))["findings"]] == ["dead"]
    assert (await validated("complexity"))["findings"] == []
    assert len((await validated("all"))["findings"]) == 2


WRONG_VALIDATIONS: list[tuple[dict[str, Any], str]] = [
    ({"config_type": "models"}, "'fallback', 'split', 'complexity', 'strategy', 'scope', 'pricing', 'access' or 'all'"),
    ({"config_type": None}, "config_type"),
    ({}, "config_type"),
    ({"config_type": "all", "deep": True}, "deep"),
]

WRONG_QUERIES: list[tuple[str, dict[str, str]]] = [
    ("stale-references", {"severity": "bad"}),
    ("stale-references", {"holder_kind": "tag"}),
    ("stale-references", {"state": "closed"}),
    ("stale-references", {"holder_id": "1"}),
    ("stale-references", {"limit": "0"}),
    ("stale-references", {"limit": "201"}),
    ("stale-references", {"cursor": "x"}),
    ("stale-references", {"sort": "id"}),
    ("references", {}),
    ("references", {"target": ""}),
    ("references", {"target": "a\x00b"}),
    ("references", {"target": "x" * 513}),
    ("references", {"target": "x", "cursor": "nowhere"}),
    ("references", {"target": "x", "cursor": f"{uuid4()}.99999999999999999999"}),
]


async def test_a_wrong_validation_is_refused_with_what_would_be_right(serve: Serve) -> None:
    http = await serve()

    for body, named in WRONG_VALIDATIONS:
        answer = await http.post("/api/v1/validate", json=body)

        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, body
        assert answer.json()["code"] == "invalid_input", body
        assert named in answer.json()["detail"]
    malformed = await http.post(
        "/api/v1/validate", content=b'{"config_type": ', headers={"content-type": "application/json"}
    )
    assert (malformed.status_code, malformed.json()["code"]) == (httpx.codes.BAD_REQUEST, "malformed_json")


async def test_a_wrong_query_is_refused(serve: Serve) -> None:
    http = await serve()

    for path, query in WRONG_QUERIES:
        answer = await http.get(f"/api/v1/{path}", params=query)

        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, (path, query)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_target_that_nobody_knows_is_not_found(serve: Serve) -> None:
    http = await serve()

    for target in ("no/such-model", str(uuid4())):
        answer = await http.get("/api/v1/references", params={"target": target})

        assert (answer.status_code, answer.json()["code"]) == (httpx.codes.NOT_FOUND, "target_not_found")


async def test_only_administrators_enter(serve: Serve) -> None:
    http = await serve()

    for path in ("/api/v1/stale-references", "/api/v1/references?target=x", "/api/v1/parked"):
        nobody = await http.get(path, headers={"Authorization": ""})
        service = await http.get(path, headers={"Authorization": f"Bearer {SERVICE_TOKEN}"})

        assert (nobody.status_code, service.status_code) == (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
