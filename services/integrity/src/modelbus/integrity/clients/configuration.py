"""The catalog's REST API, as a caller of ours uses it: with their token, so that it is they who change something."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from modelbus.integrity.domain.errors import (
    CatalogAwayError,
    ChangedMeanwhileError,
    RepairForbiddenError,
    RepairRefusedError,
)

_FORBIDDEN = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Shown:
    """A thing of the catalog."""

    body: Mapping[str, Any]
    etag: str

    @property
    def version(self) -> int | None:
        """Answer the version of its configuration."""
        version: int | None = self.body.get("version")
        return version


class Configuration:
    """Things of the catalog by their paths; every method takes the caller's `Authorization`.

    Every method raises CatalogAwayError where the catalog doesn't answer, RepairForbiddenError where the token is not
    good enough there, and RepairRefusedError where the catalog says no.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def show(self, path: str, authorization: str) -> Shown:
        """Show a thing as it is now."""
        return await self._ask("GET", path, {"Authorization": authorization})

    async def change(self, path: str, changes: Mapping[str, Any], seen: Shown, authorization: str) -> Shown:
        """Change some fields of a thing that nobody has changed since it was seen.

        Raises:
            ChangedMeanwhileError: somebody has.
        """
        return await self._ask("PATCH", path, {"Authorization": authorization, "If-Match": seen.etag}, changes)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> Shown:
        try:
            answer = await self._client.request(method, path, headers=headers, json=body)
        except httpx.TransportError as error:
            raise CatalogAwayError("the catalog does not answer; nothing was changed that it told of") from error
        if answer.is_server_error:
            raise CatalogAwayError(f"the catalog answered {answer.status_code}; nothing was changed")
        if answer.status_code == httpx.codes.PRECONDITION_FAILED:
            raise ChangedMeanwhileError("somebody else changed it at the same time; look at the findings again")
        if answer.status_code in _FORBIDDEN:
            raise RepairForbiddenError(f"the catalog refused your token: {_detail(answer)}")
        if not answer.is_success:
            raise RepairRefusedError(f"the catalog refused the change: {_detail(answer)}")
        return Shown(answer.json(), answer.headers.get("etag", ""))


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
