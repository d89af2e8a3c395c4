"""Where the router's time goes, by py-spy: `PYSPY=/path/to/py-spy python benchmarks/profiling.py`.

py-spy is no dependency: install it into an environment of its own. It writes `benchmarks/profiles`.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

# Benchmarks are no package: both folders are found by their place.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.gateway_load import Burden, Load, closed_loop, streams  # noqa: E402 - found by the line above
from benchmarks.gateway_subjects import Subject, provider, router  # noqa: E402

PROFILES = Path(__file__).parent / "profiles"
SECONDS, RATE = 10, 100
_WARM_S, _STREAMS = 1.0, 64
_WORKER, _WORK = "_worker (concurrent/futures/thread.py", "_WorkItem.run (concurrent/futures/thread.py"
_MOST_SHOWN = 30

LOADS: dict[str, tuple[str, Callable[[Subject], Awaitable[Burden]]]] = {
    "small": ("64 connections, small requests", lambda subject: closed_loop(subject, Load(64), SECONDS + _WARM_S)),
    "streams": (
        "64 streams of 32 chunks, one each 5 ms",
        lambda subject: streams(subject, at_once=_STREAMS, rounds=60),
    ),
}


async def main() -> None:
    """Profile the router under each load, and write the functions that took most."""
    PROFILES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        async with provider(Path(directory)) as upstream, router(Path(directory), upstream) as subject:
            for name, (what, load) in LOADS.items():
                folded = Path(directory) / f"{name}.folded"
                bearing = asyncio.ensure_future(load(subject))
                await asyncio.sleep(_WARM_S)
                await _record(subject, folded)
                burden = await bearing
                text = _written(what, folded.read_text(encoding="utf-8"))
                (PROFILES / f"{name}.txt").write_text(text, encoding="utf-8")
                print(f"{name}: {burden.cpu_ms:.3f} ms of processor each\n{text}")


async def _record(subject: Subject, folded: Path) -> None:
    spy = os.environ.get("PYSPY", "py-spy")
    how = (
        "--native",
        "--format",
        "raw",
        "--function",
        "--duration",
        str(SECONDS),
        "--rate",
        str(RATE),
        "--output",
        str(folded),
    )
    process = await asyncio.create_subprocess_exec(spy, "record", "--pid", str(subject.pid), *how)
    if await process.wait():
        sys.exit("py-spy did not record; it may need the right to trace processes")


def _is_idle(frames: list[str]) -> bool:
    """Tell whether a thread of the pool waits for work, which py-spy does not see."""
    return any(frame.startswith(_WORKER) for frame in frames) and not any(frame.startswith(_WORK) for frame in frames)


def _written(what: str, folded: str) -> str:
    """Fold the stacks into functions: what each took itself, and with all that it called."""
    own, whole = Counter[str](), Counter[str]()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        # What the system's libraries do not name is told by whoever called it.
        frames = [frame for frame in stack.split(";") if not frame.startswith("0x")]
        if _is_idle(frames):
            continue
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    samples = own.total()
    lines = [f"{what}; {SECONDS} s at {RATE}/s by py-spy, {samples} samples", "", "  own  whole  function"]
    lines += [
        f"{count / samples:5.1%}  {whole[name] / samples:5.1%}  {name}" for name, count in own.most_common(_MOST_SHOWN)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    asyncio.run(main())
