"""Sets the demonstration up through the catalog's REST API; whatever is there already stays as it is."""

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from modelbus.launcher import demonstration
from modelbus.launcher.errors import SeedFailedError
from modelbus.launcher.program import Pause

MODELS_S = 30.0
"""How long the first listings may take to arrive."""
POLL_S = 0.05

JsonObject = dict[str, Any]
Query = Mapping[str, str] | None


class Catalog:
    """The catalog's administration, as far as the seed needs it."""

    def __init__(self, url: str, admin_token: str) -> None:
        headers = {"Authorization": f"Bearer {admin_token}"}
        # trust_env off: a proxy from the environment has no business between two programs on one machine.
        self._http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=10, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: JsonObject | None = None, query: Query = None) -> httpx.Response:
        """Return the answer, whatever its status; raises SeedFailedError when there is none."""
        try:
            return self._http.request(method, path, json=body, params=query)
        except httpx.HTTPError as error:
            raise SeedFailedError(f"The demonstration can't be set up: {method} {path}: {error!r}.") from error

    def expect(self, method: str, path: str, body: JsonObject | None = None, query: Query = None) -> JsonObject:
        """Return the object answered; raises SeedFailedError for a refusal."""
        answer = self.call(method, path, body, query)
        if answer.is_error:
            raise SeedFailedError(
                f"The demonstration can't be set up: {method} {path} was refused with {answer.status_code}: "
                f"{answer.text[:500]}"
            )
        return dict(answer.json()) if answer.content else {}

    def find(self, path: str, name: str, query: Query = None) -> JsonObject | None:
        """Return the object of that name, or None."""
        listed = self.expect("GET", path, query=query)["items"]
        return next((dict(item) for item in listed if item["name"] == name), None)

    def ensure(self, path: str, body: JsonObject, query: Query = None) -> JsonObject:
        """Return the object of that name, created if it is not there."""
        name = str(body["name"])
        if found := self.find(path, name, query):
            return found
        answer = self.call("POST", path, body)
        # A POST whose answer was lost has worked all the same.
        if answer.status_code == httpx.codes.CONFLICT and (found := self.find(path, name, query)):
            return found
        if answer.is_error:
            raise SeedFailedError(f"The demonstration can't be set up: {path} {name}: {answer.text[:500]}")
        return dict(answer.json())


def seed(
    catalog: Catalog, simulator_url: str, access_key: str | None, keep: Callable[[str], None], pause: Pause = time.sleep
) -> None:
    """Create what is missing of the demonstration; `keep` hears of a new access key, whose text is told only once."""
    for supplier in demonstration.SUPPLIERS:
        _ensure_supplier(catalog, supplier, simulator_url)
    ids = {name: _await_model(catalog, name, pause) for name in demonstration.MODELS}
    _ensure_chain(catalog, ids)
    _ensure_complexity(catalog, ids)
    _ensure_scope(catalog, ids)
    _ensure_access_key(catalog, access_key, keep)


def point_suppliers(catalog: Catalog, simulator_url: str) -> None:
    """Let the seeded suppliers follow the simulator to another port; one that was removed stays away."""
    for wanted in demonstration.SUPPLIERS:
        found = catalog.find("/suppliers", wanted["name"], {"name": wanted["name"]})
        base_url = simulator_url + wanted["base_url"]
        if found and found["base_url"] != base_url:
            catalog.expect("PATCH", f"/suppliers/{found['id']}", {"base_url": base_url})


def _ensure_supplier(catalog: Catalog, supplier: JsonObject, simulator_url: str) -> None:
    name = supplier["name"]
    body = supplier | {"base_url": simulator_url + supplier["base_url"]}
    supplier_id = str(catalog.ensure("/suppliers", body, {"name": name})["id"])
    for key_name, secret in demonstration.CREDENTIALS[name].items():
        credential = {"supplier_id": supplier_id, "name": key_name, "secret": secret}
        catalog.ensure("/credentials", credential, {"supplier_id": supplier_id})


def _await_model(catalog: Catalog, name: str, pause: Pause) -> str:
    deadline = time.monotonic() + MODELS_S
    path = f"/models/{quote(name, safe='')}"
    while (answer := catalog.call("GET", path)).status_code == httpx.codes.NOT_FOUND:
        if time.monotonic() > deadline:
            raise SeedFailedError(f"The demonstration can't be set up: no listing brought {name} in {MODELS_S:.0f} s.")
        pause(POLL_S)
    if answer.is_error:
        raise SeedFailedError(f"The demonstration can't be set up: GET {path} was refused: {answer.text[:500]}")
    return str(answer.json()["id"])


def _ensure_chain(catalog: Catalog, ids: dict[str, str]) -> None:
    name, models = demonstration.CHAIN
    steps = [{"model_id": model_id} for model_id in _ids(ids, models)]
    catalog.ensure("/fallback-chains", {"name": name, "steps": steps}, {"name": name})


def _ensure_complexity(catalog: Catalog, ids: dict[str, str]) -> None:
    name, levels = demonstration.COMPLEXITY
    body = [{"level": level, "model_ids": _ids(ids, models)} for level, models in levels.items()]
    catalog.ensure("/complexity-routing", {"name": name, "levels": body}, {"name": name})


def _ensure_scope(catalog: Catalog, ids: dict[str, str]) -> None:
    name, models = demonstration.SCOPE
    body = {"name": name, "model_ids": _ids(ids, models), "default_model_id": ids[models[0]]}
    catalog.ensure("/scopes", body, {"name": name})


def _ensure_access_key(catalog: Catalog, access_key: str | None, keep: Callable[[str], None]) -> None:
    name = demonstration.ACCESS_KEY
    found = catalog.find("/access-keys", name, {"name": name})
    if found and access_key:
        return
    if found:
        # We were killed between its making and our writing it down; nobody knows that key.
        catalog.expect("DELETE", f"/access-keys/{found['id']}")
    keep(str(catalog.expect("POST", "/access-keys", {"name": name})["key"]))


def _ids(ids: dict[str, str], models: Iterable[str]) -> list[str]:
    return [ids[model] for model in models]
