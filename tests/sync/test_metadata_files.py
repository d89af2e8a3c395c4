"""Metadata files are asked for when they are due, and the last good one counts until a better one comes."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import repeat
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from modelbus.chassis.database import Database
from modelbus.contracts.sync import Listing
from modelbus.sync.actions.metadata import Library
from modelbus.sync.clients import metadata_files
from modelbus.sync.clients.metadata_files import FileLimits, MetadataFiles, UnreadableFileError
from modelbus.sync.domain.metadata import Asked
from modelbus.sync.domain.validators import Validators
from modelbus.sync.settings import files_in
from modelbus.sync.store.tables import outbox
from running import SERVICE_TOKEN, serving
from servers import Databases, FreshDatabase
from sync.catalog_stand_in import a_supplier
from sync.running_sync import RunningSync, neighbours, running_sync

SAMPLE = (Path(__file__).parent / "samples" / "models_dev_constructed.json").read_bytes()
LIMITS = FileLimits(max_bytes=100_000, connect_s=2, deadline_s=5, is_local=True)
TLS = ssl.create_default_context()


class Shelfkeeper:
    """Serves one metadata file at `/file`, and other things elsewhere."""

    def __init__(self) -> None:
        self.body = SAMPLE
        self.asked = self.spared = 0
        self.url = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/file")
        async def show(request: Request) -> Response:
            self.asked += 1
            tag = f'"{hash(self.body)}"'
            if request.headers.get("if-none-match") == tag:
                self.spared += 1
                return Response(status_code=304)
            packed = gzip.compress(self.body)
            return Response(packed, headers={"ETag": tag, "Content-Encoding": "gzip"}, media_type="text/plain")

        @app.get("/moved")
        async def moved() -> Response:
            return Response(status_code=302, headers={"Location": "/file"})

        @app.get("/away")
        async def away(to: str) -> Response:
            return Response(status_code=302, headers={"Location": to})

        @app.get("/flood")
        async def flood() -> Response:
            return StreamingResponse(repeat(b"x" * 65536), 302, headers={"Location": "/file"})

        @app.get("/round")
        async def lead_round() -> Response:
            return Response(status_code=302, headers={"Location": "/round"})

        @app.get("/page")
        async def page() -> Response:
            return Response("<html>", media_type="text/html")

        @app.get("/down")
        async def down() -> Response:
            return Response(status_code=503)

        return app


@pytest.fixture(scope="module")
async def serving_keeper() -> AsyncIterator[Shelfkeeper]:
    keeper = Shelfkeeper()
    async with serving(keeper.app()) as url:
        keeper.url = url
        yield keeper


@pytest.fixture
def keeper(serving_keeper: Shelfkeeper) -> Shelfkeeper:
    serving_keeper.body, serving_keeper.asked, serving_keeper.spared = SAMPLE, 0, 0
    return serving_keeper


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    found = Database(database.url("sync"), service="sync", outbox=outbox)
    yield found
    await found.close()


def library(opened: Database, **files: str) -> Library:
    hour = timedelta(hours=1)
    return Library(opened, MetadataFiles(LIMITS, TLS), files, every=hour, hold=hour)


async def test_a_file_is_asked_for_once_and_then_whether_it_has_changed(opened: Database, keeper: Shelfkeeper) -> None:
    mine = library(opened, good=f"{keeper.url}/moved")
    await mine.tend()
    [first] = await mine.states()

    await mine.tend()
    [second] = await mine.refresh()

    assert (first.shape, first.entries, first.left_out, first.error) == ("models.dev", 4, 1, None)
    assert (keeper.asked, keeper.spared) == (2, 1)
    assert (second.digest, second.changed_at) == (first.digest, first.changed_at)
    assert first.checked_at is not None
    assert second.checked_at is not None
    assert second.checked_at > first.checked_at
    keeper.body = SAMPLE.replace(b"128000", b"127000")
    [third] = await mine.refresh()
    assert third.digest != first.digest


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"{", "not valid JSON"), (b"{}", "holds no model"), (b" " * 100_001, "larger than 100000 bytes")],
)
async def test_the_last_good_file_counts_until_a_better_one_comes(
    opened: Database, keeper: Shelfkeeper, body: bytes, reason: str
) -> None:
    mine = library(opened, good=f"{keeper.url}/file")
    await mine.tend()
    [shelf] = await mine.shelves()
    mark = await mine.mark()
    keeper.body = body

    [state] = await mine.refresh()

    assert reason in (state.error or "")
    assert (state.entries, [each.count for each in await mine.shelves()]) == (4, [shelf.count])
    assert await mine.mark() == mark
    keeper.body = SAMPLE
    [again] = await mine.refresh()
    assert again.error is None


async def test_replicas_share_the_asking_and_what_came(opened: Database, keeper: Shelfkeeper) -> None:
    replicas = [library(opened, good=f"{keeper.url}/file") for _ in range(4)]

    await asyncio.gather(*(each.tend() for each in replicas))

    assert keeper.asked == 1
    assert [[shelf.count for shelf in await each.shelves()] for each in replicas] == [[4]] * 4
    keeper.body = SAMPLE.replace(b'"gpt-4o": {', b'"gpt-5": {')
    await replicas[0].refresh()
    assert await replicas[0].mark() == await replicas[3].mark()
    [shelf] = await replicas[3].shelves()
    assert shelf.find(Asked("gpt-5", "gpt-5", frozenset({"openai"}))) is not None


async def test_a_file_that_is_named_no_more_counts_no_more(opened: Database, keeper: Shelfkeeper) -> None:
    url = f"{keeper.url}/file"
    await library(opened, one=url, other=url).tend()

    left = library(opened, other=url)
    await left.tend()
    moved = library(opened, other=f"{keeper.url}/moved")
    await moved.tend()

    assert [state.name for state in await left.states()] == ["other"]
    # Asked for anew where it is now, though it was not due.
    assert keeper.asked == 3
    assert [shelf.name for shelf in await moved.shelves()] == ["other"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/page", "answered HTML"),
        ("/down", "answered 503"),
        ("/none", "answered 404"),
        ("/round", "more than 3 redirects"),
        ("/away?to=http://169.254.169.254/latest", "an address that is no supplier's"),
        ("/away?to=ftp://127.0.0.1/", "which is not followed"),
    ],
)
async def test_what_is_no_file_is_refused_with_the_reason(keeper: Shelfkeeper, path: str, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason):
        await MetadataFiles(LIMITS, TLS).fetch(keeper.url + path, Validators())


async def test_what_comes_with_a_redirect_is_not_read(keeper: Shelfkeeper) -> None:
    found = await MetadataFiles(LIMITS, TLS).fetch(f"{keeper.url}/flood", Validators())

    assert found.body == SAMPLE


async def test_a_redirect_away_from_https_is_not_followed_though_another_leads_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    turns = {"/one": "http://127.0.0.1/two", "/two": "https://127.0.0.1/file"}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if to := turns.get(request.url.path):
            return httpx.Response(302, headers={"Location": to})
        return httpx.Response(200, stream=httpx.ByteStream(SAMPLE))

    monkeypatch.setattr(metadata_files, "Carrier", lambda **_: httpx.MockTransport(answer))

    with pytest.raises(UnreadableFileError, match="it is not HTTPS"):
        await MetadataFiles(LIMITS, TLS).fetch("https://127.0.0.1/one", Validators())

    assert asked == ["https://127.0.0.1/one"]


async def test_a_private_address_needs_the_operators_word(keeper: Shelfkeeper) -> None:
    careful = FileLimits(max_bytes=100_000, connect_s=2, deadline_s=5, is_local=False)

    with pytest.raises(UnreadableFileError, match="private address"):
        await MetadataFiles(careful, TLS).fetch(f"{keeper.url}/file", Validators())


async def test_a_path_is_read_as_a_url_is(tmp_path: Path) -> None:
    files, path = MetadataFiles(LIMITS, TLS), tmp_path / "file.json"
    with pytest.raises(UnreadableFileError, match="can't be read: No such file"):
        await files.fetch(str(path), Validators())
    path.write_bytes(SAMPLE)

    first = await files.fetch(str(path), Validators())
    again = await files.fetch(str(path), first.validators)

    assert (first.body, again.body) == (SAMPLE, None)
    path.write_bytes(b" " * 100_001)
    with pytest.raises(UnreadableFileError, match="larger than 100000 bytes"):
        await files.fetch(str(path), Validators())


@pytest.mark.parametrize(
    ("told", "reason"),
    [("models.dev", "must be name=location"), ("A=x", "small letters"), ("a=", "must be"), ("a=x,a=y", "two files")],
)
def test_a_setting_that_can_not_be_read_is_refused(told: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        files_in(told)
    assert files_in(" a=/x , b.c=https://y/z?d=e ") == {"a": "/x", "b.c": "https://y/z?d=e"}


@pytest.fixture(scope="module")
async def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metadata") / "models.json"
    path.write_bytes(SAMPLE)
    return path


@pytest.fixture(scope="module")
async def sync(
    databases: Databases, public_directory: Path, tmp_path_factory: pytest.TempPathFactory, file: Path
) -> AsyncIterator[RunningSync]:
    state_dir = tmp_path_factory.mktemp("state")
    async with neighbours(databases, public_directory, state_dir) as around:
        around.settings["metadata_files"] = f"mine={file}"
        async with running_sync(around) as running:
            yield running


def put(file: Path, body: bytes) -> None:
    file.write_bytes(body)


async def listing_of(sync: RunningSync, run: dict[str, Any]) -> Listing:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    answer = await sync.http.get(f"/api/v1/runs/{run['id']}/listing", headers=headers)
    return Listing.model_validate_json(answer.content)


async def test_a_listing_is_handed_on_with_what_the_files_say_beside_it(sync: RunningSync, file: Path) -> None:
    sync.simulator.openrouter.serve_models([{"id": "openai/gpt-4o"}, {"id": "nobody/knows-it"}])
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), name=f"n-{uuid4().hex}")
    await sync.catalog.put(supplier)
    files = (await sync.http.post("/api/v1/metadata/refresh")).json()["items"]

    listing = await listing_of(sync, await sync.listing_of(supplier))

    assert [(each["name"], each["entries"], each["error"]) for each in files] == [("mine", 4, None)]
    [said] = listing.background
    assert (said.upstream_name, said.file, said.entry) == ("openai/gpt-4o", "mine", "openrouter/openai/gpt-4o")
    assert (said.context_window, said.is_exact, said.tells_cost) == (120000, True, False)
    query = {"supplier_id": str(supplier.id), "upstream_name": "openai/gpt-4o"}
    [match] = (await sync.http.get("/api/v1/metadata/matches", params=query)).json()["items"]
    assert (match["entries"], match["is_own"], match["prices"]) == (
        *(["openrouter/openai/gpt-4o"], True),
        {"input": "3", "output": "12"},
    )
    # A listing that says the same is another one where the file is.
    put(file, SAMPLE.replace(b"120000", b"110000"))
    await sync.http.post("/api/v1/metadata/refresh")
    later = await listing_of(sync, await sync.listing_of(supplier))
    put(file, SAMPLE)
    assert (later.models, later.digest == listing.digest) == (listing.models, False)
    assert [each.context_window for each in later.background] == [110000]


async def test_a_price_without_a_unit_is_understood_by_what_a_file_says_it_costs(sync: RunningSync) -> None:
    sync.simulator.openrouter.serve_models([{"id": "openai/gpt-4o", "pricing": {"input": "0.0025", "output": "0.01"}}])
    url = sync.simulator.base_url(sync.simulator.openrouter)
    supplier = a_supplier(url, name=f"n-{uuid4().hex}", flavour="openai", namespace=f"n-{uuid4().hex}")
    await sync.catalog.put(supplier)
    await sync.http.post("/api/v1/metadata/refresh")

    [model] = (await listing_of(sync, await sync.listing_of(supplier))).models

    assert (str(model.cost.input), str(model.cost.output), model.held) == ("2.5", "10", None)


async def test_a_match_for_a_supplier_that_is_not_known_is_refused(sync: RunningSync) -> None:
    query = {"supplier_id": str(uuid4()), "upstream_name": "a"}

    answer = await sync.http.get("/api/v1/metadata/matches", params=query)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "supplier_id")
    assert (await sync.http.get("/api/v1/metadata")).json()["items"][0]["shape"] == "models.dev"


async def test_a_service_may_not_look_at_metadata(sync: RunningSync) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}

    assert (await sync.http.get("/api/v1/metadata", headers=headers)).status_code == httpx.codes.FORBIDDEN
