"""A backup of PostgreSQL as its own program makes it, put in place of the data as after a lost disk."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psutil

from modelbus.launcher.account import unprivileged_account
from modelbus.launcher.binaries import postgres_programs, programs_for


@dataclass(frozen=True)
class Backup:
    """A copy of a cluster at one moment."""

    place: Path

    @classmethod
    def of(cls, home: Path, url: str) -> Self:
        """Copy the cluster while it serves."""
        place, account, server = (home / "postgres").resolve(), unprivileged_account(), urlsplit(url)
        backup = place / "backup"
        shutil.rmtree(backup, ignore_errors=True)
        backup.mkdir(mode=0o700)
        if account:
            account.own(backup)
        program = programs_for(account, postgres_programs(), place) / "pg_basebackup"
        where = ["-h", str(server.hostname), "-p", str(server.port), "-U", str(server.username)]
        subprocess.run(
            [program, "-D", backup, "-X", "stream", "-c", "fast", "--no-sync", *where],
            env={**os.environ, "PGPASSWORD": server.password or ""},
            cwd="/",
            check=True,
            capture_output=True,
            **(account.identity if account else {}),
        )
        return cls(place)

    def put_in_place(self, pid: int) -> None:
        """Kill the server and replace its data; whoever watches it starts it again on the backup."""
        server = psutil.Process(pid)
        for each in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        lost = self.place / "lost"
        shutil.rmtree(lost, ignore_errors=True)
        (self.place / "data").rename(lost)
        (self.place / "backup").rename(self.place / "data")
