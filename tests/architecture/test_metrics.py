"""Every figure that a running service shows is explained, and the other way round."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from builders import a_served_model
from catalogs import settings_for
from modelbus.catalog.app import create_app as create_catalog
from modelbus.integrity.app import create_app as create_integrity
from modelbus.integrity.settings import Settings as IntegritySettings
from modelbus.router.app import create_app as create_router
from modelbus.router.settings import Settings as RouterSettings
from modelbus.sync.app import create_app as create_sync
from modelbus.sync.settings import Settings as SyncSettings
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, serving
from servers import FreshDatabase
from testing_bus import LocalBus

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"^\| `(modelbus_[a-z_]+)` \| ([a-z, ]+) \| ([a-z, -]+) \|", re.MULTILINE)
SERVICES = ("catalog", "sync", "router", "integrity")


@pytest.fixture
async def urls(database: FreshDatabase, bus: LocalBus, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Every service on one bus and one server."""
    told: dict[str, Any] = {"nats_url": bus.url, "admin_token": ADMIN_TOKEN, "service_token": SERVICE_TOKEN}
    async with AsyncExitStack() as stack:
        catalog = create_catalog(settings_for(database, bus.url))
        told["catalog_url"] = await stack.enter_async_context(serving(catalog))
        integrity = IntegritySettings(**told, database_url=database.url("integrity"), state_dir=tmp_path / "i")
        told["master_keys"] = MASTER_KEY
        sync = SyncSettings(**told, database_url=database.url("sync"), state_dir=tmp_path / "s")
        router = RouterSettings(**told, state_dir=tmp_path / "r")
        yield {
            "catalog": told["catalog_url"],
            "integrity": await stack.enter_async_context(serving(create_integrity(integrity))),
            "sync": await stack.enter_async_context(serving(create_sync(sync))),
            "router": await stack.enter_async_context(serving(create_router(router))),
        }


async def page_of(url: str) -> str:
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def names(page: str) -> dict[str, set[str]]:
    """Read each name as it is asked for, with the labels of its series."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


async def whole_page(url: str) -> str:
    """Wait until every neighbour answers."""

    async def read() -> str:
        page = await page_of(url)
        assert "modelbus_metrics_missing 0.0" in page
        return page

    found: str = await eventually(read)
    return found


async def test_what_services_show_is_what_is_explained(urls: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=urls["catalog"], headers=headers) as http:
        model = await a_served_model(http)
        await http.get(f"/api/v1/models/{model['id']}")
        await http.get(f"/nowhere/{model['id']}")
    explained = {
        name: (
            set(SERVICES) if of == "all" else set(of.split(", ")),
            set() if labels == "-" else set(labels.split(", ")),
        )
        for name, of, labels in ROW.findall(OPERATIONS.read_text())
    }

    pages = {service: await whole_page(url) for service, url in urls.items()}

    shown: dict[str, set[str]] = {}
    for service, page in pages.items():
        for name, labels in names(page).items():
            shown.setdefault(name, set()).add(service)
            assert labels <= explained[name][1], name
    assert shown == {name: of for name, (of, _) in explained.items()}
    # By route and never by path, or there were as many series as things.
    assert (
        'modelbus_http_requests_total{method="GET",route="/api/v1/models/{model:path}",status="200"}'
        in pages["catalog"]
    )
    assert 'modelbus_http_requests_total{method="GET",route="other",status="404"} 1.0' in pages["catalog"]
    assert model["id"] not in pages["catalog"]
    assert "modelbus_relay_leader 1.0" in pages["catalog"]
    assert 'modelbus_sources{health="unknown",reason=""} 1.0' in pages["catalog"]
    assert re.search(r'modelbus_consumer_pending{consumer="catalog-health"} 0.0', pages["catalog"])
