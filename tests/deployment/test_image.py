"""Images hold what their part needs and nothing else, and the composition comes up from its commands as written."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployment.composition import ROOT, composed, make_env, part_of
from deployment.dockerfile import Building, stages
from deployment.questions import asked, asked_for
from modelbus.launcher.binaries import nats_server
from modelbus.launcher.postgres import start_postgres
from running import eventually, free_port

SERVED = ("catalog", "sync", "integrity", "router")
STEPS = ("provision", "topology", "migrate-catalog", "migrate-sync", "migrate-integrity")


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The environment of each image, by part."""
    building = Building(tmp_path_factory.mktemp("images"), Path(sys.executable))
    building.install_dependencies()
    return {part: building.install(part) for part in ("chassis", "simulator", *SERVED)}


class Composition:
    """The containers' commands and variables, run as processes of this machine."""

    def __init__(self, directory: Path, environments: dict[str, Path], postgres_url: str) -> None:
        self._directory, self._environments = directory, environments
        self.services = composed(make_env(directory / "env"))["services"]
        self.ports = {name: free_port() for name in (*SERVED, "simulator", "nats")}
        self._postgres = postgres_url
        self._path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        self._entry = _exec_form("ENTRYPOINT")
        self._command = _exec_form("CMD")

    def variables(self, name: str) -> dict[str, str]:
        """Answer what the container sees, with this machine's places for the network's."""
        part = part_of(self.services[name])
        assert part is not None
        image = dict(re.findall(r"(\w+)=(\S+)", " ".join(stages()[-1].all("ENV"))))
        told = {**image, **self.services[name].get("environment", {})}
        moved = {key: self._here(str(value)) for key, value in told.items()}
        own = {
            "MODELBUS_PART": f"modelbus.{part}",
            "MODELBUS_HOST": "127.0.0.1",
            "MODELBUS_PORT": str(self.ports.get(name, 0)),
            "MODELBUS_STATE_DIR": str(self._directory / name),
            "PATH": f"{self._environments[part]}/bin:/usr/bin:/bin",
        }
        return {**moved, **own}

    def _here(self, value: str) -> str:
        if value.endswith("@postgres:5432/postgres"):
            return self._postgres
        value = value.replace("@postgres:5432/", f"@{self._postgres.rpartition('@')[2].partition('/')[0]}/")
        for name, port in self.ports.items():
            value = re.sub(rf"//{name}:\d+(?=[,/]|$)", f"//127.0.0.1:{port}", value)
        return value

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a container that ends by itself."""
        command = [*self._entry, *self.services[name].get("command", self._command)]
        return subprocess.run(
            command,
            env=self.variables(name),
            cwd=self._directory,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start a container that serves."""
        given = self.services[name].get("command", self._command)
        here = {"0.0.0.0": "127.0.0.1", "8000": str(self.ports[name])}
        command = [*self._entry, *(here.get(each, each) for each in given)]
        (self._directory / name).mkdir(mode=0o700)
        with (self._directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, env=self.variables(name), cwd=self._directory, stdout=log, stderr=log)

    def start_nats(self) -> subprocess.Popen[bytes]:
        """Start the bus by the configuration that its image holds."""
        service = self.services["nats"]
        configuration = self._directory / "bus"
        shutil.copytree(ROOT / "deploy/nats", configuration)
        conf = configuration / Path(service["command"][1]).name
        conf.write_text(conf.read_text().replace("store_dir: /data", f'store_dir: "{self._directory}/nats"'))
        here = ["-a", "127.0.0.1", "-p", str(self.ports["nats"]), "-m", str(free_port())]
        with (self._directory / "nats.log").open("wb") as log:
            return subprocess.Popen(
                [nats_server(), "-c", conf, *here], env=service["environment"], stdout=log, stderr=log
            )

    def is_healthy(self, name: str) -> bool:
        """Ask it as its container's health check does."""
        test = self.services[name].get("healthcheck", {}).get("test") or _health_check()
        assert test[0] == "CMD"
        done = subprocess.run(test[1:], env=self.variables(name), check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stdout}\n{self.log(name)[-2000:]}"
        return True

    def page(self, name: str) -> str:
        """What it shows Prometheus."""
        return httpx.get(f"http://127.0.0.1:{self.ports[name]}/metrics").raise_for_status().text

    def log(self, name: str) -> str:
        """What it said."""
        return (self._directory / f"{name}.log").read_text()


