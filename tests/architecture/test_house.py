"""The rules of the house that no linter knows; CONTRIBUTING says why they are there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")])
SERVICES = ("catalog", "sync", "router", "integrity")
LONGEST_MODULE = 330
DRAWERS = {"utils", "helpers", "common", "core", "manager", "data", "info", "process", "misc"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text())


def is_in(path: Path, room: str) -> bool:
    return room in path.parts


def test_every_module_says_in_one_sentence_what_it_is() -> None:
    silent = [name(path) for path, tree in trees() if not ast.get_docstring(tree)]

    assert silent == []


def test_no_module_is_longer_than_one_reads() -> None:
    long = {
        name(path): lines
        for path in SOURCES
        if "versions" not in path.parts and (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }

    assert long == {}


def test_no_module_is_named_like_a_drawer() -> None:
    assert [name(path) for path in SOURCES if path.stem in DRAWERS] == []


def test_the_store_never_commits() -> None:
    stores = [path for path in SOURCES if is_in(path, "store")]

    assert stores
    assert [name(path) for path in stores if re.search(r"\.(commit|rollback)\(", path.read_text())] == []


def test_business_events_leave_through_the_outbox_of_an_action() -> None:
    allowed = {"libs/chassis/src/modelbus/chassis/relay.py"}  # it begins an epoch, which nobody else can know
    call = re.compile(r"await (outbox\.)?record\(session")
    telling = [name(path) for path in SOURCES if call.search(path.read_text())]

    assert telling
    assert {path for path in telling if "/actions/" not in path} <= allowed


def test_an_http_exception_is_raised_at_the_door_alone() -> None:
    raising = [name(path) for path in SOURCES if "raise HTTPException" in path.read_text()]

    assert [path for path in raising if "/api/" not in path and "/chassis/" not in path] == []


def test_failures_are_caught_by_name_outside_the_chassis() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path, tree in trees()
        if not is_in(path, "chassis")
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node)
    ]

    assert found == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


def test_importing_a_module_does_nothing_but_define() -> None:
    calls = []
    for path, tree in trees():
        if path.name == "__main__.py":
            continue
        calls += [
            f"{name(path)}:{node.lineno}"
            for node in tree.body
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _is_harmless(node.value)
        ]

    assert calls == []


def _is_harmless(call: ast.Call) -> bool:
    """Tables and their indexes register themselves with their metadata: that is defining them."""
    return ast.unparse(call.func) in {"sa.Index", "Index", "unique_while_it_lives", "_unique_while_it_lives", "Parking"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_front_rooms(service: str) -> None:
    home = ROOT / "services" / service / "src" / "modelbus" / service

    assert {"__init__.py", "__main__.py", "app.py", "settings.py"} <= {path.name for path in home.iterdir()}
    assert (ROOT / "services" / service / "pyproject.toml").exists()


def test_nothing_is_promised_for_later() -> None:
    word = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")

    assert [name(path) for path in SOURCES if word.search(path.read_text())] == []


def test_tests_have_no_package_and_do_not_sleep() -> None:
    tests = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path.name != "sleepers.py"]
    sleeping = re.compile(r"sleep\((0\.[1-9]|[1-9])")

    assert [name(path) for path in tests if path.name == "__init__.py"] == []
    assert [name(path) for path in tests if sleeping.search(path.read_text())] == []


def test_the_shared_conftest_stays_short() -> None:
    assert len((ROOT / "tests" / "conftest.py").read_text().splitlines()) < 100
