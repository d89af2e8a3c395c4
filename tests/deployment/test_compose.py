"""The composition is what Compose takes, starts in an order that can be, and gives each service what it asks for."""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployment.composition import FILE, ROOT, composed, make_env, part_of, services, variables
from deployment.dockerfile import stages
from modelbus.catalog.settings import Settings as CatalogSettings
from modelbus.chassis.ending import CLOSING_S
from modelbus.chassis.nats_config import nats_config
from modelbus.chassis.settings import BusSettings, DatabaseSettings, ProvisionSettings
from modelbus.integrity.settings import Settings as IntegritySettings
from modelbus.launcher.binaries import nats_server
from modelbus.launcher.settings import read_env_file
from modelbus.router.settings import Settings as RouterSettings
from modelbus.sync.settings import Settings as SyncSettings

NAMES = sorted(services())
OURS = [name for name in NAMES if part_of(services()[name])]
SETTINGS: dict[tuple[str, str], Any] = {
    ("catalog", "serve"): CatalogSettings,
    ("router", "serve"): RouterSettings,
    ("sync", "serve"): SyncSettings,
    ("integrity", "serve"): IntegritySettings,
    ("catalog", "migrate"): DatabaseSettings,
    ("sync", "migrate"): DatabaseSettings,
    ("integrity", "migrate"): DatabaseSettings,
    ("chassis", "provision"): ProvisionSettings,
    ("chassis", "topology"): BusSettings,
}
STEPS = {"provision", "topology", "migrate-catalog", "migrate-sync", "migrate-integrity"}
SECRET = re.compile(r"PASSWORD|TOKEN|KEYS|SUPERUSER|DATABASE_URL")


def command_of(service: dict[str, Any]) -> str:
    return str(service.get("command", ["serve"])[0])


def test_it_keeps_to_the_specification_of_compose_files() -> None:
    check = Path(sys.executable).parent / "check-jsonschema"

    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", FILE], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout


def test_no_key_stands_twice_in_a_mapping() -> None:
    """Compose refuses such a file, which the schema can't see."""

    def keys(node: yaml.Node | None) -> Iterator[list[str]]:
        if isinstance(node, yaml.MappingNode):
            yield [key.value for key, _ in node.value]
        for each in node.value if isinstance(node, yaml.CollectionNode) else []:
            for child in each if isinstance(each, tuple) else (each,):
                yield from keys(child)

    whole = list(keys(yaml.compose(FILE.read_text(), yaml.SafeLoader)))

    assert ["MODELBUS_NATS_USER" in each for each in whole].count(True) > 4
    assert [each for each in whole if len(each) != len(set(each))] == []


