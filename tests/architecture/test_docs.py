"""What the documents say of the code is true."""

import importlib
import re
from pathlib import Path

import pytest

from modelbus.chassis.settings import ServiceSettings
from modelbus.contracts.bus import STREAMS
from modelbus.contracts.schemas import EVENTS
from modelbus.launcher.errors import LaunchError

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
SERVICES = ("catalog", "sync", "router", "integrity")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(place: str) -> str:
    return (ROOT / place).read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(), flags=re.MULTILINE))

    assert named <= targets


def test_every_event_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", text("docs/events.md"), flags=re.MULTILINE))

    assert explained == {event.type for event in EVENTS}


def test_every_stream_is_explained() -> None:
    explained = set(re.findall(r"^\| ([A-Z]+) \|", text("docs/events.md"), flags=re.MULTILINE))

    assert explained == {stream.name for stream in STREAMS} | {"ADVISORIES"}


def test_every_setting_is_explained_with_its_services() -> None:
    rows = re.findall(r"^\| `(MODELBUS_[A-Z_]+)` \| ([a-z, ]+) \|", text("docs/operations.md"), flags=re.MULTILINE)
    explained = {setting: set(SERVICES) if of == "all" else set(of.split(", ")) for setting, of in rows}
    real: dict[str, set[str]] = {}
    for service in SERVICES:
        settings = importlib.import_module(f"modelbus.{service}.settings").Settings
        assert issubclass(settings, ServiceSettings)
        for field in settings.model_fields:
            real.setdefault(f"MODELBUS_{field.upper()}", set()).add(service)

    assert explained == real


def test_exit_codes_are_explained() -> None:
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", text("docs/operations.md"), flags=re.MULTILINE)}

    assert explained == {kind.exit_code for kind in LaunchError.__subclasses__()} | {10}


def test_ports_are_explained() -> None:
    ports = dict(re.findall(r"^# (MODELBUS_[A-Z]+_PORT)=(\d+)", text(".env.example"), flags=re.MULTILINE))
    explained = re.findall(r"\| (\d+) \| `(MODELBUS_[A-Z]+_PORT)` \|", text("docs/operations.md"))

    assert {variable: port for port, variable in explained} == ports


def test_paths_in_the_readme_are_served() -> None:
    named = set(re.findall(r"\$(CATALOG|SYNC|INTEGRITY|ROUTER)(/[a-z0-9/_-]+)", text("README.md")))
    doors = {
        service: "\n".join(path.read_text() for path in (ROOT / "services" / service / "src").rglob("*.py"))
        for service in SERVICES
    }

    assert named
    for service, path in named:
        prefix = "/".join(path.split("/")[:4])
        assert prefix in doors[service.lower()], f"{service} {path}"


def test_the_readme_in_chinese_has_the_same_commands_parts_and_links() -> None:
    english, chinese = Readme(text("README.md")), Readme(text("README.zh-CN.md"))

    assert chinese.blocks == english.blocks
    assert chinese.headings == english.headings
    assert chinese.rows == english.rows
    assert chinese.links - {"README.md"} == english.links - {"README.zh-CN.md"}
    assert ("README.md" in chinese.links, "README.zh-CN.md" in english.links) == (True, True)


class Readme:
    """What of a document is the same in every language."""

    def __init__(self, whole: str) -> None:
        fenced = re.compile("^```.*?^```$", re.MULTILINE | re.DOTALL)
        prose = fenced.sub("", whole)
        self.blocks = fenced.findall(whole)
        self.headings = re.findall("^#+ ", prose, re.MULTILINE)
        self.rows = len(re.findall(r"^\|", prose, re.MULTILINE))
        self.links = set(re.findall(r"\]\(([^)]+)\)", prose))


def test_decisions_are_numbered_and_say_when_to_revisit() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))

    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        for part in ("**Decision.**", "**Why.**", "**Rejected.**", "**Revisit when**"):
            assert part in path.read_text(), f"{path.name} lacks {part}"


def test_nothing_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    forbidden = re.compile("pythonh" + "osted|pyp" + r"i\.org|npm" + r"js\.org|/(?:home|root|work)/[a-z.]")
    places = [*DOCUMENTS, ROOT / "requirements.lock", ROOT / "Makefile", ROOT / "pyproject.toml"]

    assert [name(path) for path in places if forbidden.search(path.read_text())] == []
