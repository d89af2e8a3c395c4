"""What the launcher decides without starting anything."""

import json
import os
import socket
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest

from modelbus.chassis.topology import Keeping
from modelbus.launcher.backoff import next_delay
from modelbus.launcher.errors import (
    AlreadyRunningError,
    BadSettingError,
    ForeignHomeError,
    HomeNotWritableError,
    LaunchError,
    LostSecretsError,
    PortInUseError,
)
from modelbus.launcher.files import set_aside, write_private
from modelbus.launcher.home import Home
from modelbus.launcher.lock import Lock
from modelbus.launcher.ports import LOOPBACK, check_free, free_port
from modelbus.launcher.preparation import fingerprint, is_prepared
from modelbus.launcher.progress import Progress
from modelbus.launcher.reset import reset
from modelbus.launcher.secrets import BUS_USERS, load_secrets
from modelbus.launcher.settings import read_settings


def test_each_death_doubles_the_delay_up_to_half_a_minute() -> None:
    delays = [0.0]
    for _ in range(9):
        delays.append(next_delay(delays[-1], lived_s=1))

    assert delays[1:] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_life_brings_the_shortest_delay_back() -> None:
    assert next_delay(30, lived_s=60) == 0.5


def test_exit_codes_are_distinct() -> None:
    codes = [kind.exit_code for kind in LaunchError.__subclasses__()]

    assert len(codes) == len(set(codes))


def test_a_port_in_use_names_port_and_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortInUseError, match=rf"Port {port} for catalog .*MODELBUS_CATALOG_PORT"):
            check_free("catalog", "127.0.0.1", port)


def test_a_port_of_our_own_choice_is_free_and_none_that_the_system_gives_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with suppress(FileNotFoundError):  # elsewhere than on Linux they begin at 49152
        first_of_system = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert all(free_port() < first_of_system for _ in range(20))
    with socket.create_server((LOOPBACK, 0)) as taken, socket.create_server((LOOPBACK, 0)) as given_up:
        offered = [each.getsockname()[1] for each in (taken, given_up)]
        given_up.close()
        monkeypatch.setattr("modelbus.launcher.ports.OFFERED", offered)

        assert {free_port() for _ in range(20)} == {offered[1]}


def test_a_foreign_interface_is_a_bad_setting() -> None:
    with pytest.raises(BadSettingError, match=r"192\.0\.2\.1"):
        check_free("catalog", "192.0.2.1", 8000)


def test_settings_come_from_the_environment_before_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# a comment\nMODELBUS_SYNC_PORT=9002\nMODELBUS_CATALOG_PORT='9000'\n")

    settings = read_settings({"MODELBUS_SYNC_PORT": "9102"}, tmp_path)

    assert (settings.ports["catalog"], settings.ports["sync"], settings.ports["router"]) == (9000, 9102, 8001)
    assert settings.home == tmp_path / ".modelbus"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "٣"])
def test_a_port_that_is_none_is_refused_by_name(tmp_path: Path, port: str) -> None:
    with pytest.raises(BadSettingError, match="MODELBUS_NATS_PORT"):
        read_settings({"MODELBUS_NATS_PORT": port}, tmp_path)


def test_two_programs_on_one_port_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettingError, match="catalog and router have the same port 8000"):
        read_settings({"MODELBUS_ROUTER_PORT": "8000"}, tmp_path)


def test_every_interface_is_reached_through_the_loopback_one(tmp_path: Path) -> None:
    settings = read_settings({"MODELBUS_HOST": "0.0.0.0"}, tmp_path)

    assert settings.url("catalog") == "http://127.0.0.1:8000"
    assert settings.host_of("postgres") == "127.0.0.1"


def test_a_lock_that_is_held_names_its_holder(tmp_path: Path) -> None:
    held, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    held.take(Progress())

    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
        second.take(Progress())

    held.release()
    second.take(Progress())
    second.release()


def test_a_home_that_is_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").touch()

    with pytest.raises(HomeNotWritableError, match="MODELBUS_HOME"):
        Home(tmp_path / "home").prepare()


def test_a_private_file_is_replaced_whole_and_readable_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.json"
    path.write_text("old")
    path.chmod(0o644)

    write_private(path, "new")

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["endpoints.json"]


def test_only_the_last_run_keeps_its_log(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    for text in ("first", "second"):
        log.write_text(text)
        set_aside(log)

    assert [file.name for file in tmp_path.iterdir()] == ["nats.log.1"]
    assert (tmp_path / "nats.log.1").read_text() == "second"


def test_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"

    made = load_secrets(path, has_data=False)

    assert load_secrets(path, has_data=True) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(made.role_passwords) == {"catalog", "sync", "integrity"}


def test_passwords_of_the_bus_that_an_older_version_did_not_know_are_made_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = load_secrets(path, has_data=False)
    older = json.loads(path.read_text())
    del older["bus_passwords"]["router"]
    path.write_text(json.dumps(older))

    found = load_secrets(path, has_data=True)

    assert set(found.bus_passwords) == set(BUS_USERS)
    assert found.bus_passwords["catalog"] == made.bus_passwords["catalog"]
    assert load_secrets(path, has_data=True) == found


@pytest.mark.parametrize(
    "text", [None, "not JSON", '{"admin_token": "a", "unknown": 1}', "[]", '{"role_passwords": {}}']
)
def test_data_without_its_secrets_is_not_started_upon(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "secrets.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(LostSecretsError, match="make reset"):
        load_secrets(path, has_data=True)


def test_forgetting_removes_what_was_made_here_and_nothing_else(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    (home.nats / "nats.conf").touch()
    (home.path / "of-somebody-else").touch()

    home.forget()

    assert [file.name for file in home.path.iterdir()] == ["of-somebody-else"]


def test_a_directory_of_somebody_else_is_neither_used_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine").touch()
    home = Home(tmp_path)

    with pytest.raises(ForeignHomeError, match="MODELBUS_HOME"):
        home.prepare()
    with pytest.raises(ForeignHomeError):
        reset(home)

    assert (tmp_path / "logs" / "mine").exists()


@pytest.mark.parametrize("field", ["admin_token", "master_key", "role_passwords", "access_key"])
def test_a_secret_that_is_missing_is_never_made_up(tmp_path: Path, field: str) -> None:
    path = tmp_path / "secrets.json"
    load_secrets(path, has_data=False)
    kept = json.loads(path.read_text())
    del kept[field]
    path.write_text(json.dumps(kept))

    with pytest.raises(LostSecretsError, match="make reset"):
        load_secrets(path, has_data=True)


@pytest.mark.parametrize("setting", [f"MODELBUS_NATS_{field.name.upper()}" for field in fields(Keeping)])
def test_streams_are_laid_anew_when_a_setting_says_that_they_are_to_be_kept_otherwise(
    tmp_path: Path, setting: str
) -> None:
    home = Home(tmp_path)
    home.prepare()
    (home.nats / "jetstream" / "account" / "streams" / "CATALOG").mkdir(parents=True)
    home.bus_users.touch()
    home.postgres.mkdir()

    home.prepared.write_text(fingerprint({setting: "1"}))

    assert is_prepared(home, {setting: "1", "MODELBUS_PORT": "1"})
    assert not is_prepared(home, {setting: "2"})
    assert not is_prepared(home, {})