def test_every_variable_has_a_default_or_is_made_and_every_secret_is_made(tmp_path: Path) -> None:
    made = make_env(tmp_path / "env")

    assert {name for name, default in variables().items() if default is None} == set(made)
    assert {name for name in variables() if SECRET.search(name)} == set(made)
    assert len(set(made.values())) == len(made)
    assert all(len(value) >= 40 for value in made.values())


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "env"
    made = make_env(path)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "GRAFANA" not in line) + "\n")

    again = make_env(path)

    assert {**again, "GRAFANA_PASSWORD": ""} == {**made, "GRAFANA_PASSWORD": ""}
    assert again["GRAFANA_PASSWORD"] not in {"", made["GRAFANA_PASSWORD"]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("profile", ["ha", "observe"])
def test_what_a_profile_adds_to_the_variables_is_known(profile: str) -> None:
    added = read_env_file(ROOT / f"deploy/{profile}.env")
    by_name = {name for service in services().values() for name in service.get("environment", {})}

    assert added.pop("COMPOSE_PROFILES") == profile
    assert any(profile in service.get("profiles", []) for service in services().values())
    assert set(added) <= set(variables()) | by_name


def test_services_tell_their_traces_to_the_collector_that_is_there_then(tmp_path: Path) -> None:
    observed = make_env(tmp_path / "env") | read_env_file(ROOT / "deploy/observe.env")
    told = {
        name: service["environment"].get("MODELBUS_TRACES_URL")
        for name, service in composed(observed)["services"].items()
        if "MODELBUS_CATALOG_URL" in service["environment"] or name == "catalog"
    }

    collector = yaml.safe_load((ROOT / "deploy/observe/collector.yml").read_text())
    [receiver] = collector["receivers"]["otlp"]["protocols"].values()
    place = f"http://collector:{receiver['endpoint'].rpartition(':')[2]}"
    assert told == dict.fromkeys(("catalog", "router", "router-2", "router-3", "sync", "integrity"), place)
    assert "MODELBUS_TRACES_URL" not in composed(make_env(tmp_path / "env"))["services"]["router"]["environment"]


@pytest.mark.parametrize("name", OURS)
def test_each_part_can_be_told_every_setting_that_it_has_and_none_that_it_does_not_have(name: str) -> None:
    service = services()[name]
    part = part_of(service)
    assert part is not None
    if part == "simulator":
        assert "environment" not in service
        return
    settings = SETTINGS[part, command_of(service)]
    known = {f"MODELBUS_{each.upper()}" for each in settings.model_fields}
    by_image = {each for said in stages()[-1].all("ENV") for each in re.findall(r"(MODELBUS_\w+)=", said)}

    # A setting that is new is a line with its name alone.
    assert set(service["environment"]) == known - by_image
    assert by_image - {"MODELBUS_PART"} <= {f"MODELBUS_{each.upper()}" for each in CatalogSettings.model_fields}


@pytest.mark.parametrize("name", OURS)
def test_no_value_is_empty_where_env_says_nothing(name: str, tmp_path: Path) -> None:
    service = composed(make_env(tmp_path / "env"))["services"][name]

    assert "" not in service["environment"].values()


@pytest.mark.parametrize("name", [name for name, step in SETTINGS if step == "serve"])
def test_each_service_has_time_to_end_by_itself(name: str) -> None:
    shutdown_s = SETTINGS[name, "serve"].model_fields["shutdown_s"].default

    assert float(services()[name]["stop_grace_period"].removesuffix("s")) > shutdown_s + CLOSING_S


@pytest.mark.parametrize("name", NAMES)
def test_each_container_is_kept_small(name: str) -> None:
    service = services()[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["restart"] == ("on-failure" if name in STEPS else "unless-stopped")
    assert "privileged" not in service
    assert service.get("user", "10001") not in {"0", "root", "0:0"}
    assert not any(str(volume).startswith(("/", "~")) or "docker.sock" in str(volume) for volume in volumes_of(service))


def volumes_of(service: dict[str, Any]) -> list[str]:
    return list(service.get("volumes", []))


@pytest.mark.parametrize("name", NAMES)
def test_each_image_is_of_a_stated_version(name: str) -> None:
    image = services()[name]["image"]

    assert not re.search(r":(-)?latest", image)
    assert re.search(r":\$\{\w+:-[\w.-]+\}$", image)
    assert "." not in image.partition("/")[0], "names a registry"


@pytest.mark.parametrize("name", NAMES)
def test_what_it_waits_for_is_there_and_can_come_to_that(name: str) -> None:
    for other, how in services()[name].get("depends_on", {}).items():
        waited_for = services()[other]
        if how["condition"] == "service_completed_successfully":
            assert other in STEPS
        else:
            assert how["condition"] == "service_healthy"
            assert waited_for.get("healthcheck", {}).get("test") or part_of(waited_for)
        if waited_for.get("profiles") and not services()[name].get("profiles"):
            assert how["required"] is False


def test_the_order_of_start_has_an_end() -> None:
    waiting = {name: set(service.get("depends_on", {})) for name, service in services().items()}
    started: set[str] = set()
    while ready := {name for name, others in waiting.items() if name not in started and others <= started}:
        started |= ready

    assert started == set(NAMES)
    assert not {"catalog", "postgres", "sync"} & waiting["router"], "a router serves without them"


def test_only_this_machine_is_let_in_unless_it_is_said(tmp_path: Path) -> None:
    whole = composed(make_env(tmp_path / "env"))

    published = [port for service in whole["services"].values() for port in service.get("ports", [])]
    outside = [port.split(":")[1] for port in published]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len(set(outside)) == len(outside)
    for name in ("postgres", "nats"):
        assert "ports" not in whole["services"][name]


def test_volumes_are_named_and_each_is_of_one_container() -> None:
    named = [
        volume.partition(":")[0]
        for service in services().values()
        for volume in volumes_of(service)
        if volume[0] != "."
    ]

    assert len(set(named)) == len(named)
    assert set(named) == set(composed_volumes())
    for service in services().values():
        for volume in volumes_of(service):
            if volume.startswith("."):
                assert (ROOT / volume.split(":")[0]).exists(), volume
                assert volume.endswith(":ro")


def composed_volumes() -> set[str]:
    return set(re.findall(r"^  ([\w-]+):$", FILE.read_text().partition("\nvolumes:\n")[2], re.MULTILINE))


def test_the_users_of_the_bus_are_those_of_the_code() -> None:
    assert (ROOT / "deploy/nats/users.conf").read_text() == nats_config()


@pytest.mark.parametrize("conf", ["nats.conf", "cluster.conf"])
def test_the_bus_takes_its_configuration(conf: str, tmp_path: Path) -> None:
    environment = composed(make_env(tmp_path / "env"))["services"]["nats"]["environment"]

    done = subprocess.run(
        [nats_server(), "-t", "-c", ROOT / "deploy/nats" / conf],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
