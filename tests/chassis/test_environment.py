"""Settings of every service may keep their secrets in files."""

import importlib
import os
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from modelbus.chassis import entry
from modelbus.chassis.environment import Environment
from modelbus.chassis.settings import BusSettings, ProvisionSettings

SECRET = "h8VqVnO5VgxUX3gKJzKDo0P-qmDkvgrYQzS3zGb4v-E="
SETTINGS: list[type[Environment]] = [
    ProvisionSettings,
    *(
        importlib.import_module(f"modelbus.{service}.settings").Settings
        for service in ("catalog", "sync", "router", "integrity")
    ),
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MODELBUS_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: each.__module__)
def test_every_secret_of_a_service_may_be_in_a_file(
    settings: type[Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    for name in {"jwt_issuer", "jwt_audience"} & settings.model_fields.keys():
        monkeypatch.setenv(f"MODELBUS_{name.upper()}", "https://issuer.example")
    secrets = [
        name
        for name, each in settings.model_fields.items()
        if SecretStr in {each.annotation, *get_args(each.annotation)}
    ]
    for name in secrets:
        monkeypatch.setenv(f"MODELBUS_{name.upper()}_FILE", str(tmp_path / "secret"))

    read = settings()

    assert len(secrets) >= 2
    assert {getattr(read, name).get_secret_value() for name in secrets} == {SECRET}


def test_a_secret_that_is_told_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELBUS_NATS_PASSWORD", "one")
    monkeypatch.setenv("MODELBUS_NATS_PASSWORD_FILE", str(tmp_path))

    with pytest.raises(ValueError, match="MODELBUS_NATS_PASSWORD and MODELBUS_NATS_PASSWORD_FILE are both set"):
        BusSettings()


def test_a_file_that_is_missing_is_one_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELBUS_NATS_PASSWORD_FILE", "/nowhere")
    monkeypatch.setattr("sys.argv", ["program", "serve"])

    def serve() -> None:
        BusSettings()

    assert entry.run("program", serve=serve) == entry.EXIT_SETTINGS
    assert "MODELBUS_NATS_PASSWORD_FILE: /nowhere can't be read" in capsys.readouterr().err


def test_a_user_without_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="MODELBUS_NATS_USER and MODELBUS_NATS_PASSWORD go together"):
        BusSettings(nats_user="sync").access()


@pytest.mark.parametrize("url", ["ws://one:80", "nats://one:4222,wss://two:443"])
def test_a_websocket_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="MODELBUS_NATS_URL: must begin with nats:// or tls://"):
        BusSettings(nats_url=url).access()


def test_credentials_of_the_url_do_not_stay_in_it() -> None:
    access = BusSettings(nats_url="nats://sync:p%40ss@one:4222,nats://sync:p%40ss@two:4222").access()

    assert access.servers == ("nats://one:4222", "nats://two:4222")
    assert (access.user, access.password) == ("sync", "p@ss")


@pytest.mark.parametrize("password", ["sl/ash", "1/2", "qu?estion", "ha#sh", "com,ma", "[bracket", "\u2100"])
def test_a_password_that_no_url_can_hold_is_refused_and_not_repeated(
    password: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELBUS_NATS_URL", f"nats://sync:{password}@one:4222")
    monkeypatch.setattr("sys.argv", ["program", "serve"])

    def serve() -> None:
        BusSettings().access()

    assert entry.run("program", serve=serve) == entry.EXIT_SETTINGS
    said = capsys.readouterr().err
    assert "MODELBUS_NATS_URL: must be nats://host:port" in said
    assert password not in said
    assert password not in repr(BusSettings())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"nats_key_file": "key.pem"}, "set MODELBUS_NATS_CERT_FILE too"),
        ({"nats_cert_file": "cert.pem"}, r"MODELBUS_NATS_CERT_FILE: cert\.pem is no certificate with its key"),
    ],
)
def test_half_a_certificate_is_refused_by_name(given: dict[str, Path], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        BusSettings.model_validate(given).access().tls.context()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: each.__module__)
def test_what_is_called_like_a_secret_is_one(settings: type[Environment]) -> None:
    secret = re.compile(r"(password|passwords|secret|token|keys|superuser_url|database_url|nats_url)$")
    for name, field in settings.model_fields.items():
        if secret.search(name):
            assert SecretStr in {field.annotation, *get_args(field.annotation)}, name


def test_a_file_of_authorities_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(ValueError, match=r"MODELBUS_NATS_CA_FILE: .*ca\.pem"):
        BusSettings(nats_ca_file=tmp_path / "ca.pem").access().tls.context()
