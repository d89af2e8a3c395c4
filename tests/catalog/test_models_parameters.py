"""Parameters of models: typed, checked on write, and told to routers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_model, shown
from catalog.refusals import fields_of
from catalogs import Told, settings_for
from modelbus.catalog.app import create_app
from modelbus.catalog.domain.models import ParameterType
from modelbus.catalog.domain.parameters import GREATEST_WHOLE, Parameter, flaws_of, is_of
from modelbus.contracts.catalog import ModelChanged
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase

TEMPERATURE = {"name": "temperature", "parameter_type": "float", "default": 0.5, "minimum": 0, "maximum": 2}
FLAWLESS: list[dict[str, Any]] = [
    TEMPERATURE,
    {"name": "n", "parameter_type": "int", "default": 1, "minimum": 1, "maximum": 8},
    {"name": "seed", "parameter_type": "int"},
    {"name": "logprobs", "parameter_type": "bool", "default": False},
    {"name": "effort", "parameter_type": "string", "default": "low", "choices": ["low", "high"]},
    {"name": "response_format", "parameter_type": "json", "default": {"type": "text", "deep": [1, None, {"a": "ü"}]}},
    {"name": "mixed", "parameter_type": "json", "choices": [1, True, "1", [1]], "default": True},
]
FLAWED: list[tuple[dict[str, Any], str]] = [
    ({"parameter_type": "int", "default": 1.5}, "default"),
    ({"parameter_type": "int", "default": True}, "default"),
    ({"parameter_type": "int", "default": "1"}, "default"),
    ({"parameter_type": "int", "default": 2**60}, "default"),
    ({"parameter_type": "int", "minimum": 0.5}, "minimum"),
    ({"parameter_type": "int", "minimum": 2, "maximum": 1}, "maximum"),
    ({"parameter_type": "int", "minimum": 2, "default": 1}, "default"),
    ({"parameter_type": "float", "maximum": 2, "default": 2.5}, "default"),
    ({"parameter_type": "float", "default": True}, "default"),
    ({"parameter_type": "float", "default": [1]}, "default"),
    ({"parameter_type": "bool", "default": 1}, "default"),
    ({"parameter_type": "bool", "default": "true"}, "default"),
    ({"parameter_type": "bool", "minimum": 0}, "minimum"),
    ({"parameter_type": "string", "default": 5}, "default"),
    ({"parameter_type": "string", "default": "a\x00b"}, "default"),
    ({"parameter_type": "string", "default": "x" * 10_001}, "default"),
    ({"parameter_type": "string", "maximum": 5}, "maximum"),
    ({"parameter_type": "string", "choices": ["a", 5]}, "choices.1"),
    ({"parameter_type": "string", "choices": ["a", "a"]}, "choices.1"),
    ({"parameter_type": "string", "choices": ["a"], "default": "b"}, "default"),
    ({"parameter_type": "string", "choices": []}, "choices"),
    ({"parameter_type": "float", "maximum": 1, "choices": [0.5, 1.5]}, "choices.1"),
    ({"parameter_type": "json", "default": {"a": ["\x00"]}}, "default"),
    ({"parameter_type": "json", "default": {"a\x00": 1}}, "default"),
    ({"parameter_type": "json", "default": "x" * 10_001}, "default"),
    ({"parameter_type": "json", "choices": [1], "default": True}, "default"),
    ({"parameter_type": "text"}, "parameter_type"),
    ({"parameter_type": "int", "unit": "s"}, "unit"),
    ({"parameter_type": "int", "name": "with space"}, "name"),
    ({"parameter_type": "int", "name": "messages"}, "name"),
]


@pytest.fixture(scope="module")
async def database(databases: Databases) -> AsyncIterator[FreshDatabase]:
    """One database for all of these, and one catalog; each test has models of its own."""
    async with databases.fresh() as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def http(database: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield client


def of(model: dict[str, Any]) -> str:
    return f"/api/v1/models/{model['id']}/parameters"


def bare(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in each.items() if value is not None} for each in parameters]


async def test_parameters_of_every_type_are_kept_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_model(http)

    answer = await http.put(of(model), json={"parameters": FLAWLESS})

    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert bare((await shown(http, of(model)))["parameters"]) == FLAWLESS
    assert bare((await shown(http, f"/api/v1/models/{model['id']}"))["parameters"]) == FLAWLESS
    assert bare((await told(ModelChanged))[-1].record.model_dump(mode="json")["parameters"]) == FLAWLESS


async def test_one_parameter_is_added_set_and_removed(http: httpx.AsyncClient) -> None:
    model = await a_model(http)

    added = await http.post(of(model), json=TEMPERATURE)
    again = await http.post(of(model), json=TEMPERATURE)
    changed = await http.put(f"{of(model)}/temperature", json={"parameter_type": "float", "default": 1.5})
    new = await http.put(f"{of(model)}/seed", json={"parameter_type": "int"})
    removed = await http.delete(f"{of(model)}/temperature")
    missing = await http.delete(f"{of(model)}/temperature")

    assert [each.status_code for each in (added, again, changed, new, removed, missing)] == [
        201,
        409,
        200,
        200,
        204,
        404,
    ]
    assert bare(changed.json()["parameters"]) == [{"name": "temperature", "parameter_type": "float", "default": 1.5}]
    found = await shown(http, of(model))
    assert (bare(found["parameters"]), found["version"]) == ([{"name": "seed", "parameter_type": "int"}], 5)


async def test_parameters_added_at_once_are_all_kept(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    names = [f"p{number}" for number in range(8)]

    await asyncio.gather(*(http.post(of(model), json={"name": name, "parameter_type": "int"}) for name in names))

    assert sorted(each["name"] for each in (await shown(http, of(model)))["parameters"]) == names


async def test_parameters_of_a_version_that_is_no_more_are_refused(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    await http.post(of(model), json=TEMPERATURE)

    answer = await http.put(f"{of(model)}/seed", json={"parameter_type": "int"}, headers={"If-Match": '"1"'})

    assert answer.status_code == 412


@pytest.mark.parametrize(("parameter", "field"), FLAWED)
async def test_a_parameter_that_can_not_be_is_refused(
    http: httpx.AsyncClient, parameter: dict[str, Any], field: str
) -> None:
    model, body = await a_model(http), {"name": "some", **parameter}

    alone = await http.post(of(model), json=body)
    among = await http.put(of(model), json={"parameters": [TEMPERATURE, body]})
    within = await http.patch(f"/api/v1/models/{model['id']}", json={"parameters": [TEMPERATURE, body]})
    made = await http.post("/api/v1/models", json={"name": "vendor/with", "parameters": [TEMPERATURE, body]})

    assert (alone.status_code, fields_of(alone)) == (422, [field])
    for answer in (among, within, made):
        assert (answer.status_code, fields_of(answer)) == (422, [f"parameters.1.{field}"])
    assert (await shown(http, of(model)))["version"] == 1


@pytest.mark.parametrize("text", ['"\\ud800"', "1e400", "[" * 30 + "]" * 30, '{"a": "\\ud800"}', "-1e999"])
async def test_json_that_nobody_could_store_or_read_is_refused(http: httpx.AsyncClient, text: str) -> None:
    model = await a_model(http)
    for kind in ("json", "string", "float"):
        content = f'{{"name": "some", "parameter_type": "{kind}", "default": {text}}}'
        answer = await http.post(of(model), content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 422, (kind, answer.text)
        assert fields_of(answer) == ["default"]


async def test_a_name_is_there_only_once_and_no_model_has_too_many(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    many = [{"name": f"p{number}", "parameter_type": "int"} for number in range(100)]

    twice = await http.put(of(model), json={"parameters": [TEMPERATURE, TEMPERATURE]})
    full = await http.put(of(model), json={"parameters": many})
    more = await http.post(of(model), json=TEMPERATURE)

    assert (twice.status_code, fields_of(twice)) == (422, ["parameters.1.name"])
    assert full.status_code == 200
    assert (more.status_code, fields_of(more)) == (422, ["parameters"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(kind=st.sampled_from(ParameterType), value=values)
def test_what_is_of_a_type_is_what_every_reader_of_json_takes_for_it(kind: ParameterType, value: Any) -> None:
    if not is_of(kind, value):
        return
    read = json.loads(json.dumps(value, allow_nan=False).encode())
    assert read == value
    assert "\\u0000" not in json.dumps(value)
    match kind:
        case ParameterType.INT:
            assert type(value) is int
            assert float(value) == value
        case ParameterType.FLOAT:
            assert type(value) in {int, float}
        case ParameterType.BOOL:
            assert type(value) is bool
        case ParameterType.STRING:
            assert type(value) is str


numbers = st.integers(-GREATEST_WHOLE, GREATEST_WHOLE)


@given(default=numbers, minimum=st.none() | numbers, maximum=st.none() | numbers)
def test_a_default_is_flawless_exactly_within_its_bounds(
    default: int, minimum: int | None, maximum: int | None
) -> None:
    lower, upper = (None if bound is None else float(bound) for bound in (minimum, maximum))
    parameter = Parameter("n", ParameterType.INT, default, lower, upper)

    is_within = (minimum is None or minimum <= default) and (maximum is None or default <= maximum)

    assert ("default" not in dict(flaws_of(parameter))) == is_within
