"""The control API: tests in other processes arrange the providers, and ask what they heard."""

import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from modelbus.simulator import checks
from modelbus.simulator.checks import BadInputError
from modelbus.simulator.faults import Rule
from modelbus.simulator.providers import Provider

_MOST_RULES = 1000

type _Handler = Callable[[web.Request], Awaitable[web.Response]]


class _UnknownProviderError(Exception):
    """No provider has this name."""


class Control:
    """Everything under `/_control`."""

    def __init__(self, providers: Mapping[str, Provider], largest_body: int) -> None:
        self._providers = providers
        self._largest_body = largest_body

    def routes(self) -> list[web.RouteDef]:
        """The paths of the control API; whatever else begins like them is no provider's."""
        one = "/_control/{provider}"
        return [
            web.get("/_control", self._explained(self._show)),
            web.post("/_control/reset", self._explained(self._reset)),
            web.put(f"{one}/listing", self._explained(self._put_listing)),
            web.put(f"{one}/keys", self._explained(self._put_keys)),
            web.put(f"{one}/behaviours", self._explained(self._put_behaviours)),
            web.get(f"{one}/requests", self._explained(self._list_requests)),
            web.delete(f"{one}/requests", self._explained(self._forget_requests)),
        ]

    def _explained(self, handler: _Handler) -> _Handler:
        """Turn refusals into problem documents (RFC 9457)."""

        @functools.wraps(handler)
        async def explain(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except BadInputError as error:
                return _problem(422, str(error), field=error.field, should_be=error.should_be)
            except _UnknownProviderError as error:
                return _problem(404, f"provider should be {error}", field="provider", should_be=str(error))
            except web.HTTPRequestEntityTooLarge:
                limit = f"at most {self._largest_body} bytes"
                return _problem(413, f"body should be {limit}", field="body", should_be=limit)

        return explain

    async def _show(self, _request: web.Request) -> web.Response:
        return _json({"providers": {name: provider.to_json() for name, provider in self._providers.items()}})

    async def _reset(self, request: web.Request) -> web.Response:
        for provider in self._providers.values():
            provider.reset()
        return await self._show(request)

    async def _put_listing(self, request: web.Request) -> web.Response:
        provider = self._provider(request)
        wish = await _read_object(request, ("recording", "models", "names"))
        if len(wish) != 1:
            raise BadInputError("body", "an object with exactly one of recording, models, names")
        [(name, value)] = wish.items()
        match name:
            case "recording":
                checks.TEXT.require(name, value)
                provider.serve_recording(value)
            case "models":
                checks.LIST.require(name, value)
                provider.serve_models(value)
            case _:
                checks.TEXTS.require(name, value)
                provider.serve_names(*value)
        return _json(provider.to_json())

    async def _put_keys(self, request: web.Request) -> web.Response:
        provider = self._provider(request)
        wish = await _read_object(request, ("keys",))
        keys = wish.get("keys")
        checks.LIST.require("keys", keys)
        provider.accept_keys(*(keys or ()))
        return _json(provider.to_json())

    async def _put_behaviours(self, request: web.Request) -> web.Response:
        provider = self._provider(request)
        raw = await _read_json(request)
        if not isinstance(raw, list) or len(raw) > _MOST_RULES:
            raise BadInputError("body", f"a list of at most {_MOST_RULES} rules")
        provider.behave(*(Rule.from_json(rule, f"[{position}]") for position, rule in enumerate(raw)))
        return _json(provider.to_json())

    async def _list_requests(self, request: web.Request) -> web.Response:
        exchanges = self._provider(request).exchanges
        return _json({"requests": [exchange.to_json() for exchange in exchanges]})

    async def _forget_requests(self, request: web.Request) -> web.Response:
        self._provider(request).forget_exchanges()
        return web.Response(status=204)

    def _provider(self, request: web.Request) -> Provider:
        try:
            return self._providers[request.match_info["provider"]]
        except KeyError:
            raise _UnknownProviderError("one of " + ", ".join(self._providers)) from None


def _problem(status: int, detail: str, **members: str) -> web.Response:
    content = {"type": "about:blank", "status": status, "detail": detail} | members
    return web.json_response(content, status=status, content_type="application/problem+json")


def _json(content: object) -> web.Response:
    return web.json_response(content)


async def _read_json(request: web.Request) -> Any:
    raw = await request.read()
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInputError("body", "JSON") from None


async def _read_object(request: web.Request, known: tuple[str, ...]) -> dict[str, Any]:
    raw = await _read_json(request)
    if not isinstance(raw, dict):
        raise BadInputError("body", "an object with " + ", ".join(known))
    checks.refuse_strangers(raw, known, "")
    return raw
