"""What a test tells of its run by `record_property`: beside its failure, and at the end of a green run as well.

A worker's own output goes nowhere, so it comes with its reports. Of what was told under one name the last counts.
"""

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what was told into each failure, one by running out of time among them."""
    report = yield
    if report.failed:
        report.sections += told_by(report).items()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was told, whatever became of the test."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, what in told_by(report).items():
                terminalreporter.write_line(f"{name}: {what}")


def told_by(report: pytest.TestReport) -> dict[str, str]:
    """Answer by name what a test has told so far."""
    return {name: str(what) for name, what in report.user_properties}
