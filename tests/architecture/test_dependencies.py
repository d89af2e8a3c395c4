"""What an endpoint depends on runs on the loop: a plain function would cost each request a trip through a thread."""

from collections.abc import Iterator
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from modelbus.catalog import app as catalog
from modelbus.integrity import app as integrity
from modelbus.sync import app as sync
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN

SETTINGS: dict[str, Any] = {
    "database_url": "postgresql://nobody@127.0.0.1:9/none",
    "nats_url": "nats://127.0.0.1:9",
    "admin_token": ADMIN_TOKEN,
    "service_token": SERVICE_TOKEN,
    "master_keys": MASTER_KEY,
}


def below(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from below(each)


def routes_of(router: Any) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif included := getattr(route, "original_router", None):
            yield from routes_of(included)


@pytest.mark.parametrize("service", [catalog, sync, integrity], ids=lambda service: service.__name__)
def test_every_endpoint_and_what_it_depends_on_runs_on_the_loop(service: Any) -> None:
    app = service.create_app(service.Settings(**SETTINGS))
    routes = list(routes_of(app.router))

    calls = {each.call for route in routes for each in below(route.dependant)}

    assert len(routes) > 10
    assert [call for call in calls if not (iscoroutinefunction(call) or isasyncgenfunction(call))] == []
