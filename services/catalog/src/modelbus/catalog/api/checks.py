"""`?check=true`: what is saved is judged by integrity as well, and its findings are answered beside it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from pydantic import Field, ValidationError

from modelbus.catalog.api.views import View
from modelbus.catalog.clients.integrity import LONGEST_WAIT_S, IntegrityClient


class FindingView(View):
    """What integrity has against a place."""

    kind: str
    """`dead`, `degraded`, `single_point`, `capability_mismatch` ..."""
    severity: str
    """`dead`, `degraded` or `at_risk`."""
    place: str
    where: str
    """Where it is, in words: `chain 'prod-chat', step 2`."""
    target_kind: str
    target_id: str
    target_name: str | None
    reason: str
    evidence: dict[str, Any]


class CheckView(View):
    """What integrity says of what was saved."""

    state: Literal["checked", "unavailable"]
    """`unavailable`: it did not answer in time; what was saved is saved all the same."""
    findings: list[FindingView]


def _is_absent(value: object) -> bool:
    return value is None


class CheckedView(View):
    """A thing that integrity can judge."""

    check: CheckView | None = Field(
        default=None, exclude_if=_is_absent, description="What integrity says of it. Only with `?check=true`."
    )


class Checker:
    """Asks integrity, where the caller wants that."""

    def __init__(self, integrity: IntegrityClient, *, is_wanted: bool) -> None:
        self._integrity = integrity
        self._is_wanted = is_wanted

    async def __call__[V: CheckedView](self, saved: V, config: Mapping[str, Any]) -> V:
        """Add what integrity says of a configuration to what is shown of it."""
        if not self._is_wanted:
            return saved
        return saved.model_copy(update={"check": await self._ask(config)})

    async def _ask(self, config: Mapping[str, Any]) -> CheckView:
        try:
            # The client's own limits hold for each part of the exchange; this one for all of it.
            async with asyncio.timeout(LONGEST_WAIT_S):
                told = await self._integrity.check(config)
            if told is not None:
                return CheckView.model_validate({"state": "checked", "findings": told})
        except (TimeoutError, ValidationError):
            pass
        return CheckView(state="unavailable", findings=[])


async def _checker(
    request: Request,
    check: Annotated[bool, Query(description="Have integrity judge it too; that never blocks saving.")] = False,  # noqa: FBT002 - FastAPI passes by keyword
) -> Checker:
    return Checker(request.app.state.integrity, is_wanted=check)


Checked = Annotated[Checker, Depends(_checker)]
"""How an endpoint answers with what it saved."""
