"""What database and streams were last prepared by: where none of it has changed, a start need not do it again."""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from modelbus.launcher.home import Home
from modelbus.launcher.secrets import ROLES

STEPS = (
    "chassis/migrations.py",
    "chassis/nats_config.py",
    "chassis/provision.py",
    "chassis/topology.py",
)
MIGRATIONS = "store/migrations/versions/*.py"
SETTINGS = ("MODELBUS_NATS_REPLICAS", "MODELBUS_NATS_USAGE_BYTES")
"""What the steps do differently by."""


def is_prepared(home: Home, environment: Mapping[str, str]) -> bool:
    """Say whether present code and settings have prepared this home's database, and its streams and users are there."""
    streams = list((home.nats / "jetstream").glob("*/streams/CATALOG"))
    return (
        bool(streams)
        and home.bus_users.exists()
        and home.prepared.exists()
        and home.prepared.read_text() == fingerprint(environment)
    )


def fingerprint(environment: Mapping[str, str]) -> str:
    """Digest the settings and the code of every step and migration; by path, as importing it would cost a second."""
    digest = hashlib.sha256(repr([environment.get(name) for name in SETTINGS]).encode())
    for path in (*_steps(), *_migrations()):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _steps() -> list[Path]:
    # All of the contracts: any event of theirs may be on a stream, or be heard by a consumer.
    told = sorted(_package("contracts").glob("*.py"))
    return [*told, *(_package(step.partition("/")[0]) / step.partition("/")[2] for step in STEPS)]


def _migrations() -> list[Path]:
    return [path for role in ROLES for path in sorted(_package(role).glob(MIGRATIONS))]


def _package(name: str) -> Path:
    spec = find_spec(f"modelbus.{name}")
    assert spec is not None  # noqa: S101 - a workspace without its own packages can't be running this
    assert spec.origin is not None  # noqa: S101 - the same
    return Path(spec.origin).parent
