"""Where faults happen: one system is kept for all of them that happen on the same."""

from contextlib import AsyncExitStack
from pathlib import Path

from faults.ledger import Ledger, keeping_ledger
from faults.rig import Rig, Shape, rig


class Stage:
    """A rig and its ledger, started when they are first needed."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._shape: Shape | None = None

    async def on(self, shape: Shape) -> tuple[Rig, Ledger]:
        """Answer those of this shape; others are stopped first."""
        if shape != self._shape:
            await self._stack.aclose()
            self._rig = await self._stack.enter_async_context(rig(self._directory, shape))
            self._ledger = await self._stack.enter_async_context(keeping_ledger(self._rig))
            self._shape = shape
            await self._rig.all_ready()
        return self._rig, self._ledger
