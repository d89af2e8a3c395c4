"""The commands of the documents: what stands in their blocks, run in order by one shell as a reader runs them."""

import asyncio
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN_S = 60
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"# => (.+)$", re.MULTILINE)
_REFUSED = re.compile(r"^HTTP (000|[45]\d\d)$", re.MULTILINE)

ORDER = (
    "docs/catalog.md",
    "docs/router.md",
    "README.md",
    "docs/integrity.md",
    "docs/sync.md",
    "docs/identity.md",
)
"""What comes before the README's story needs the model that goes in it; what comes after needs it gone."""
ELSEWHERE = {
    "make up ": "it is what starts the system that the others are run in, and these tests",
    "sh deploy/make-env.sh": "no container engine; tests/deployment runs the script and the containers' commands",
    "docker compose": "no container engine; tests/deployment reads the composition as Compose does",
    "kubectl create": "no cluster; tests/deployment renders the chart and validates it",
    "python -m modelbus.chassis nats-config": "a server of one's own; tests/chassis starts one with the file",
    "pg_dump --format": "the operator's programs; tests/catalog puts a database back by the same means",
    "python -m modelbus.chassis provision ": "the same",
    "printf '%s\\n' \"$PASSWORD\"": "the operator's database; tests/catalog makes the first admin by it",
    "MODELBUS_METADATA_FILES=": "a setting and no command; it names a server elsewhere",
    "pg_dump ": "it needs PostgreSQL's own programs; tests/catalog backs a database up by it",
    "python -m modelbus.chassis provision": "the same; tests/catalog puts the database back by it",
    "import asyncio, os": "they listen for ever; tests/contracts runs what events.md tells other teams",
    "from modelbus.contracts.catalog import": "a function; tests/contracts runs it with nothing but the contracts",
    "import asyncio, json, nats": "it listens for ever; test_story hears a model go by it",
}
"""Blocks that are not run here, by their beginning, and what holds them true instead."""

PRELUDE = """
set -e -o pipefail
curl() { command curl --show-error --write-out '%{stderr}HTTP %{http_code}\\n' "$@"; }
"""
"""A command that fails ends the run; of each request the status is told, which curl would swallow."""


@dataclass(frozen=True)
class Block:
    """A fenced block of commands or of a program."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Tell whether its commands are run as they are written."""
        return not self.text.startswith(tuple(ELSEWHERE))

    @property
    def shown(self) -> list[str]:
        """What the document says that the reader will see."""
        return _SHOWN.findall(self.text)


def blocks(document: str) -> list[Block]:
    """Read the blocks of a document, in order."""
    text = (ROOT / document).read_text()
    return [
        Block(document, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in _BLOCK.finditer(text)
    ]


def steps_of(document: str) -> list[Block]:
    """Answer the blocks to run; those of every document need what the first of the README defines."""
    first, *rest = (block for block in blocks("README.md") if block.is_run)
    own = rest if document == "README.md" else [block for block in blocks(document) if block.is_run]
    return [first, *own]


@dataclass(frozen=True)
class Outcome:
    """What came of a block."""

    output: str
    errors: str
    is_ended: bool
    """Whether each of its commands succeeded."""

    def unannounced(self, block: Block) -> set[str]:
        """Answer the refusals that the block does not say will come."""
        return {status for status in _REFUSED.findall(self.errors) if status not in block.text}


async def run(steps: list[Block], directory: Path) -> list[Outcome]:
    """Run the blocks in one shell, which stops at the first that fails."""
    script = directory / "script.sh"
    script.write_text(PRELUDE + "".join(_step(number, block, directory) for number, block in enumerate(steps)))
    shell = await asyncio.create_subprocess_exec("bash", script, cwd=directory)
    try:
        await asyncio.wait_for(shell.wait(), RUN_S)
    except TimeoutError:
        shell.kill()
        await shell.wait()
    return [_outcome(directory, number) for number in range(len(steps))]


def _step(number: int, block: Block, directory: Path) -> str:
    path = directory / f"{number}.{block.language}"
    path.write_text(block.text)
    # Sourced, so that functions and variables of a block are there in those that follow.
    command = f". ./{path.name}" if block.language == "sh" else f".venv/bin/python {path.name}"
    return f"{{ {command}\n}} >{number}.out 2>{number}.err\n: >{number}.ended\n"


def _outcome(directory: Path, number: int) -> Outcome:
    output, errors = (
        path.read_text() if path.exists() else "" for path in (directory / f"{number}.out", directory / f"{number}.err")
    )
    return Outcome(output, errors, (directory / f"{number}.ended").exists())


def reader_directory(directory: Path, home: Path) -> Path:
    """Make what a reader has before them: the checkout's environment, and where the running system is."""
    directory.mkdir()
    (directory / ".venv").symlink_to(Path(sys.prefix))
    (directory / ".modelbus").symlink_to(home)
    return directory
