"""`make backup` and `make restore`: the configuration of what runs, into a file and back."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from builders import a_model, a_source, a_supplier
from catalogs import settings_for
from faults.disks import small_disk
from modelbus.catalog.app import create_app
from modelbus.launcher.backup import backup
from modelbus.launcher.errors import BackupFailedError
from modelbus.launcher.home import Home
from running import ADMIN_TOKEN, serving
from servers import FreshDatabase


@pytest.fixture
async def running(database: FreshDatabase, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A catalog, and a home that says where it is."""
    async with serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url:
        (tmp_path / ".modelbus").mkdir()
        (tmp_path / ".modelbus" / "endpoints.json").write_text(json.dumps({"catalog": url, "admin_token": ADMIN_TOKEN}))
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
            yield client


async def launch(directory: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "modelbus.launcher",
        *arguments,
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()


async def test_what_was_backed_up_comes_back(running: httpx.AsyncClient, tmp_path: Path) -> None:
    supplier = await a_supplier(running)
    path = f"/api/v1/suppliers/{supplier['id']}"
    written = await launch(tmp_path, "backup", "kept.json")
    await running.delete(path)

    refused = await launch(tmp_path, "restore", "kept.json")
    restored = await launch(tmp_path, "restore", "kept.json", "--replace")

    assert written[0] == 0, written[1]
    assert (tmp_path / "kept.json").stat().st_mode & 0o077 == 0
    assert (refused[0], "replace" in refused[1], len(refused[1].splitlines())) == (23, True, 1)
    assert restored[0] == 0, restored[1]
    assert (await running.get(path)).status_code == 200


async def test_no_backup_is_overwritten(running: httpx.AsyncClient, tmp_path: Path) -> None:
    await a_supplier(running)
    (tmp_path / "kept.json").write_text("precious")

    told = await launch(tmp_path, "backup", "kept.json")

    assert (told[0], (tmp_path / "kept.json").read_text()) == (23, "precious")


async def test_a_backup_that_did_not_fit_leaves_nothing_in_the_way_of_the_next(
    running: httpx.AsyncClient, tmp_path: Path
) -> None:
    await a_supplier(running)
    home = Home(tmp_path / ".modelbus")
    with small_disk(tmp_path / "small", "1m") as disk:
        disk.fill()
        with pytest.raises(BackupFailedError, match="No space left"):
            await asyncio.to_thread(backup, home, disk.path / "kept.json")
        disk.free()
        assert list(disk.path.iterdir()) == []

        await asyncio.to_thread(backup, home, disk.path / "kept.json")

        assert json.loads((disk.path / "kept.json").read_text())["tables"]["suppliers"]


async def test_without_a_running_system_there_is_one_sentence(tmp_path: Path) -> None:
    for arguments in (("backup", "kept.json"), ("restore", "kept.json")):
        code, told = await launch(tmp_path, *arguments)
        assert (code, len(told.splitlines())) == (23, 1)
    assert not (tmp_path / "kept.json").exists()


async def test_a_file_that_is_not_there_is_one_sentence(running: httpx.AsyncClient, tmp_path: Path) -> None:
    assert running.base_url

    code, told = await launch(tmp_path, "restore", "nowhere.json")

    assert (code, len(told.splitlines()), "nowhere.json" in told) == (23, 1, True)


async def test_an_older_systems_file_is_imported_and_what_needs_a_look_is_told(
    running: httpx.AsyncClient, tmp_path: Path
) -> None:
    supplier = await a_supplier(running, name="openai")
    model = await a_model(running, name="openai/gpt-4o")
    await a_source(running, model["id"], supplier["id"], upstream_name="gpt-4o")
    good, gone = ({"name": name, "models": [{"vendor": "openai", "model": name}]} for name in ("gpt-4o", "gpt-4o-old"))
    (tmp_path / "older.json").write_text(json.dumps({"fallback_chains": [{**good, "name": "moved"}, gone]}))
    (tmp_path / "broken.json").write_text('{"fallback_chains": [')

    rehearsed = await launch(tmp_path, "import", "older.json", "--dry-run")
    done = await launch(tmp_path, "import", "older.json")
    broken = await launch(tmp_path, "import", "broken.json")
    absent = await launch(tmp_path, "import", "absent.json")

    assert (rehearsed[0], rehearsed[1].splitlines()[-1]) == (0, "Would be: 1 created, 1 unmatched")
    assert (done[0], done[1].splitlines()[-1]) == (0, "Done: 1 created, 1 unmatched")
    assert "fallback_chains.1: unmatched gpt-4o-old" in done[1]
    assert "perhaps gpt-4o" in done[1]
    assert (broken[0], "line 1, column" in broken[1]) == (23, True)
    assert (absent[0], "can't be read" in absent[1]) == (23, True)
    chains = (await running.get("/api/v1/fallback-chains")).json()["items"]
    assert [chain["name"] for chain in chains] == ["moved"]
