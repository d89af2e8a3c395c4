"""Who runs PostgreSQL: it refuses root, so root lends it an account without privileges."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from modelbus.launcher.errors import AccountMissingError

NOBODY = 65534


class Identity(TypedDict, total=False):
    """The arguments by which `subprocess` starts a program as another user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group by number."""

    uid: int
    gid: int

    @property
    def identity(self) -> Identity:
        """What `subprocess` needs; without root's supplementary groups."""
        return Identity(user=self.uid, group=self.gid, extra_groups=[])

    def own(self, path: Path) -> None:
        """Make the path this account's."""
        os.chown(path, self.uid, self.gid)

    def can_run(self, *command: str) -> bool:
        """Try it for real: access lists and mounts decide as well as modes."""
        try:
            tried = subprocess.run(command, cwd="/", capture_output=True, check=False, **self.identity)
        except PermissionError as error:
            # The kernel refuses either the program, which is the question, or the change of user, which is not.
            if error.filename in {None, "/"}:
                raise AccountMissingError(
                    f"PostgreSQL must not run as root, and this root may not act as user {self.uid}: "
                    "run `make up` as an ordinary user."
                ) from error
            return False
        return tried.returncode == 0

    def can_enter(self, directory: Path) -> bool:
        """Say whether every directory on the way lets this account through."""
        return self.can_run("/bin/sh", "-c", 'cd "$1"', "sh", str(directory))


def unprivileged_account() -> Account | None:
    """Name the account for PostgreSQL if we are root; anybody else runs it himself."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(NOBODY, NOBODY)
    return Account(nobody.pw_uid, nobody.pw_gid)
