"""A job of a service that fails fails the test that runs the service, and does not end the process of all tests."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from modelbus.chassis import service


def pytest_configure() -> None:
    """Hear what a service says to its process when a job of it has failed; who else ends us ends us."""

    def hear(number: int, _frame: Any) -> None:
        if not service.failed_jobs:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    signal.signal(signal.SIGTERM, hear)


@pytest.fixture(autouse=True)
def _no_job_fails() -> Iterator[None]:
    yield
    failed = service.failed_jobs.copy()
    service.failed_jobs.clear()
    if failed:
        pytest.fail(f"failed as a job, and would have ended the process (see what it logged): {', '.join(failed)}")
