"""Where faults happen: one system is kept for all of them that happen on as many NATS nodes."""

from contextlib import AsyncExitStack
from pathlib import Path

from faults.ledger import Ledger, keeping_ledger
from faults.rig import Rig, rig


class Stage:
    """A rig and its ledger, started when they are first needed."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._nodes = 0

    async def on(self, nodes: int) -> tuple[Rig, Ledger]:
        """Answer those on so many nodes; others are stopped first."""
        if nodes != self._nodes:
            await self._stack.aclose()
            self._rig = await self._stack.enter_async_context(rig(self._directory, nodes=nodes))
            self._ledger = await self._stack.enter_async_context(keeping_ledger(self._rig))
            self._nodes = nodes
            await self._rig.all_ready()
        return self._rig, self._ledger
