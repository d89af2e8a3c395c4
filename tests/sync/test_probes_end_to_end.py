"""From a provider that falls silent to a model that is out of service, and back, with nobody's help."""

from pathlib import Path
from typing import Any

from builders import a_model, a_source, a_supplier, shown
from catalogs import settings_for
from modelbus.catalog.app import create_app as create_catalog
from modelbus.simulator import Fault, running_simulator
from modelbus.sync.app import create_app as create_sync
from modelbus.sync.settings import Settings
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, serving
from servers import FreshDatabase
from sync.running_sync import administrator
from testing_bus import LocalBus


async def test_a_provider_that_falls_silent_takes_its_models_out_and_brings_them_back(
    database: FreshDatabase, bus: LocalBus, tmp_path: Path
) -> None:
    catalog = create_catalog(settings_for(database, bus.url, unhealthy_after_s=0.1))
    async with running_simulator() as simulator, serving(catalog) as url, administrator(url) as http:
        supplier = await a_supplier(http, base_url=simulator.base_url(simulator.openai))
        model = await a_model(http)
        await a_source(http, model["id"], supplier["id"])
        settings = Settings(
            database_url=database.url("sync"),
            nats_url=bus.url,
            admin_token=ADMIN_TOKEN,
            service_token=SERVICE_TOKEN,
            master_keys=MASTER_KEY,
            catalog_url=url,
            state_dir=tmp_path,
            probe_interval_s=0.1,
            probe_retry_s=0.1,
            probe_failures=2,
        )

        async def model_is(reason: str | None, health: str) -> bool:
            found: dict[str, Any] = await shown(http, f"/api/v1/models/{model['id']}")
            [source] = (await shown(http, "/api/v1/sources"))["items"]
            return (found["is_available"], found["reason"], source["health"]) == (reason is None, reason, health)

        async with serving(create_sync(settings)):
            await eventually(lambda: model_is(None, "healthy"))
            simulator.openai.misbehave(Fault(reset_before_headers=True))
            await eventually(lambda: model_is("unhealthy", "down"))
            simulator.openai.behave()
            await eventually(lambda: model_is(None, "healthy"))
