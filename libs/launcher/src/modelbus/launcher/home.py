"""The directory under which everything lives, and the place of each thing in it."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from modelbus.launcher.account import Account
from modelbus.launcher.errors import DiskFullError, ForeignHomeError, HomeNotWritableError

NEEDED_BYTES = 256 * 1024 * 1024
"""Room for an empty database, its log of changes and the streams."""
ELSEWHERE = Path("/var/lib/modelbus")
"""For PostgreSQL's directory when root's home is closed to the account that runs it."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one installation."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the launcher; it contains its process id."""
        return self.path / "lock"

    @property
    def secrets(self) -> Path:
        """Tokens, keys and passwords."""
        return self.path / "secrets.json"

    @property
    def endpoints(self) -> Path:
        """Where everything is, while it runs."""
        return self.path / "endpoints.json"

    @property
    def nats(self) -> Path:
        """Configuration and streams of NATS."""
        return self.path / "nats"

    @property
    def bus_users(self) -> Path:
        """Who may do what on NATS; without passwords."""
        return self.nats / "users.conf"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's directory, or a link to it."""
        return self.path / "postgres"

    @property
    def seeded(self) -> Path:
        """There once the demonstration is set up; beside the data, so that both share one fate."""
        return self.postgres / "seeded.json"

    @property
    def prepared(self) -> Path:
        """What last prepared the database; beside the data, so that both share one fate."""
        return self.postgres / "prepared"

    @property
    def logs(self) -> Path:
        """A log per program."""
        return self.path / "logs"

    def log(self, name: str) -> Path:
        """The log of one program."""
        return self.logs / f"{name}.log"

    def state(self, name: str) -> Path:
        """What one service keeps outside the database."""
        return self.path / "state" / name

    def prepare(self) -> None:
        """Make the directories; raises ForeignHomeError, HomeNotWritableError or DiskFullError."""
        self.refuse_foreign()
        try:
            self._make()
        except OSError as error:
            raise HomeNotWritableError(self.path, error.strerror or str(error)) from error
        if shutil.disk_usage(self.path).free < NEEDED_BYTES:
            raise DiskFullError(self.path)

    def place_postgres(self, account: Account | None) -> Path:
        """Return PostgreSQL's directory; somewhere else, with a link to it, if the account can't enter this home."""
        if self.postgres.is_symlink():
            place = self.postgres.readlink()
        elif account is None or self.postgres.is_dir() or account.can_enter(self.path):
            place = self.postgres
        else:
            place = self._elsewhere() / "postgres"
            self.postgres.symlink_to(place)
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        return place

    def forget(self) -> None:
        """Remove everything that was ever made here, and nothing else: the directory may be of somebody's choosing."""
        if self.postgres.is_symlink() and self._elsewhere() in self.postgres.readlink().parents:
            shutil.rmtree(self._elsewhere(), ignore_errors=True)
            self.postgres.unlink()
        for directory in (self.postgres, self.nats, self.logs, self.path / "state"):
            if directory.is_dir() and not directory.is_symlink():
                shutil.rmtree(directory)
        for file in (self.secrets, self.endpoints, self.lock, self._marker):
            file.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def refuse_foreign(self) -> None:
        """Raise ForeignHomeError where the directory holds things, but nothing that says they are ours."""
        is_ours = self._marker.exists() or self.secrets.exists()
        if not is_ours and self.path.is_dir() and any(each != self.lock for each in self.path.iterdir()):
            raise ForeignHomeError(self.path)

    @property
    def _marker(self) -> Path:
        return self.path / ".modelbus-home"

    def _make(self) -> None:
        if not self.path.exists():
            self.path.mkdir(parents=True)
            # Root lends PostgreSQL another account, which must be able to pass.
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._marker.touch()
        for directory in (self.logs, self.nats, self.path / "state"):
            directory.mkdir(mode=0o700, exist_ok=True)
        probe = self.path / ".probe"
        probe.touch()
        probe.unlink()

    def _elsewhere(self) -> Path:
        return ELSEWHERE / hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
