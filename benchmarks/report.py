"""What the benchmark leaves: a table for people, `latest.json` with the comparison, `extra.json` with all the rest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.figures import Name, Ratio, Result
from benchmarks.flips import FlipFigures
from benchmarks.machine import Machine
from benchmarks.mirror import MirrorReport
from benchmarks.rounds import Plan

LATEST, EXTRA = "latest.json", "extra.json"


class Extra(msgspec.Struct, frozen=True):
    """Everything beside the comparison itself. What was not measured is None."""

    machine: Machine
    plan: Plan
    peers: dict[str, str]
    ratios: list[Ratio]
    spread: dict[str, float]
    flip: FlipFigures | None
    mirror: MirrorReport | None
    invalid: list[str]


def results_json(results: Sequence[Result]) -> bytes:
    """The list of `latest.json`."""
    return _indented(results)


def write(folder: Path, results: Sequence[Result], extra: Extra) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LATEST).write_bytes(results_json(results))
    (folder / EXTRA).write_bytes(_indented(extra))


def _indented(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def spread_by_name(spread: Mapping[tuple[Name, int], float]) -> dict[str, float]:
    """The spread with keys that JSON can have."""
    return {f"{server}/{clients}": round(value, 3) for (server, clients), value in spread.items()}


def table(results: Sequence[Result], extra: Extra) -> str:
    """All figures as text."""
    parts = (
        _comparison(results, extra.spread),
        _ratios(extra.ratios),
        _flip(extra.flip),
        _mirror(extra.mirror),
        _invalid(extra.invalid),
    )
    sections = ["\n".join(lines) for part in parts if (lines := list(part))]
    return "\n\n".join([_heading(extra), *sections])


def _heading(extra: Extra) -> str:
    machine = extra.machine
    return (
        f"{machine.cores} cores ({machine.model_name}), Python {machine.python}, {machine.date}, load before: {machine.load_at_start}\n"
        f"medians of {extra.plan.rounds} rounds of {extra.plan.seconds} s"
    )


def _comparison(results: Sequence[Result], spread: Mapping[str, float]) -> Iterator[str]:
    if results:
        yield f"{'server':<12} {'clients':>7} {'requests/s':>11} {'spread':>7} {'p50 ms':>9} {'p99 ms':>9} {'MiB':>7}"
    for one in results:
        apart = spread.get(f"{one.server}/{one.clients}", 0.0)
        yield (
            f"{one.server:<12} {one.clients:>7} {one.rps:>11,.1f} {apart:>7.0%} {one.p50_ms:>9,.3f} {one.p99_ms:>9,.3f} {one.rss_mb:>7,.0f}"
        )


def _ratios(ratios: Sequence[Ratio]) -> Iterator[str]:
    known = [one for one in ratios if one.measured is not None]
    if known:
        yield f"{'pointsman against':<18} {'clients':>7} {'measured':>9} {'target':>8}"
    for one in known:
        target = one.target
        yield f"{target.peer:<18} {target.clients:>7} {one.measured:>8.2f}x {target.at_least:>7.2f}x  {_verdict(is_met=one.is_met)}"


def _flip(flip: FlipFigures | None) -> Iterator[str]:
    if flip is None:
        return
    yield f"flip, {flip.gateways} gateways, {flip.connections} connections, {flip.requests_per_s:,.0f} requests/s, {flip.flips} flips"
    met = _verdict(is_met=flip.p99_ms <= flip.target_p99_ms)
    yield f"  last old answer   p50 {flip.p50_ms:>7.1f} ms   p99 {flip.p99_ms:>7.1f} ms   (target {flip.target_p99_ms:.0f} ms)  {met}"
    yield f"  all gateways say  p50 {flip.acked_p50_ms:>7.1f} ms   p99 {flip.acked_p99_ms:>7.1f} ms"
    yield f"  failed requests   {flip.failed_requests}"


def _mirror(mirror: MirrorReport | None) -> Iterator[str]:
    known = [one for one in (mirror.figures if mirror else ()) if one.ratio is not None]
    if known:
        figures = f"{'alone/s':>10} {'mirrored/s':>11} {'ratio':>7} {'target':>7} {'p99 alone':>10} {'mirrored':>9}"
        yield f"{'100 % shadow':<12} {'clients':>7} {figures}"
    for one in known:
        met = _verdict(is_met=(one.ratio or 0.0) >= one.target)
        yield (
            f"{'':<12} {one.clients:>7} {one.rps_alone:>10,.0f} {one.rps_mirrored:>11,.0f} {one.ratio:>6.2f}x {one.target:>6.2f}x"
            f" {one.p99_alone_ms:>10.2f} {one.p99_mirrored_ms:>9.2f}  {met}"
        )


def _invalid(invalid: Sequence[str]) -> Iterator[str]:
    if invalid:
        yield "INVALID rounds, which count for nothing:"
    for sentence in invalid:
        yield f"  {sentence}"


def _verdict(*, is_met: bool) -> str:
    return "met" if is_met else "MISSED"
