"""Keep the packages of a release beside the tests, as the one before: `make previous RELEASE=<tag or commit>`.

The same commit gives the same file, byte by byte.
"""

import io
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
SERVICES = ("catalog", "integrity", "router", "sync")
SERVING = ("libs/contracts/src", "libs/chassis/src", *(f"services/{name}/src" for name in SERVICES))


def main() -> None:
    commit = _git("rev-parse", "--short=7", f"{sys.argv[1]}^{{commit}}").decode().strip()
    for older in HERE.glob("*.tar.xz"):
        older.unlink()
    kept = HERE / f"modelbus-{commit}.tar.xz"
    kept.write_bytes(lzma.compress(_packed(_git("archive", commit, *SERVING)), preset=9 | lzma.PRESET_EXTREME))
    sys.stdout.write(f"{kept}: {kept.stat().st_size} bytes\n")


def _packed(sources: bytes) -> bytes:
    """Put what stands below each `src` into one place, without times and owners."""
    written = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(sources)) as read, tarfile.open(fileobj=written, mode="w") as kept:
        for member in sorted(read.getmembers(), key=lambda each: each.name):
            if member.isfile():
                name = PurePosixPath(*PurePosixPath(member.name).parts[3:])
                entry = tarfile.TarInfo(str(name))
                entry.size = member.size
                kept.addfile(entry, read.extractfile(member))
    return written.getvalue()


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=HERE.parents[2], check=True, capture_output=True).stdout


if __name__ == "__main__":
    main()
