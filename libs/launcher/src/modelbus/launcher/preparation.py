"""What database and streams were last prepared by: where none of it has changed, a start need not do it again."""

import hashlib
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


def is_prepared(home: Home) -> bool:
    """Say whether the present code has prepared this home's database, and its streams and their users are there."""
    streams = list((home.nats / "jetstream").glob("*/streams/CATALOG"))
    return (
        bool(streams)
        and home.bus_users.exists()
        and home.prepared.exists()
        and home.prepared.read_text() == fingerprint()
    )


def fingerprint() -> str:
    """Digest the code of every step and every migration; by path, as importing it would cost a second."""
    digest = hashlib.sha256()
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
