"""The demonstration comes about through the catalog's API, once, however often it is cut short."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from modelbus.launcher import demonstration, seed
from modelbus.launcher.errors import SeedFailedError
from modelbus.launcher.seed import Catalog

TOKEN = "administrator"
SIMULATOR = "http://127.0.0.1:8100"
Objects = dict[str, list[dict[str, Any]]]


class FakeCatalog(ThreadingHTTPServer):
    """Collections of named objects over HTTP; `fails_at` refuses the POST of that number, to cut a seed short."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.objects: Objects = {}
        self.fails_at = -1
        self.posts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Requests(BaseHTTPRequestHandler):
    server: FakeCatalog

    def do_GET(self) -> None:
        collection, rest = self._place()
        if collection == "models":
            return self._answer(200, {"id": f"id of {unquote(rest)}"})
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        items = [
            item
            for item in self.server.objects.get(collection, [])
            if all(item[name] == value for name, value in query.items())
        ]
        return self._answer(200, {"items": items, "next_cursor": None})

    def do_POST(self) -> None:
        collection, _ = self._place()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posts += 1
        if self.headers["Authorization"] != f"Bearer {TOKEN}" or self.server.posts == self.server.fails_at:
            return self._answer(401, {"code": "refused"})
        made = body | {"id": f"{collection}-{self.server.posts}", "key": f"key {self.server.posts}"}
        self.server.objects.setdefault(collection, []).append(made)
        return self._answer(201, made)

    def do_PATCH(self) -> None:
        collection, rest = self._place()
        found = next(item for item in self.server.objects[collection] if item["id"] == rest)
        found |= json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(200, found)

    def do_DELETE(self) -> None:
        collection, rest = self._place()
        self.server.objects[collection] = [item for item in self.server.objects[collection] if item["id"] != rest]
        self.send_response(204)
        self.end_headers()

    def _place(self) -> tuple[str, str]:
        collection, _, rest = urlsplit(self.path).path.removeprefix("/api/v1/").partition("/")
        return collection, rest

    def _answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[FakeCatalog]:
    server = FakeCatalog()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def sow(fake: FakeCatalog, access_key: str | None = None) -> list[str]:
    """Seed, and return the access keys that were told."""
    told: list[str] = []
    with Catalog(fake.url, TOKEN) as catalog:
        seed.seed(catalog, SIMULATOR, access_key, told.append)
    return told


def test_the_demonstration_is_complete(fake: FakeCatalog) -> None:
    keys = sow(fake)

    counts = {collection: len(objects) for collection, objects in fake.objects.items()}
    assert counts == {
        "suppliers": 2,
        "credentials": 3,
        "fallback-chains": 1,
        "complexity-routing": 1,
        "scopes": 1,
        "access-keys": 1,
    }
    assert keys == [fake.objects["access-keys"][0]["key"]]
    assert fake.objects["suppliers"][1]["base_url"] == f"{SIMULATOR}/openrouter/api/v1"
    steps = fake.objects["fallback-chains"][0]["steps"]
    assert steps[0] == {"model_id": f"id of {demonstration.LEAVING}"}


@pytest.mark.parametrize("fails_at", range(1, 10))
def test_a_seed_cut_short_anywhere_is_completed_by_the_next_without_doubles(fake: FakeCatalog, fails_at: int) -> None:
    fake.fails_at = fails_at
    with pytest.raises(SeedFailedError, match="refused"):
        sow(fake)

    sow(fake)

    names = [(collection, item["name"]) for collection, items in fake.objects.items() for item in items]
    assert len(names) == 9
    assert {collection for collection, _ in names} >= {"access-keys", "scopes"}


def test_an_access_key_that_nobody_wrote_down_is_replaced(fake: FakeCatalog) -> None:
    lost = sow(fake)

    found = sow(fake, access_key=None)

    assert found != lost
    assert [item["key"] for item in fake.objects["access-keys"]] == found


def test_an_access_key_that_is_known_stays(fake: FakeCatalog) -> None:
    known = sow(fake)

    assert sow(fake, access_key=known[0]) == []
    assert [item["key"] for item in fake.objects["access-keys"]] == known


def test_suppliers_follow_the_simulator_to_another_port(fake: FakeCatalog) -> None:
    sow(fake)

    with Catalog(fake.url, TOKEN) as catalog:
        seed.point_suppliers(catalog, "http://127.0.0.1:9999")

    assert {item["base_url"] for item in fake.objects["suppliers"]} == {
        "http://127.0.0.1:9999/openai/v1",
        "http://127.0.0.1:9999/openrouter/api/v1",
    }


def test_a_catalog_that_is_gone_is_one_sentence() -> None:
    with Catalog("http://127.0.0.1:1", TOKEN) as catalog, pytest.raises(SeedFailedError, match="can't be set up"):
        seed.seed(catalog, SIMULATOR, None, print)
