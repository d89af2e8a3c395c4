"""A service's OpenAPI document as a file: read from its code alone, whatever the environment says."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet
from pydantic import SecretStr

from modelbus.chassis.settings import ServiceSettings

_NOBODYS = SecretStr("a token that opens nothing")
_NOWHERE = SecretStr("postgresql://nobody:nothing@127.0.0.1:1/nothing")


def write_document(create_app: Callable[[Any], Any], settings: type[ServiceSettings], file: Path) -> None:
    """Write the document of a service, which is put together for it and never started."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asyncio.run(_document(create_app, settings)), indent=2) + "\n")


async def _document(create_app: Callable[[Any], Any], settings: type[ServiceSettings]) -> Any:
    transport = httpx.ASGITransport(create_app(_made_up(settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://nowhere") as http:
        answer = await http.get("/openapi.json")
    return answer.raise_for_status().json()


def _made_up(settings: type[ServiceSettings]) -> ServiceSettings:
    """Make settings that the environment has no part in; nobody is ever called by them."""
    return settings.model_construct(
        admin_token=_NOBODYS,
        service_token=_NOBODYS,
        database_url=_NOWHERE,
        master_keys=SecretStr(Fernet.generate_key().decode()),
    )
