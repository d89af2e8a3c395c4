"""The aims of the data plane, each with what was measured and whether it is met."""

from collections.abc import Iterator, Mapping

from benchmarks.tables import judged

_OWN = frozenset({"router", "twin", "nginx", "provider alone"})
RECORDED_MS = {"LiteLLM 1.109": (15.0, 83), "Portkey 1.15": (1.65, 9), "TensorZero 2026.6": (0.34, 1.9)}
"""Processor time a request as it was measured once on such a machine, and how many times less ours shall take."""


def aims_of(figures: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str, str]]:
    """Answer what each aim is about, what was measured, and the verdict."""
    ours, alone = figures["router"], figures["provider alone"]
    cpu, peak = ours["small_cpu_ms"], ours["small_per_s"]
    yield "requests/s", f"{peak:.0f}", judged("at least 5,500, aim 8,500", is_met=peak >= 5_500)
    yield "processor ms a request", f"{cpu:.3f}", judged("at most 0.18, aim 0.115", is_met=cpu <= 0.18)
    for name, (theirs, times) in RECORDED_MS.items():
        ratio = theirs / cpu
        yield (
            f"against {name} (recorded, {theirs} ms)",
            f"{ratio:.1f} times less",
            judged(f"{times}", is_met=ratio >= times),
        )
    for name in sorted(figures.keys() - _OWN):
        theirs = figures[name]["small_cpu_ms"]
        yield f"against {name} (same run, {theirs:.3f} ms)", f"{theirs / cpu:.2f} times", "as it is"
    yield _within("16 KB prompt against a small one", ours["large_cpu_ms"] / cpu, 1.3)
    if nginx := figures.get("nginx"):
        yield _within("processor time against nginx", cpu / nginx["small_cpu_ms"], 7)
        yield _within("32-chunk stream against nginx", ours["stream_cpu_ms"] / nginx["stream_cpu_ms"], 2)
    else:
        yield "against nginx", "not installed", "not measured"
    for share, most in (("p50", 0.5), ("p99", 2.0)):
        added = ours[f"paced_{share}_ms"] - alone[f"paced_{share}_ms"]
        yield f"added at 200/s, {share}", f"{added:.2f} ms", judged(f"at most {most} ms", is_met=added <= most)
    failed, grown = ours["open_streams_failed"], ours["after_streams_mb"] - ours["busy_mb"]
    yield "1,000 open streams, failed", f"{failed:.0f}", judged("none", is_met=not failed)
    yield "memory that stays after them", f"{grown:.0f} MB", judged("flat, within 20 MB", is_met=grown <= 20)
    for about, name, most in (
        ("memory idle", "idle_mb", 90),
        ("memory after 100,000 requests", "busy_mb", 120),
        ("memory of 100,000 sources", "sources_mb", 250),
    ):
        yield about, f"{ours[name]:.0f} MB", judged(f"at most {most} MB", is_met=ours[name] <= most)
    times = ours["of_two"]
    yield "two workers, by processor time", f"{times:.2f} times", judged("1.9", is_met=times >= 1.9)


def _within(about: str, ratio: float, most: float) -> tuple[str, str, str]:
    return about, f"{ratio:.2f} times", judged(f"within {most:g}", is_met=ratio <= most)
