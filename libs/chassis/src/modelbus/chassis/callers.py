"""Who asks: a person with a role, another service, or the system's own work."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from uuid import UUID


class Role(StrEnum):
    """What a caller may do; each person's role may do all that the one before it may."""

    SYSTEM = "system"
    SERVICE = "service"
    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


_PERSONS = (Role.VIEWER, Role.EDITOR, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as logs, versions and the audit log name them."""

    name: str
    role: Role
    id: UUID | None = None
    """The user's, where there is one."""

    @property
    def is_person(self) -> bool:
        """Tell whether it is somebody who administers, by whatever token."""
        return self.role in _PERSONS

    def may(self, needed: Role) -> bool:
        """Tell whether the role is enough."""
        return self.role in _PERSONS and needed in _PERSONS and _PERSONS.index(self.role) >= _PERSONS.index(needed)

    @classmethod
    def system(cls, name: str) -> Self:
        """Name work that nobody asked for just now: a listing that arrives, the clock."""
        return cls(name=name, role=Role.SYSTEM)
