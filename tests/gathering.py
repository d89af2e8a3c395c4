"""How tests are gathered, by each worker all of them: what it costs there, and in which order they run."""

import gc
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

LONGEST = (
    "tests/faults/test_soak.py",
    "tests/router/test_soak.py",
    "tests/catalog/test_export.py",
    "tests/system/test_story.py",
    "tests/deployment/test_image.py",
    "tests/catalog/test_openapi.py",
    "tests/system/test_starting.py",
    "tests/system/test_rolling.py",
)
"""Files that take long go first, so that no worker is left alone with one of them in the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Let each worker begin to read the tests elsewhere, and find compiled what another has read.

    Every worker reads all tests, and rewriting what they assert is what takes longest.
    """
    sys.dont_write_bytecode = False
    if worker := getattr(config, "workerinput", None):
        folders = [folder for given in config.args for folder in _folders(given)]
        first = len(folders) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        config.args = [*folders[first:], *folders[:first]]


def _folders(given: str) -> list[str]:
    """Answer the folders of all tests in place of them."""
    whole = Path(__file__).parent
    if Path(given).resolve() != whole:
        return [given]
    return sorted({str(each.parent) for each in whole.glob("*/test_*.py")})


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is imported and collected: it stays, and looking takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others are in the order of their names, wherever reading began."""
    places = {file: number for number, file in enumerate(LONGEST)}
    files = [item.nodeid.partition("::")[0] for item in items]
    order = {item: (places.get(file, len(LONGEST)), file) for item, file in zip(items, files, strict=True)}
    items.sort(key=order.__getitem__)
