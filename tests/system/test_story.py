"""The story that Modelbus exists for, told on real parts: a model goes, and nobody gets a 500."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import nats
import openai
import pytest
from nats.aio.msg import Msg

from collector import Collector
from modelbus.contracts.bus_users import users
from permitted_bus import greeting
from running import eventually
from system.documents import ORDER, ROOT, reader_directory, run, steps_of
from testing_bus import is_heard
from whole import System

pytestmark = pytest.mark.system

EVENTS = ROOT / "docs" / "events.md"
LISTENING = re.compile(r"`nats --server \"\$\(jq -r \.(\w+) \.modelbus/endpoints\.json\)\" sub '?([\w.*>]+)'?`")
HELLO: Any = [{"role": "user", "content": "Hello"}]
PARENT = "00f067aa0ba902b7"
TRACED = {"description": "Changed under a trace"}
GOING = "anthropic/claude-3-5-haiku"


async def say_hello(client: openai.AsyncOpenAI, model: str) -> str:
    answer = await client.chat.completions.create(model=model, messages=HELLO)
    return answer.choices[0].message.content or ""


async def hear_hello(client: openai.AsyncOpenAI, model: str) -> str:
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def models(system: System, **filters: Any) -> int:
    answer = await system.http("catalog").get("/api/v1/models", params={"limit": 1, "total": True, **filters})
    total: int = answer.json()["total"]
    return total


async def stale(system: System, **filters: Any) -> list[dict[str, Any]]:
    answer = await system.http("integrity").get("/api/v1/stale-references", params=filters)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


class Stranger:
    """A subscriber who has nothing but nats-py."""

    def __init__(self) -> None:
        self.heard: list[Msg] = []

    async def note(self, message: Msg) -> None:
        self.heard.append(message)

    def of(self, kind: str) -> list[Any]:
        return [json.loads(message.data) for message in self.heard if message.subject == kind]


async def test_a_model_goes_is_flagged_and_routed_around_and_comes_back(system: System) -> None:  # noqa: PLR0915 - one story
    stranger = Stranger()
    connection = await nats.connect(system.endpoints["nats"])
    for subject in ("model.unavailable", "model.available", "catalog.synced", "reference.stale", "reference.restored"):
        await connection.subscribe(subject, cb=stranger.note)
    client = system.openai()
    offered = (await system.supplier("openrouter"))["id"]

    # Every one of the 194 listed models has become a source: none is left out, not even the one without a price.
    runs = (await system.http("sync").get("/api/v1/runs", params={"supplier_id": offered})).json()["items"]
    first = runs[-1]
    assert (first["listed_count"], first["left_out_count"], first["added"]) == (194, 0, 194)
    assert await models(system, supplier_id=offered, is_available=True) == 194
    auto = (await system.http("catalog").get("/api/v1/models/openrouter/auto/sources")).json()["items"][0]
    assert (auto["cost"]["input"], auto["cost"]["is_dynamic"]) == (None, True)

    assert f"from {GOING}" in await say_hello(client, GOING)
    assert f"from {GOING}" in await hear_hello(client, GOING)
    assert f"from {GOING}" in await say_hello(client, "default-chat")
    assert GOING in [model.id async for model in client.models.list()]

    # The provider's list of half a year later: +157, -49.
    await system.control("openrouter", "listing", {"recording": "2025-04-23"})
    second = await system.sync("openrouter")
    assert (second["status"], second["added"], second["removed"], second["held"]) == ("applied", 157, 0, 49)
    # Missing once may be a gap in the list; what the provider refuses already is routed around all the same.
    assert await models(system, supplier_id=offered, is_available=True) == 194 + 157
    assert "from gpt-4o-mini at openai" in await say_hello(client, "default-chat")
    third = await system.sync("openrouter")
    assert (third["added"], third["removed"], third["unchanged"]) == (0, 49, 302)
    assert await models(system, supplier_id=offered, is_available=True) == 302
    await eventually(lambda: len(stranger.of("model.unavailable")) >= 46)
    await system.everywhere()

    # Flagged, with the place where an administrator finds it.
    [flag] = await eventually(lambda: stale(system, holder_kind="chain"))
    assert (flag["holder_name"], flag["place"], flag["target_name"]) == ("default-chat", "step 1", GOING)
    assert (flag["severity"], flag["reason"]) == ("degraded", "delisted")
    levels = await eventually(lambda: stale(system, holder_kind="complexity"))
    assert [each["place"] for each in levels] == ["level hard, position 2"]
    validated = await system.http("integrity").post("/api/v1/validate", json={"config_type": "fallback"})
    degraded = [each for each in validated.json()["findings"] if each["kind"] == "degraded"]
    assert [each["holder_name"] for each in degraded] == ["default-chat"]

    # The chain falls through; a plain call is told why.
    assert "from gpt-4o-mini at openai" in await say_hello(client, "default-chat")
    assert "from gpt-4o-mini at openai" in await hear_hello(client, "default-chat")
    with pytest.raises(openai.APIStatusError) as refused:
        await say_hello(client, GOING)
    assert refused.value.status_code == 503
    assert refused.value.code == "model_unavailable"
    assert "delisted" in str(refused.value)
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        await say_hello(client, "vendor/no-such-model")
    assert GOING not in [model.id async for model in client.models.list()]

    # It returns, and the flag goes.
    await system.control("openrouter", "listing", {"recording": "2024-11-10"})
    await system.sync("openrouter")
    await system.everywhere()
    assert f"from {GOING}" in await say_hello(client, "default-chat")
    await eventually(lambda: _is_clear(system))

    # What the stranger heard are CloudEvents, each of them.
    await eventually(lambda: stranger.of("reference.restored"))
    assert {message.headers["ce-specversion"] for message in stranger.heard if message.headers} == {"1.0"}
    assert all((message.headers or {})["ce-type"] == message.subject for message in stranger.heard)
    assert [event["removed"] for event in stranger.of("catalog.synced")][:2] == [0, 49]
    assert {event["name"] for event in stranger.of("model.unavailable")} >= {GOING}
    assert {event["holder_name"] for event in stranger.of("reference.stale")} >= {"default-chat"}
    await connection.close()
    await client.close()


async def _is_clear(system: System) -> bool:
    return await stale(system) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"html": True}, "html"),
        ({"empty_listing": True}, "empty"),
        ({"invalid_json": True}, "JSON"),
        ({"truncated_json": True}, "JSON"),
        ({"huge_body_bytes": 64 * 1024 * 1024}, "larger"),
    ],
)
async def test_a_provider_that_lies_changes_nothing(system: System, fault: dict[str, Any], reason: str) -> None:
    before = (await system.http("catalog").get("/api/v1/head")).json()["digests"]
    await system.control("openai", "behaviours", [{"path": "models", "fault": fault}])

    run = await system.sync("openai-direct")

    await system.control("openai", "behaviours", [])
    # What can be read at all waits for an administrator; nothing of it is applied.
    assert run["status"] == ("quarantined" if "empty_listing" in fault else "failed")
    assert reason.lower() in run["reason"].lower()
    assert (await system.http("catalog").get("/api/v1/head")).json()["digests"] == before


async def test_many_callers_at_once_are_all_answered(system: System) -> None:
    client = system.openai()

    answers = await asyncio.gather(*(say_hello(client, "openai/gpt-4o-mini") for _ in range(50)))

    assert all("from gpt-4o-mini" in answer for answer in answers)
    await client.close()


async def test_the_subscriber_of_the_documents_hears_with_the_credentials_of_the_endpoints_file(
    system: System, tmp_path: Path
) -> None:
    [program, *_] = re.findall(r"```python\n(.*?)```", EVENTS.read_text(), flags=re.DOTALL)
    (tmp_path / ".modelbus").symlink_to(system.home)
    catalog, model = system.http("catalog"), "/api/v1/models/openai/o1-preview"
    listener = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    assert listener.stdout is not None
    heard = asyncio.create_task(listener.stdout.readline())

    async def has_heard() -> bool:
        # Again, as nothing says when it has subscribed.
        await catalog.post(f"{model}/disable", params={"force": True})
        await catalog.post(f"{model}/enable")
        return heard.done()

    await eventually(has_heard, within_s=20)

    assert re.fullmatch(rb"\d+ openai/o1-preview\n", await heard)
    listener.kill()
    await listener.wait()


async def refused_by_the_bus(url: str, *, publish: Sequence[str] = (), subscribe: Sequence[str] = ()) -> list[str]:
    """Do each as the user of the address, and answer what the server has refused, in its words."""
    said: list[str] = []

    async def note(error: Exception) -> None:
        said.append(str(error))

    connection = await nats.connect(url, error_cb=note)
    for subject in publish:
        await connection.publish(subject, b"{}")
    for subject in subscribe:
        await connection.subscribe(subject)
    await is_heard(connection)
    await connection.close()
    return said


async def test_nobody_enters_the_bus_without_the_right_password_and_a_subscriber_only_hears(system: System) -> None:
    subscriber, operator = (urlsplit(system.endpoints[name]) for name in ("nats", "nats_operator"))
    names = [user.name for user in users()]
    mistaken = [{}, *({"user": name} for name in names), *({"user": name, "pass": "guessed"} for name in names)]
    mistaken.append({"user": str(operator.username), "pass": str(subscriber.password)})

    answers = [await greeting(subscriber.port or 0, shown) for shown in mistaken]
    known = await greeting(subscriber.port or 0, {"user": "subscriber", "pass": str(subscriber.password)})
    refused = await refused_by_the_bus(
        subscriber.geturl(),
        publish=["model.unavailable", "$JS.API.STREAM.PURGE.CATALOG"],
        subscribe=["model.unavailable", "credential.changed", ">", "_INBOX.>"],
    )

    assert set(answers) == {b"-ERR 'Authorization Violation'\r\n"}
    assert known == b"PONG\r\n"
    assert refused == [
        'nats: permissions violation for publish to "model.unavailable"',
        'nats: permissions violation for publish to "$js.api.stream.purge.catalog"',
        'nats: permissions violation for subscription to "credential.changed"',
        'nats: permissions violation for subscription to ">"',
        'nats: permissions violation for subscription to "_inbox.>"',
    ]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/events.md"])
async def test_what_a_page_says_to_listen_to_may_be_heard_with_the_address_that_it_names(
    system: System, page: str
) -> None:
    text = (ROOT / page).read_text()
    commands = LISTENING.findall(text)

    assert len(commands) == len(re.findall(r"`nats [^`]*\bsub ", text)) > 0
    for name, subject in commands:
        assert await refused_by_the_bus(system.endpoints[name], subscribe=[subject]) == []


async def test_one_trace_leads_from_an_administrators_change_to_the_routers_copy(
    system: System, collector: Collector
) -> None:
    trace_id = uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01"}

    catalog = system.http("catalog")
    [chain] = (await catalog.get("/api/v1/fallback-chains", params={"name": "default-chat"})).json()["items"]
    path = f"/api/v1/fallback-chains/{chain['id']}"
    answer = await catalog.patch(path, json=TRACED, headers=headers, params={"check": True})
    assert answer.status_code == httpx.codes.OK, answer.text

    def names() -> set[tuple[str, str]]:
        return {(told.service.removeprefix("modelbus-"), told.name) for told in collector.of(trace_id)}

    await eventually(
        lambda: (
            names()
            >= {
                ("catalog", "PATCH /api/v1/fallback-chains/{chain_id}"),
                ("integrity", "POST /api/v1/validate/proposal"),
                ("integrity", "process chain.changed"),
                ("router", "apply changes"),
            }
        )
    )
    [asked] = collector.of(trace_id, "modelbus-catalog")
    others = [told for told in collector.of(trace_id) if told is not asked]
    assert (asked.parent_id, {told.parent_id for told in others}) == (PARENT, {asked.id})
    [applied] = collector.of(trace_id, "modelbus-router")
    assert applied.attributes["modelbus.revision"] >= int(answer.headers["x-modelbus-revision"])


async def test_a_completion_is_traced_with_each_of_its_attempts(system: System, collector: Collector) -> None:
    trace_id = uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    stranger, connection = Stranger(), await nats.connect(system.endpoints["nats_operator"])
    await connection.subscribe("usage.recorded", cb=stranger.note)
    await is_heard(connection)

    async with system.openai() as client:
        answer = await client.chat.completions.create(model="openai/gpt-4o-mini", messages=HELLO, extra_headers=headers)

    asked, attempt = sorted(await eventually(lambda: collector.of(trace_id)), key=lambda told: told.parent_id != PARENT)
    assert (asked.name, asked.parent_id) == ("chat openai/gpt-4o-mini", PARENT)
    assert (attempt.name, attempt.parent_id) == ("chat gpt-4o-mini", asked.id)
    assert answer.usage is not None
    assert attempt.attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens
    assert attempt.attributes["gen_ai.usage.output_tokens"] == answer.usage.completion_tokens
    assert attempt.attributes["modelbus.attempt.outcome"] == "ok"
    assert "Hello" not in str(asked.attributes | attempt.attributes)

    def recorded() -> list[Any]:
        told = [each for batch in stranger.of("usage.recorded") for each in batch["requests"]]
        return [each for each in told if each["trace_id"] == trace_id]

    [record] = await eventually(recorded)
    assert record["id"] == asked.attributes["modelbus.request.id"]
    assert [each["source_id"] for each in record["attempts"]] == [attempt.attributes["modelbus.source.id"]]
    await connection.close()


@pytest.mark.parametrize("document", ORDER)
async def test_the_commands_of_the_documents_work_and_show_what_they_say(
    system: System, tmp_path: Path, document: str
) -> None:
    steps = steps_of(document)

    outcomes = await run(steps, reader_directory(tmp_path / "reader", system.home))

    for block, outcome in zip(steps, outcomes, strict=True):
        told = f"{block}\n{outcome.output[-3000:]}\n{outcome.errors[-3000:]}"
        assert outcome.is_ended, told
        assert outcome.unannounced(block) == set(), told
        assert [shown for shown in block.shown if shown not in outcome.output] == [], told


async def test_nobody_was_refused_anything_on_the_bus(system: System) -> None:
    logs = [(system.home / "logs" / f"{name}.log").read_text() for name in ("catalog", "sync", "router", "integrity")]

    assert all("bus is connected" in log for log in logs)
    assert [line for log in logs for line in log.splitlines() if "bus refuses" in line] == []


def lines_of(system: System, service: str) -> list[dict[str, Any]]:
    """Read what a service has logged; every line is one JSON object, and the last may not be whole yet."""
    whole, _, _ = (system.home / "logs" / f"{service}.log").read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


async def test_ids_lead_through_the_logs_of_all_who_hear_of_a_change(system: System) -> None:
    request_id, trace_id, catalog = str(uuid4()), uuid4().hex, system.http("catalog")
    [chain] = (await catalog.get("/api/v1/fallback-chains", params={"name": "default-chat"})).json()["items"]
    headers = {"X-Request-Id": request_id, "traceparent": f"00-{trace_id}-{PARENT}-00"}

    path = f"/api/v1/fallback-chains/{chain['id']}"
    answer = await catalog.patch(path, json={"description": "Changed for the logs"}, headers=headers)
    run = await system.sync("openrouter")

    def heard(service: str, correlation_id: str) -> dict[str, Any] | None:
        found = [each for each in lines_of(system, service) if each.get("correlation_id") == correlation_id]
        return found[0] if found else None

    [asked] = [each for each in lines_of(system, "catalog") if each.get("request_id") == request_id]
    assert (asked["action"], asked["caller"]) == ("PATCH /api/v1/fallback-chains/{chain_id}", "administrator")
    line = await eventually(lambda: heard("integrity", request_id))
    assert (line["event"], line["trace_id"]) == ("event is heard", trace_id)
    assert (line["event_type"], line["revision"]) == ("chain.changed", int(answer.headers["x-modelbus-revision"]))
    assert asked["trace_id"] == trace_id
    assert [each["supplier"] for each in lines_of(system, "sync") if each.get("run_id") == run["id"]]
    assert (await eventually(lambda: heard("catalog", run["id"])))["event_id"]


async def test_no_log_holds_a_secret_or_a_word_of_a_prompt(system: System) -> None:
    catalog, marker, password = system.http("catalog"), f"marker-{uuid4().hex}", f"password {uuid4().hex}"
    made = [password, marker]
    user = {"name": f"logged-{uuid4().hex[:8]}", "role": "admin", "password": password}
    assert (await catalog.post("/api/v1/users", json=user)).status_code == httpx.codes.CREATED
    signed_in = {"name": user["name"], "password": password}
    session = (await catalog.post("/api/v1/auth/login", json=signed_in)).json()
    shown = {"Authorization": f"Bearer {session['access_token']}"}
    token = {"name": "logged", "role": "admin"}
    made += [session["access_token"], session["refresh_token"]]
    made.append((await catalog.post("/api/v1/auth/tokens", json=token, headers=shown)).json()["token"])
    made.append((await catalog.post("/api/v1/access-keys", json={"name": user["name"]})).json()["key"])
    supplier = await system.supplier("openai-direct")
    credential = {"supplier_id": supplier["id"], "name": "logged", "secret": f"sk-{marker}", "is_active": False}
    assert (await catalog.post("/api/v1/credentials", json=credential)).status_code == httpx.codes.CREATED
    for service in ("catalog", "sync", "integrity", "router"):
        for bearer in made:
            await system.http(service).get("/api/v1/parked", headers={"Authorization": f"Bearer {bearer}"})
    prompts = [{"role": "user", "content": marker}]
    async with system.openai() as client:
        await client.chat.completions.create(model="openai/gpt-4o-mini", messages=prompts)  # type: ignore[arg-type]
        for model, said in ((marker, prompts), ("openai/gpt-4o-mini", marker)):
            with pytest.raises(openai.APIStatusError):
                await client.chat.completions.create(model=model, messages=said)  # type: ignore[arg-type]
    made += secrets_in(json.loads((system.home / "secrets.json").read_text()))

    logs = {file.name: file.read_text() for file in system.home.rglob("*.log*")}

    assert logs.keys() >= {f"{name}.log" for name in ("catalog", "sync", "router", "integrity", "simulator", "nats")}
    assert [(name, secret) for secret in made for name, log in logs.items() if secret in log] == []


def secrets_in(kept: Any) -> list[str]:
    """Answer every text of a document."""
    match kept:
        case dict():
            return [each for value in kept.values() for each in secrets_in(value)]
        case str():
            return [kept]
    return []
