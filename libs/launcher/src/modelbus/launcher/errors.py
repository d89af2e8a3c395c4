"""Why Modelbus does not start: one class, one sentence and one exit code for each reason."""

from pathlib import Path
from typing import ClassVar

FORGET = "`make reset` forgets all data and starts anew"


class LaunchError(Exception):
    """A reason that a person can act upon; its text is the whole message, its code the exit code."""

    exit_code: ClassVar[int] = 1
    log: Path | None = None
    """Whose last lines explain the reason."""
    log_offset: int = 0


class BadSettingError(LaunchError):
    """An environment variable says what can't be."""

    exit_code = 2


class HomeNotWritableError(LaunchError):
    """The directory for all data can't be made or written."""

    exit_code = 11

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(
            f"No permission to write {directory} ({reason}): change its owner, or set MODELBUS_HOME to another one."
        )


class ForeignHomeError(LaunchError):
    """The directory for all data is somebody else's: it holds other things, and was not made by Modelbus."""

    exit_code = 22

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"{directory} holds things that are not Modelbus's: set MODELBUS_HOME to a directory that is new or empty."
        )


class AlreadyRunningError(LaunchError):
    """Another launcher holds the lock of this home."""

    exit_code = 12

    def __init__(self, home: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"Modelbus runs already from {home} ({who}): stop it with Ctrl-C there, or set MODELBUS_HOME.")


class PortInUseError(LaunchError):
    """Somebody else listens where we want to."""

    exit_code = 13

    def __init__(self, name: str, port: int) -> None:
        super().__init__(
            f"Port {port} for {name} is in use by another program: stop that one, or set MODELBUS_{name.upper()}_PORT."
        )


class MissingProgramError(LaunchError):
    """The environment lacks a program, or it can't be run here."""

    exit_code = 14

    def __init__(self, program: str, reason: str) -> None:
        super().__init__(f"{program} can't be run ({reason}): remove .venv and run `make up`, which installs it again.")


class CorruptDatabaseError(LaunchError):
    """PostgreSQL's directory is not what PostgreSQL left there."""

    exit_code = 15

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(f"PostgreSQL's data in {directory} can't be used ({reason}): restore a backup, or {FORGET}.")


class CorruptStreamsError(LaunchError):
    """The JetStream store is not what NATS left there."""

    exit_code = 16

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(f"The JetStream store in {directory} can't be used ({reason}): restore a backup, or {FORGET}.")


class DiskFullError(LaunchError):
    """There is no room for what must be written."""

    exit_code = 17

    def __init__(self, directory: Path) -> None:
        super().__init__(f"The disk of {directory} is full: make room, or set MODELBUS_HOME to a directory elsewhere.")


class ProgramFailedError(LaunchError):
    """A program ended, or did not get ready, while it was being started."""

    exit_code = 18


class SeedFailedError(LaunchError):
    """The demonstration could not be set up; the next start tries again."""

    exit_code = 19


class AccountMissingError(LaunchError):
    """Root may not run PostgreSQL, and the account it should run as can't be used."""

    exit_code = 20


class LostSecretsError(LaunchError):
    """The passwords and keys to the data are gone."""

    exit_code = 21

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The secrets in {path} can't be used ({reason}): restore the file, or {FORGET}.")


class BackupFailedError(LaunchError):
    """A backup could not be written, or not be restored; nothing was changed."""

    exit_code = 23

    def __init__(self, reason: str) -> None:
        super().__init__(f"This can't be done: {reason}.")
