"""A look at a supplier that costs a token or so: it not only answers, it serves."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx
import msgspec

from modelbus.contracts.records import SupplierRecord
from modelbus.sync.clients.endpoint import Endpoint, Limits
from modelbus.sync.clients.flavours.anthropic import VERSION
from modelbus.sync.clients.probing import guarded_client, seen_of, why_away
from modelbus.sync.clients.suppliers import OpenCredential
from modelbus.sync.domain.errors import AddressRefusedError, SupplierAwayError
from modelbus.sync.domain.probes import Seen, Way
from modelbus.sync.domain.token_probes import TokenProbe, smallest_chat, smallest_message

MOST_BYTES = 256 * 1024
ANTHROPIC = "anthropic"
_WRONG_FORM = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was seen, and how many calls it took."""

    seen: Seen
    calls: int


class TokenAsking:
    """Asks suppliers for the smallest completion there is."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._tls = tls

    async def ask(self, supplier: SupplierRecord, credential: OpenCredential | None, probe: TokenProbe) -> Asked:
        """Ask the model; in the other form where the supplier says that the limit of tokens is the wrong one.

        Raises:
            CredentialRefusedError: no header can carry the credential.
        """
        began, calls = monotonic(), 0
        status, body, reason = None, b"", None
        try:
            async with asyncio.timeout(self._limits.deadline_s), self._client(supplier) as client:
                for asked in _forms(supplier, probe):
                    calls += 1
                    status, body = await self._post(client, supplier, credential, asked)
                    if not _is_wrong_form(status, body):
                        break
        except (SupplierAwayError, AddressRefusedError) as error:
            reason = str(error)
        except TimeoutError:
            reason = f"no answer within {self._limits.deadline_s:g} s"
        seen = seen_of(Way.TOKEN, status if reason is None else None, reason, began)
        if seen.is_ok and seen.reason is None and not _is_answer(body):
            seen = Seen(Way.TOKEN, is_ok=False, latency_ms=seen.latency_ms, reason="answered 200, and no completion")
        return Asked(seen, calls)

    async def _post(
        self,
        client: httpx.AsyncClient,
        supplier: SupplierRecord,
        credential: OpenCredential | None,
        asked: Mapping[str, Any],
    ) -> tuple[int, bytes]:
        secret = None if credential is None else credential.secret
        endpoint = Endpoint(client, supplier.model_copy(update={"listing_url": None}), secret, self._limits)
        is_anthropic = supplier.protocol == ANTHROPIC
        path = "/messages" if is_anthropic else "/chat/completions"
        shown = (
            {"anthropic-version": VERSION, **endpoint.key_header("x-api-key")} if is_anthropic else endpoint.bearer()
        )
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **shown}
        try:
            async with client.stream("POST", supplier.base_url + path, json=dict(asked), headers=headers) as answer:
                body = bytearray()
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > MOST_BYTES:
                        break
                return answer.status_code, bytes(body)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise SupplierAwayError(why_away(error, self._limits)) from error

    def _client(self, supplier: SupplierRecord) -> httpx.AsyncClient:
        return guarded_client(supplier, self._limits, self._tls)


def _forms(supplier: SupplierRecord, probe: TokenProbe) -> list[Mapping[str, Any]]:
    """Answer the requests to try, the likelier one first."""
    if supplier.protocol == ANTHROPIC:
        return [smallest_message(probe.upstream_name)]
    return [smallest_chat(probe.upstream_name, thinks=thinks) for thinks in (probe.thinks, not probe.thinks)]


def _is_wrong_form(status: int, body: bytes) -> bool:
    """Tell whether it refuses how the most tokens were said: `max_tokens`, or `max_completion_tokens`."""
    return status in _WRONG_FORM and (b"max_tokens" in body or b"max_completion_tokens" in body)


def _is_answer(body: bytes) -> bool:
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return isinstance(told, dict) and bool(told.get("choices") or told.get("type") == "message")