def _exec_form(instruction: str) -> list[str]:
    [said] = stages()[-1].all(instruction)
    found: list[str] = json.loads(said)
    return found


def _health_check() -> list[str]:
    [said] = stages()[-1].all("HEALTHCHECK")
    return ["CMD", *json.loads(said.partition(" CMD ")[2])]


@pytest.fixture(scope="session")
def composition(
    tmp_path_factory: pytest.TempPathFactory, environments: dict[str, Path], public_directory: Path
) -> Iterator[Composition]:
    server = start_postgres(public_directory / "composed", port=free_port(), fast=True)
    yield Composition(tmp_path_factory.mktemp("composed"), environments, server.url)
    server.stop()


@pytest.mark.parametrize("part", ["chassis", "simulator", *SERVED])
def test_an_image_holds_its_part_and_no_other_and_nothing_to_build_with(
    part: str, environments: dict[str, Path]
) -> None:
    listing = "import modelbus, pkgutil; print(*sorted(each.name for each in pkgutil.iter_modules(modelbus.__path__)))"
    python = environments[part] / "bin/python"

    held = subprocess.run([python, "-c", listing], check=True, capture_output=True, text=True).stdout.split()

    assert held == sorted({"chassis", "contracts", part})
    assert not {"pip", "uv", "hatchling"} & {path.name for path in (environments[part] / "bin").iterdir()}
    assert not list(environments[part].glob("lib/python*/site-packages/pytest*"))


async def test_the_composition_comes_up_and_ends_when_it_is_told_to(composition: Composition) -> None:
    with ExitStack() as running:
        bus = composition.start_nats()
        running.callback(_end, bus)
        await eventually(lambda: _listens(composition.ports["nats"]))
        for step in STEPS:
            done = composition.run(step)
            assert done.returncode == 0, (step, done.stderr, done.stdout)
        served = {name: composition.start(name) for name in (*SERVED, "simulator")}
        for process in served.values():
            running.callback(_end, process)
        for name in served:
            # A process for each question, as a container engine asks: not too often.
            await eventually(partial(composition.is_healthy, name), within_s=40, every_s=0.5)
        shown = set().union(*(_names(composition.page(name)) for name in SERVED))

        ended = {name: _end(process) for name, process in served.items()}

    assert set(ended.values()) == {0}
    for name in SERVED:
        assert "refuses" not in composition.log(name)
    # What the dashboard and the alerts ask for is there before the first request.
    assert set().union(*(asked_for(question) for question in asked())) - shown == set()


def _names(page: str) -> set[str]:
    families = text_string_to_metric_families(page)
    return {f"{each.name}_total" if each.type == "counter" else each.name for each in families}


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)


def test_what_is_not_ready_is_not_healthy_and_says_why(composition: Composition) -> None:
    done = subprocess.run(
        _health_check()[1:], env=composition.variables("catalog"), check=False, capture_output=True, text=True
    )

    assert (done.returncode, "no answer" in done.stdout) == (1, True)


def test_the_recipe_keeps_to_the_rules_of_recipes() -> None:
    whole = stages()
    last = whole[-1]
    names = [each.name for each in whole]

    for stage in whole:
        assert stage.image in names or re.search(r":.*\$\{|:[\w.-]+$", stage.image)
        assert not stage.all("ADD")
        assert not any("sudo" in said or "curl" in said or "apt" in said for said in stage.all("RUN"))
        assert not any(re.search(r"(TOKEN|PASSWORD|KEY|SECRET)\w*=", said) for said in stage.all("ENV"))
    assert last.all("USER") == ["10001:10001"]
    assert last.steps.index(("USER", "10001:10001")) > max(
        number for number, (kind, _) in enumerate(last.steps) if kind in {"RUN", "COPY"}
    )
    assert all(said.startswith("--from=build ") for said in last.all("COPY"))
    assert last.all("STOPSIGNAL") == ["SIGTERM"]
    assert {"title", "licenses", "version", "revision"} <= set(
        re.findall(r"opencontainers\.image\.(\w+)=", last.all("LABEL")[0])
    )


def test_what_images_are_pinned_to_is_what_is_tested() -> None:
    tested = _pins(ROOT / "requirements.lock")

    for name in ("serve", "build"):
        pinned: dict[str, Any] = _pins(ROOT / f"deploy/requirements.{name}.lock")
        assert pinned.items() <= tested.items()


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE))
