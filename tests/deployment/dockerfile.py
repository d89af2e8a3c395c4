"""The Dockerfile as its stages, and the steps of one run as plain commands in a directory of their own."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = "build"
MOVED = ("/opt/tools", "/opt/modelbus", "/build")
"""Directories of the image that a run on this machine has elsewhere."""


@dataclass(slots=True)
class Stage:
    """One FROM and what follows it."""

    image: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Answer what each instruction of a kind says."""
        return [said for kind, said in self.steps if kind == instruction]


def stages() -> list[Stage]:
    """Read them all; what stands before the first FROM is left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in text.replace("\\\n", " ").splitlines():
        kind, _, said = line.strip().partition(" ")
        if kind == "FROM":
            image, _, name = said.partition(" AS ")
            found.append(Stage(image, name or None))
        elif kind and found:
            found[-1].steps.append((kind, said.strip()))
    return found


class Building:
    """The stage that installs, run in a directory instead of an image."""

    def __init__(self, directory: Path, python: Path) -> None:
        self._directory = directory
        self._path = f"{python.parent}:/usr/bin:/bin"
        [stage] = [each for each in stages() if each.name == BUILD]
        steps = stage.steps
        self._own = steps.index(("ARG", "SERVICE"))
        self._steps = steps
        (directory / "build").mkdir(parents=True)

    def install_dependencies(self) -> None:
        """Do what is the same for every part."""
        for kind, said in self._steps[: self._own]:
            self._do(kind, said, "", self._directory)

    def install(self, service: str) -> Path:
        """Do what is of one part; answer the environment that its image holds."""
        own = self._directory / service
        shutil.copytree(self._directory / "opt/modelbus", own / "opt/modelbus", symlinks=True, copy_function=os.link)
        for kind, said in self._steps[self._own + 1 :]:
            self._do(kind, said, service, own)
        return own / "opt/modelbus"

    def _do(self, kind: str, said: str, service: str, environment: Path) -> None:
        match kind:
            case "COPY":
                source, target = said.split()
                self._copy(ROOT / source, self._directory / "build" / target)
            case "RUN":
                moved = said
                for place in MOVED:
                    inside = environment if place == "/opt/modelbus" else self._directory
                    moved = re.sub(rf"(?<![\w.]){place}\b", f"{inside}{place}", moved)
                subprocess.run(
                    ["/bin/sh", "-c", moved],
                    cwd=self._directory / "build",
                    env={"PATH": self._path, "HOME": os.environ["HOME"], "SERVICE": service, **_indexes()},
                    check=True,
                )
            case "WORKDIR":
                assert said == "/build"
            case _:
                raise AssertionError(f"the test does not know how to run {kind} {said}")

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def _indexes() -> dict[str, str]:
    """Answer where packages come from on this machine, if its environment says so."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_"))}
