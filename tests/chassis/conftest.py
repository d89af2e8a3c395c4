"""The smallest service there is, with nothing but an outbox and parked messages, and whom it believes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from chassis.certificates import CA_FILE, certificate
from modelbus.catalog.store.tables import outbox, parking
from modelbus.chassis.database import Database
from servers import FreshDatabase


@pytest.fixture
async def catalog_database(database: FreshDatabase) -> AsyncIterator[Database]:
    """The catalog's database with its outbox, without the catalog."""
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    parking.keep_in(opened)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / CA_FILE)
    return tmp_path / CA_FILE


@pytest.fixture
def foreign_ca_file(tmp_path: Path) -> Path:
    trustme.CA().cert_pem.write_to_path(tmp_path / "foreign.pem")
    return tmp_path / "foreign.pem"


@pytest.fixture
def shown(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """Settings by which we show a certificate that the authority has signed."""
    return certificate(authority, "sync", tmp_path)
