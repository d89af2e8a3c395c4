"""A catalog and an integrity that know one another, as they run in earnest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from catalogs import settings_for
from integrity.listening import ready, running_integrity
from modelbus.catalog.app import create_app
from modelbus.catalog.clients.integrity import IntegrityClient
from running import ADMIN_TOKEN, SERVICE_TOKEN, eventually, serving
from servers import FreshDatabase


@dataclass(frozen=True)
class Pair:
    """Both, with the administrator's token."""

    catalog: httpx.AsyncClient
    integrity: httpx.AsyncClient

    async def findings(self, count: int = 1, **filters: Any) -> list[dict[str, Any]]:
        """Wait for so many findings, and answer them."""

        async def found() -> Any:
            listed = (await self.integrity.get("/api/v1/findings", params=filters)).json()["items"]
            assert len(listed) == count, listed
            return listed or True

        answer: Any = await eventually(found)
        return [] if answer is True else answer

    async def change(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Change something in the catalog."""
        answer = await self.catalog.request(method, f"/api/v1/{path}", json=body, params=query)
        assert answer.is_success, answer.text
        changed: dict[str, Any] = answer.json() if answer.content else {}
        return changed


@asynccontextmanager
async def running_pair(database: FreshDatabase, nats_url: str) -> AsyncIterator[Pair]:
    """Run both on one database and bus."""
    app = create_app(settings_for(database, nats_url))
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as catalog,
        running_integrity(database, nats_url, url) as integrity,
    ):
        # Each has to know where the other is, and one of them must be there first.
        app.state.integrity = known = IntegrityClient(str(integrity.base_url), SERVICE_TOKEN)
        await ready(integrity)
        yield Pair(catalog, integrity)
        await known.close()
