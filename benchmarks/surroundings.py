"""The machine, and what else ran on it: numbers from a shared host mean little without."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Self

import psutil

from modelbus.launcher.binaries import nats_server, postgres_programs, postgres_version

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How busy the machine was with other work just before a measurement."""

    at: datetime
    load: float
    """Processes that could run, averaged over the last minute; our own of that minute are among them."""
    busy: float
    """Percent of all cores that others used."""
    stolen_s: float
    """Seconds that the host has kept from us since the machine's start."""

    @classmethod
    def observed(cls) -> Self:
        """Look around for a second, while nothing of ours runs."""
        busy = psutil.cpu_percent(LOOK_S)
        return cls(datetime.now(UTC), os.getloadavg()[0], busy, stolen_s())

    def told(self) -> str:
        """Say it, together with what the host kept from us since."""
        past_s = (datetime.now(UTC) - self.at).total_seconds() * (os.cpu_count() or 1)
        stolen = 100 * (stolen_s() - self.stolen_s) / past_s
        return (
            f"{self.at:%Y-%m-%d %H:%M} UTC; before it other work took {self.busy:.0f} % of the processor "
            f"(load average {self.load:.1f}), during it the host kept {stolen:.1f} % of it"
        )


def stolen_s() -> float:
    """Answer the steal time of all cores; zero where the system does not tell."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


@cache
def machine() -> str:
    """Name the machine and the versions that matter."""
    said = subprocess.run([str(nats_server()), "--version"], check=True, capture_output=True, text=True).stdout
    return (
        f"{os.cpu_count()} cores ({processor()}), {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, NATS {said.split()[-1].lstrip('v')}, "
        f"PostgreSQL {postgres_version(postgres_programs())}"
    )


def processor() -> str:
    """Answer the processor's name, as far as the system knows it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
