"""The gateways that are measured, each a process of its own before one simulated provider, pinned beside the load."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType

import httpx
import psutil
from benchmarks.connection import Connection

from router.routers import KEY
from router.seeding import Seed
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, free_port
from testing_bus import local_bus

CHAT = "/v1/chat/completions"
SMALL, PACED, SLOW = "gpt-4o-mini", "gpt-4o", "gpt-4-turbo"
"""Models of the provider: at once, a chunk each 5 ms, and a hundred chunks within five seconds."""
PROVIDER_KEY = "sim-openai-key-1"
SOURCES, MODELS = 100_000, 5_000
MIB = 1024 * 1024
_PEERS, _PROVIDER_PORT = "PEERS", "PROVIDER_PORT"


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway to be asked, and its processes to be watched meanwhile."""

    name: str
    url: str
    path: str
    key: str
    prefix: str = ""
    """Before the provider's names of models."""
    pid: int | None = None
    streams: bool = True

    @property
    def model(self) -> str:
        """The model that answers at once."""
        return self.prefix + SMALL

    @property
    def busy_s(self) -> float:
        """Answer the processor time that its processes have used."""
        used = [process.cpu_times() for process in self._processes()]
        return float(sum(each.user + each.system for each in used))

    @property
    def resident_mb(self) -> float:
        """Answer the memory that they hold."""
        return float(sum(process.memory_info().rss for process in self._processes())) / MIB

    def _processes(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


@asynccontextmanager
async def provider(directory: Path) -> AsyncIterator[Subject]:
    """The provider, asked directly: nothing before it can be quicker. Peers are told its port, so it may be given."""
    port = int(os.environ.get(_PROVIDER_PORT, "0")) or free_port()
    argv = (sys.executable, "-m", "modelbus.simulator", "serve", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    async with _process(argv, {}, directory / "provider.log", url, is_load=True) as pid:
        paces = {
            PACED: {"reply_tokens": 32, "tokens_per_second": 200},
            SLOW: {"reply_tokens": 100, "tokens_per_second": 20},
        }
        rules = [{"path": "chat", "model": model, "fault": fault} for model, fault in paces.items()]
        async with httpx.AsyncClient(base_url=url) as control:
            (await control.put("/_control/openai/behaviours", json=rules)).raise_for_status()
        yield Subject("provider alone", url, "/openai" + CHAT, PROVIDER_KEY, pid=pid)


@asynccontextmanager
async def router(directory: Path, upstream: Subject) -> AsyncIterator[Subject]:
    """The router with its bus, so that usage is published as in service."""
    seed = Seed()
    seed.key(KEY)
    supplier = seed.supplier("provider", upstream.url + "/openai/v1")
    seed.credential(supplier, PROVIDER_KEY)
    for name in (SMALL, PACED, SLOW):
        seed.source(seed.model(name), supplier, name)
    async with local_bus(directory) as bus, router_process(directory, seed, bus.url) as subject:
        yield subject


@asynccontextmanager
async def bare_router(directory: Path) -> AsyncIterator[Subject]:
    """A router that knows nothing but a key."""
    seed = Seed()
    seed.key(KEY)
    async with router_process(directory, seed) as subject:
        yield subject


@asynccontextmanager
async def large_router(directory: Path) -> AsyncIterator[Subject]:
    """A router that knows a hundred thousand sources."""
    seed = Seed()
    seed.key(KEY)
    models = [seed.model(f"maker/model-{number}") for number in range(MODELS)]
    for number in range(SOURCES // MODELS):
        supplier = seed.supplier(f"supplier-{number}")
        for model in models:
            seed.source(model, supplier, model.name)
    async with router_process(directory, seed) as subject:
        yield subject


@asynccontextmanager
async def late_feed(directory: Path, file: Path) -> AsyncIterator[str]:
    """A feed that is away until the file is there; yields its URL."""
    port, program = free_port(), Path(__file__).with_name("late_feed.py")
    url, argv = f"http://127.0.0.1:{port}", (sys.executable, str(program), str(port), str(file))
    async with _process(argv, {}, directory / "feed.log", url, is_load=True):
        yield url


@asynccontextmanager
async def twin(directory: Path, upstream: Subject) -> AsyncIterator[Subject]:
    """The same job with FastAPI, pydantic and httpx; it streams nothing."""
    port = free_port()
    known = {
        "TWIN_PORT": str(port),
        "TWIN_KEY": KEY,
        "TWIN_UPSTREAM": upstream.url + "/openai/v1",
        "TWIN_UPSTREAM_KEY": PROVIDER_KEY,
    }
    url, argv = f"http://127.0.0.1:{port}", (sys.executable, str(Path(__file__).with_name("twin.py")))
    async with _process(argv, known, directory / "twin.log", url) as pid:
        yield Subject("twin", url, CHAT, KEY, "openai/", pid, streams=False)


@asynccontextmanager
async def nginx(directory: Path, upstream: Subject) -> AsyncIterator[Subject | None]:
    """A plain proxy, which is as far as this machine goes; None where it is not installed."""
    program, port = shutil.which("nginx"), free_port()
    if program is None:
        yield None
        return
    home = Path(mkdtemp(prefix="nginx-", dir=directory))
    configuration = f"""
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};
  uwsgi_temp_path {home}; scgi_temp_path {home}; client_max_body_size 32m; client_body_buffer_size 1m;
  upstream provider {{ server {upstream.url.removeprefix("http://")}; keepalive 1024; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 10000000;
    location /v1/ {{
      proxy_pass http://provider/openai/v1/; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Connection ""; proxy_set_header Authorization "Bearer {PROVIDER_KEY}";
    }}
  }}
}}
"""
    (home / "nginx.conf").write_text(configuration)
    url = f"http://127.0.0.1:{port}"
    async with _process((program, "-c", str(home / "nginx.conf")), {}, home / "log", url) as pid:
        yield Subject("nginx", url, CHAT, KEY, pid=pid)


def given_peers() -> list[Subject]:
    """Read `PEERS`: a JSON list of `name`, `url`, `key`, `prefix` of models, and `pid` of what to watch."""
    return [
        Subject(
            peer["name"], peer["url"], peer.get("path", CHAT), peer.get("key", ""), peer.get("prefix", ""), peer["pid"]
        )
        for peer in json.loads(os.environ.get(_PEERS, "[]"))
    ]


@asynccontextmanager
async def router_process(
    directory: Path,
    seed: Seed,
    nats_url: str | None = None,
    catalog_url: str | None = None,
    program: Sequence[str] = ("-m", "modelbus.router", "serve"),
    more: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Subject]:
    """Run a router that finds the seed as its last-known-good file, with whatever is not given away.

    `more` are further settings, without `MODELBUS_`.
    """
    home, port, away = Path(mkdtemp(prefix="router-", dir=directory)), free_port(), free_port()
    seed.save(home / "catalog.snapshot")
    settings = {
        "PORT": str(port),
        "NATS_URL": nats_url or f"nats://127.0.0.1:{away}",
        "CATALOG_URL": catalog_url or f"http://127.0.0.1:{away}",
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "SERVICE_TOKEN": SERVICE_TOKEN,
        "MASTER_KEYS": MASTER_KEY,
        "STATE_DIR": str(home),
        "UPSTREAM_CONNECTIONS": "8000",
        **more,
    }
    environment = {f"MODELBUS_{name}": value for name, value in settings.items()}
    url, argv = f"http://127.0.0.1:{port}", (sys.executable, *program)
    async with _process(argv, environment, home / "log", url) as pid:
        yield Subject("router", url, CHAT, KEY, pid=pid)


@asynccontextmanager
async def _process(
    argv: tuple[str, ...], more: Mapping[str, str], log_file: Path, url: str, *, is_load: bool = False
) -> AsyncIterator[int]:
    """Run a process until it listens and then some; a gateway on the first core, the load and the rest on the last."""
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *argv, env={**os.environ, **more}, stdout=log, stderr=log, start_new_session=True
        )
    if hasattr(os, "sched_getaffinity"):
        cores = os.sched_getaffinity(0)
        psutil.Process(process.pid).cpu_affinity([max(cores) if is_load else min(cores)])

    async def is_listening() -> bool:
        async with Connection(url, ""):
            return True

    try:
        await eventually(is_listening, within_s=60)
        yield process.pid
    finally:
        process.terminate()
        await process.wait()
