"""Integrity, as the catalog asks it about what is being saved."""

from collections.abc import Mapping
from typing import Any

import httpx

from modelbus.chassis.carrier import Carrier
from modelbus.chassis.logs import logger
from modelbus.chassis.tracing import tell_next

PATH = "/api/v1/validate/proposal"
LONGEST_WAIT_S = 1.0
"""Whoever saves waits no longer for what is only advice; what they save stays locked meanwhile."""

log = logger(__name__)


class IntegrityClient:
    """Asks what the rules have against a configuration."""

    def __init__(self, base_url: str, service_token: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            transport=Carrier(),
            headers={"Authorization": f"Bearer {service_token}"},
            timeout=httpx.Timeout(LONGEST_WAIT_S, connect=LONGEST_WAIT_S / 2),
            event_hooks={"request": [tell_next]},
        )

    async def check(self, proposed: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Answer the findings of a configuration; None where integrity says nothing of use, for whatever reason."""
        try:
            # In JSON as httpx itself writes it, so ids have to be texts by now.
            answer = await self._client.post(PATH, json={"proposed": proposed, "allow_missing": True})
            answer.raise_for_status()
            findings: list[dict[str, Any]] = answer.json()["findings"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("integrity did not check what is being saved", error=repr(error))
            return None
        return findings

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
