"""Programs of other teams, as the documents have them, run as processes of their own."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

EVENTS = Path(__file__).parents[1] / "docs" / "events.md"
PATIENCE_S = 30


def program(containing: str) -> str:
    """Answer the one program of the page on events that contains these words."""
    [found] = [each for each in re.findall(r"```python\n(.*?)```", EVENTS.read_text(), re.DOTALL) if containing in each]
    return str(found)


class Saying:
    """A process that says what it hears, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        """Wait for the next line."""
        assert self._process.stdout is not None
        said = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE_S)
        assert said, "it ended"
        return said.decode().rstrip("\n")

    async def lines(self, count: int) -> list[str]:
        """Wait for so many."""
        return [await self.line() for _ in range(count)]

    async def until(self, wanted: str) -> None:
        """Wait for a line."""
        while await self.line() != wanted:
            pass


@asynccontextmanager
async def saying(*command: str | Path, **environment: str) -> AsyncIterator[Saying]:
    """Run a program until the block ends; then it is killed, as programs are."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Saying(process)
    finally:
        process.kill()
        await process.communicate()
