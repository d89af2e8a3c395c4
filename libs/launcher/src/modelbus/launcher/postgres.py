"""The PostgreSQL server, on the loopback interface and with passwords."""

import contextlib
import secrets
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from modelbus.launcher.account import Account, unprivileged_account
from modelbus.launcher.binaries import postgres_programs, postgres_version, programs_for
from modelbus.launcher.errors import (
    AccountMissingError,
    CorruptDatabaseError,
    DiskFullError,
    LaunchError,
    PortInUseError,
)
from modelbus.launcher.ports import LOOPBACK, free_port
from modelbus.launcher.program import Program, Step, wait_ready

SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "400"}
"""For tests alone: a crash of the machine loses everything, a crash of the server nothing; connections are kept."""
READY_LINE = 7
"""Of postmaster.pid, counted from zero: the state that `pg_ctl` waits for."""
REMAINS_S = 10.0

RunStep = Callable[[Step], None]


def run_step(step: Step) -> None:
    """Run a step to its end."""
    step.start()
    wait_ready([step], within_s=120)


class PostgresServer(Program):
    """A PostgreSQL server whose cluster lives in one directory that it may enter."""

    stop_signal = signal.SIGINT  # "fast": sessions are ended, everything is written

    def __init__(
        self, directory: Path, port: int, password: str, *, log: Path | None = None, fast: bool = False
    ) -> None:
        super().__init__("postgres", log or directory / "postgres.log")
        self.directory = directory
        self.port = port
        self.password = password
        self.fast = fast
        self._programs: Path | None = None
        self._account: Account | None = None

    @property
    def data(self) -> Path:
        """The cluster itself; it is there only once it is complete."""
        return self.directory / "data"

    @property
    def url(self) -> str:
        """The superuser's way in."""
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/postgres"

    def account(self) -> Account | None:
        """Who runs it: an account without privileges if we are root."""
        return self._account

    def prepare(self, run: RunStep = run_step) -> None:
        """Choose the account, make the programs readable for it, and create the cluster or look at the one there."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._account = self._choose_account()
        if self._account and not self._account.can_enter(self.directory):
            raise AccountMissingError(
                f"PostgreSQL must not run as root, and user {self._account.uid} may not enter {self.directory}: "
                "set MODELBUS_HOME to a directory that others may enter."
            )
        self._programs = programs_for(self._account, postgres_programs(), self.directory)
        if self.data.exists():
            self._examine()
            self.clear_remains()
        else:
            self._create(run)

    def command(self) -> list[str]:
        """Name the program and its settings."""
        settings = SETTINGS | {"port": str(self.port)} | (FAST_SETTINGS if self.fast else {})
        arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self.data), *arguments]

    def is_ready(self) -> bool:
        """Read what the server says of itself, as `pg_ctl` does."""
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) > READY_LINE and lines[0] == str(self.pid) and lines[READY_LINE].strip() == "ready"

    def clear_remains(self) -> None:
        """End the processes of a server that was killed: they hold its memory, and a new one would refuse to start."""
        remains = [process for process in psutil.process_iter(["name"]) if self._works_here(process)]
        for process in remains:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
        for process in psutil.wait_procs(remains, timeout=REMAINS_S)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._forget_dead_server()

    def failure(self) -> LaunchError:
        """Tell a taken port and a full disk from data that can't be used."""
        said = self.said()
        if "Address already in use" in said:
            return PortInUseError("postgres", self.port)
        if "No space left on device" in said:
            return DiskFullError(self.directory)
        fatal = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
        reason = fatal[-1].split(":  ")[-1] if fatal else "the server does not start with it"
        return CorruptDatabaseError(self.data, reason)

    def _choose_account(self) -> Account | None:
        account = unprivileged_account()
        if account is None or not self.data.exists():
            return account
        owner = self.data.stat()
        # Made by an ordinary user before root came along: it stays his.
        return Account(owner.st_uid, owner.st_gid) if owner.st_uid else account

    def _create(self, run: RunStep) -> None:
        unfinished, password_file = self.directory / "data.unfinished", self.directory / "password"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if self._account:
            self._account.own(unfinished)
            self._account.own(password_file)
        try:
            run(Step("initdb", self.log, self._initdb(unfinished, password_file), account=self._account))
        finally:
            password_file.unlink()
        # Only a whole cluster gets the name, so that a start cut short is not taken for a corrupt one.
        unfinished.rename(self.data)

    def _initdb(self, directory: Path, password_file: Path) -> list[str]:
        options = [f"--username={SUPERUSER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--locale=C", "--no-instructions", *(["--no-sync"] if self.fast else [])]
        return [self._program("initdb"), "-D", str(directory), *options]

    def _examine(self) -> None:
        version_file = self.data / "PG_VERSION"
        if not version_file.is_file() or not (self.data / "global" / "pg_control").is_file():
            raise CorruptDatabaseError(self.data, "it lacks PG_VERSION or global/pg_control")
        made_by, ours = version_file.read_text().strip(), postgres_version(postgres_programs()).split(".")[0]
        if made_by != ours:
            raise CorruptDatabaseError(self.data, f"it was made by PostgreSQL {made_by[:10]}, and this is {ours}")

    def _forget_dead_server(self) -> None:
        # After a reboot the noted process id may be another program's, which PostgreSQL would take for a server.
        with contextlib.suppress(OSError, ValueError, IndexError):
            noted = int(self._pid_file.read_text().splitlines()[0])
            if not psutil.pid_exists(noted) or not self._works_here(psutil.Process(noted)):
                self._pid_file.unlink()

    def _works_here(self, process: psutil.Process) -> bool:
        try:
            return process.name().startswith("postgres") and Path(process.cwd()) == self.data.resolve()
        except psutil.Error:
            return False

    def _program(self, name: str) -> str:
        return str((self._programs or postgres_programs()) / name)

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"


def start_postgres(
    directory: Path, port: int = 0, *, fast: bool = False, password: str | None = None
) -> PostgresServer:
    """Start a server and wait until it is ready; port 0 takes a free one, kept at a restart.

    A directory that an earlier process has made opens with the password it was made with.
    """
    server = PostgresServer(directory, port or free_port(), password or secrets.token_hex(16), fast=fast)
    server.prepare()
    server.start()
    wait_ready([server], within_s=30)
    return server
