"""The tables of older systems over REST: matched, reported, done once, and never half."""

import json
from typing import Any

import httpx
import pytest

from builders import a_model, a_source, a_supplier
from catalog.refusals import fields_of

IMPORT = "/api/v1/import"
CHAINS = "/api/v1/fallback-chains"


@pytest.fixture
async def stock(http: httpx.AsyncClient) -> dict[str, str]:
    """A direct supplier and an aggregator that both serve one model, and one that only the aggregator serves."""
    direct = await a_supplier(http, name="openai", namespace="openai")
    routed = await a_supplier(http, name="openrouter", kind="aggregator")
    gpt, claude = await a_model(http, name="openai/gpt-4o"), await a_model(http, name="anthropic/claude-3.5-sonnet")
    return {
        "direct": direct["id"],
        "gpt": gpt["id"],
        "claude": claude["id"],
        "gpt direct": (await a_source(http, gpt["id"], direct["id"], upstream_name="gpt-4o"))["id"],
        "gpt routed": (await a_source(http, gpt["id"], routed["id"], upstream_name="openai/gpt-4o"))["id"],
        "claude routed": (
            await a_source(http, claude["id"], routed["id"], upstream_name="anthropic/claude-3.5-sonnet")
        )["id"],
    }


async def bring(http: httpx.AsyncClient, body: Any, **query: str) -> dict[str, Any]:
    answer = await http.post(IMPORT, json=body, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    report: dict[str, Any] = answer.json()
    return report


def a_chain(**fields: Any) -> dict[str, Any]:
    steps = [
        {"vendor": "openai", "model": "gpt-4o", "protocol": "openai-compatible", "features": {"cacheControl": True}},
        {"vendor": "openrouter", "model": "anthropic/claude-3.5-sonnet"},
        {"model": "openai/gpt-4o"},
    ]
    return {"name": "prod-chat", "models": steps, **fields}


async def test_a_chain_of_triples_becomes_a_chain_of_references(http: httpx.AsyncClient, stock: dict[str, str]) -> None:
    report = await bring(http, {"fallback_chains": [a_chain()]})
    [chain] = (await http.get(CHAINS, params={"name": "prod-chat"})).json()["items"]

    assert [line["outcome"] for line in report["items"]] == ["created"]
    assert report["items"][0]["target_ids"] == [chain["id"]]
    assert [(step["model_id"], step["source_id"], step["protocol"]) for step in chain["steps"]] == [
        (stock["gpt"], stock["gpt direct"], "openai"),
        (stock["claude"], stock["claude routed"], None),
        (stock["gpt"], None, None),
    ]
    assert chain["steps"][0]["features"] == {"cache_control": True}


async def test_the_same_file_a_second_time_changes_nothing(http: httpx.AsyncClient, stock: dict[str, str]) -> None:
    body = {
        "model_configs": [
            {"provider": "openai", "model": "gpt-4o", "display_name": "Omni", "tier": "pro", "input_price": "3"}
        ],
        "fallback_chains": [a_chain()],
        "complexity_routing": [{"name": "main", "models": {"easy": "gpt-4o", "hard": ["anthropic/claude-3.5-sonnet"]}}],
    }

    first = await bring(http, body)
    head = (await http.get("/api/v1/head")).json()["revision"]
    second = await bring(http, body)

    assert [line["outcome"] for line in first["items"]] == ["changed", "created", "created"]
    assert [line["outcome"] for line in second["items"]] == ["unchanged"] * 3
    assert (await http.get("/api/v1/head")).json()["revision"] == head
    assert stock


async def test_a_dry_run_reports_what_the_run_then_does_and_does_nothing(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    body = {"fallback_chains": [a_chain()], "model_configs": [{"provider": "openai", "model": "gpt-4o", "tier": "max"}]}
    head = (await http.get("/api/v1/head")).json()

    rehearsed = await bring(http, body, dry_run="true")
    after = (await http.get("/api/v1/head")).json()
    done = await bring(http, body)

    assert after == head
    assert rehearsed["counts"] == done["counts"]
    assert [(line["place"], line["outcome"]) for line in rehearsed["items"]] == [
        (line["place"], line["outcome"]) for line in done["items"]
    ]
    assert (await http.get(f"/api/v1/models/{stock['gpt']}")).json()["tier"] == "max"


async def test_what_matches_nothing_is_reported_with_near_names_and_stops_nothing_else(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    gone = a_chain(name="gone", models=[{"vendor": "openai", "model": "gpt-4o-2024-05-13"}])
    report = await bring(
        http, {"fallback_chains": [gone, a_chain(), a_chain(name="x", models=[{"vendor": "opnai", "model": "y"}])]}
    )

    outcomes = {line["entry"]: line for line in report["items"]}
    assert {name: line["outcome"] for name, line in outcomes.items()} == {
        "gone": "unmatched",
        "prod-chat": "created",
        "x": "unmatched",
    }
    assert "gpt-4o" in outcomes["gone"]["near"]
    assert outcomes["x"]["near"][0] == "openai"
    assert (await http.get(CHAINS, params={"name": "gone"})).json()["items"] == []
    assert stock


async def test_a_chain_is_made_without_what_matches_nothing_only_where_that_is_wished(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    chain = a_chain(models=[*a_chain()["models"], {"vendor": "openai", "model": "gpt-3"}])

    refused = await bring(http, {"fallback_chains": [chain]})
    made = await bring(http, {"fallback_chains": [chain]}, leave_out="true")

    assert refused["items"][0]["outcome"] == "unmatched"
    assert (made["items"][0]["outcome"], "gpt-3" in made["items"][0]["message"]) == ("created", True)
    assert stock


async def test_a_model_config_sets_what_it_says_as_the_administrators_word(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    entry = {
        "provider": "OpenAI",
        "model": "gpt-4o",
        "display_name": "Omni",
        "tier_required": "pro",
        "model_type": "chat",
    }
    await bring(
        http,
        [{**entry, "input_price": "0.0025", "output_price": "0.01", "price_unit": "per_thousand"}],
        shape="model_configs",
    )
    model = (await http.get(f"/api/v1/models/{stock['gpt']}")).json()
    prices = (await http.get(f"/api/v1/models/{stock['gpt']}/prices")).json()

    assert (model["display_name"], model["tier"], model["model_type"]) == ("Omni", "pro", "language")
    assert model["provenance"]["display_name"] == "administrator"
    charge = prices["in_force"]["prices"]
    assert (charge["input"], charge["output"]) == ("2.5", "10")


async def test_a_model_that_a_known_supplier_does_not_offer_yet_is_added_where_that_is_wished(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    body = [
        {"provider": "openai", "model_id": "gpt-4-turbo", "context_window": 128000, "capabilities": {"vision": True}},
        {"provider": "nobody", "model_id": "x"},
    ]

    without = await bring(http, body, shape="aggregator_models")
    report = await bring(http, body, shape="aggregator_models", create_missing="true")
    again = await bring(http, body, shape="aggregator_models", create_missing="true")

    assert [line["outcome"] for line in without["items"]] == ["unmatched", "unmatched"]
    assert [line["outcome"] for line in report["items"]] == ["created", "unmatched"]
    assert [line["outcome"] for line in again["items"]] == ["unchanged", "unmatched"]
    made = (await http.get("/api/v1/models/openai/gpt-4-turbo")).json()
    assert (made["context_window"], made["is_available"]) == (128000, True)
    assert stock


async def test_csv_is_read_and_a_line_that_can_not_be_meant_is_named(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    text = "provider,model,tier,input_price\nopenai,gpt-4o,pro,2.5\nopenai,gpt-4o,gold,1\n"
    headers = {"content-type": "text/csv"}
    answer = await http.post(IMPORT, content=text.encode(), headers=headers, params={"shape": "model_configs"})

    first, second = answer.json()["items"]
    assert (first["place"], first["outcome"], first["target_ids"]) == (
        "line 2",
        "changed",
        [stock["gpt"], stock["gpt direct"]],
    )
    assert (second["place"], second["outcome"]) == ("line 3", "refused")
    assert "tier" in second["message"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"fallback_chains": [a_chain()]}).encode()[:-20], "application/json"),
        (json.dumps({"fallback_chains": [a_chain()]}).encode() + b"\xff", "application/json"),
        (b"name,models\nprod\n", "text/csv"),
        (b'name,models\nprod,"[]"', "text/csv"),
        (b"title,text\nprod,1\n", "text/csv"),
        (b"name,models\n", "text/csv"),
        (b"name,models\npr\0d,1\n", "text/csv"),
        (b"", "application/json"),
        (b"{}", "application/json"),
    ],
    ids=[
        "cut off",
        "two encodings",
        "cut table",
        "cut line",
        "another table",
        "header alone",
        "NUL",
        "empty",
        "nothing",
    ],
)
async def test_a_file_that_can_not_be_read_does_nothing(
    http: httpx.AsyncClient, stock: dict[str, str], body: bytes, kind: str
) -> None:
    shape = {"shape": "fallback_chains"} if kind == "text/csv" else {}
    answer = await http.post(IMPORT, content=body, headers={"content-type": kind}, params=shape)

    assert (answer.status_code, fields_of(answer)) == (422, ["body"])
    assert (await http.get(CHAINS)).json()["items"] == []
    assert stock


async def test_answers_carry_the_older_shape_beside_the_new_where_that_is_asked_for(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    levels = {"easy": "gpt-4o", "hard": ["anthropic/claude-3.5-sonnet"]}
    report = await bring(
        http, {"fallback_chains": [a_chain()], "complexity_routing": [{"name": "main", "models": levels}]}
    )
    chain_path, routing_path = CHAINS, "/api/v1/complexity-routing"
    chain_id, routing_id = (line["target_ids"][0] for line in report["items"])

    chain = (await http.get(f"{chain_path}/{chain_id}?compat=legacy")).json()
    routing = (await http.get(f"{routing_path}/{routing_id}?compat=legacy")).json()

    assert chain["models"][:2] == [
        {"vendor": "openai", "model": "gpt-4o", "protocol": "openai-compatible", "features": {"cache_control": True}},
        {
            "vendor": "openrouter",
            "model": "anthropic/claude-3.5-sonnet",
            "protocol": "openai-compatible",
            "features": None,
        },
    ]
    assert (chain["models"][2]["vendor"], chain["models"][2]["model"]) == ("openai", "gpt-4o")
    assert routing["models"] == {"easy": ["openai/gpt-4o"], "hard": ["anthropic/claude-3.5-sonnet"]}
    for path, shown in ((chain_path, chain), (routing_path, routing)):
        assert (await http.get(path, params={"compat": "legacy"})).json()["items"] == [shown]
        assert "models" not in (await http.get(f"{path}/{shown['id']}")).json()
    assert stock


async def test_models_are_shown_as_the_older_tables_had_them_and_imported_from_that_are_the_same(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    vision = {"name": "vision", "domain": "cv", "input_types": ["image"], "output_types": ["text"]}
    await http.post("/api/v1/capabilities", json=vision)
    config = {"provider": "openai", "model": "gpt-4o", "tier": "pro", "input_price": "3", "output_price": "12.5"}
    await bring(http, {"model_configs": [{**config, "capabilities": {"vision": True}, "is_active": True}]})

    [shown] = (await http.get("/api/v1/models", params={"compat": "legacy", "search": "gpt-4o"})).json()["items"]
    tables = {shape: shown[shape] for shape in ("model_configs", "aggregator_models")}
    await bring(http, tables)
    [again] = (await http.get("/api/v1/models", params={"compat": "legacy", "search": "gpt-4o"})).json()["items"]

    [direct], [routed] = tables.values()
    wanted = {**config, "capabilities": {"vision": True}, "price_unit": "per_million"}
    assert {name: direct[name] for name in wanted} == wanted
    assert (routed["provider"], routed["model"], "input_price" in routed) == ("openrouter", "openai/gpt-4o", False)
    assert {shape: again[shape] for shape in tables} == tables
    [plain] = (await http.get("/api/v1/models", params={"search": "gpt-4o"})).json()["items"]
    assert not tables.keys() & plain.keys()
    assert stock


async def test_what_was_written_in_the_older_shape_is_read_in_it_and_imported_again_without_a_change(
    http: httpx.AsyncClient, stock: dict[str, str]
) -> None:
    await bring(http, {"fallback_chains": [a_chain(models=a_chain()["models"][:2])]})
    [shown] = (await http.get(CHAINS, params={"compat": "legacy"})).json()["items"]

    again = await bring(http, {"fallback_chains": [{"name": shown["name"], "models": shown["models"]}]})

    assert again["items"][0]["outcome"] in {"unchanged", "changed"}
    assert [step["source_id"] for step in (await http.get(f"{CHAINS}/{shown['id']}")).json()["steps"]] == [
        step["source_id"] for step in shown["steps"]
    ]
    assert stock
