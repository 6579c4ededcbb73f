"""P4 and P14: under a steady load the store goes away and comes back, and what must hold is measured, cycle after cycle.

One cycle: the newer version is put into production, the store is hurt, a change is tried and must be refused clearly, the family is
rolled back all the same by an override, the store is healed, a change must be accepted again soon, and the audit must know the override.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import httpx
from msgspec.structs import replace

from benchmarks.chaos import Figure
from tests.chaos.scenario import Stage
from tests.chaos.sites import Site
from tests.chaos.stamped import FAMILY, VERSIONS
from tests.e2e.installation import Installation
from tests.e2e.load import Load, LoadReport
from tests.e2e.waiting import wait_for

OLD, NEW = VERSIONS
RATE = 200
BODIES = [{"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [number]}]} for number in range(50)]
PATH = f"/v2/models/{FAMILY}/infer"
REFUSED = 503
LONGEST_REFUSAL_S = 10.0
RECOVERY_S = 2.0
ROLLBACK_S = 1.0
HEALED_S = 60.0
BUSY = 5


Hurt = TypeVar("Hurt", bound=Site)


@dataclass(frozen=True, slots=True)
class Outage(Generic[Hurt]):
    """One way for the store to go away. `hurt` hurts it for the time of its block; `is_older` when an operator must re-seed it then."""

    name: str
    hurt: Callable[[Hurt], AbstractContextManager[None]]
    lasts_s: float = 1.0
    is_older: bool = False


@dataclass(slots=True)
class Seen:
    """What the cycles showed; seconds."""

    refusals: list[float] = field(default_factory=list[float])
    accepted: int = 0
    """Changes that went through while the store was away."""
    unclear: list[str] = field(default_factory=list[str])
    """Refusals without the status, or without what whoever is refused can do."""
    recoveries: list[float] = field(default_factory=list[float])
    rollbacks: list[float] = field(default_factory=list[float])
    """From the order, which is a file, to the last request that the rolled back version answered."""
    typed: list[float] = field(default_factory=list[float])
    """The same from the start of the command, which takes an interpreter's start to give the order."""
    unaudited: int = 0
    """Overrides that the audit never heard of."""


def endure(outage: Outage[Hurt], site: Hurt, stage: Stage, cycles: int) -> list[Figure]:
    """Go through so many cycles under load, and give the figures."""
    seen, installation = Seen(), site.installation
    with Load(installation.port, PATH, BODIES, rate=RATE) as load:
        load.wait_answered(RATE)
        for _ in range(cycles):
            _cycle(outage, site, load, seen)
        report = load.finish()
    stage.notes.extend([*report.failures, *seen.unclear][:10])
    return _figures(seen, report, cycles)


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """The promises that were not kept, where the machine may be busy with something else: times may be longer then, counts may not."""
    patient = [replace(figure, at_most=figure.at_most * BUSY) if figure.unit == "s" and figure.at_most else figure for figure in figures]
    return [figure for figure in patient if not figure.holds]


def _cycle(outage: Outage[Hurt], site: Hurt, load: Load, seen: Seen) -> None:
    installation = site.installation
    site.promote(NEW)
    load.wait_gone(OLD)
    with outage.hurt(site):
        began = time.monotonic()
        _try_to_change(site, seen)
        operation = _roll_back(installation, load, seen)
        while time.monotonic() - began < outage.lasts_s:
            load.now()
    healed = time.monotonic()
    if outage.is_older:
        _try_to_change(site, seen)
        installation.do("store", "reseed", "--from", "snapshot", "--reason", "chaos")
        healed = time.monotonic()
    wait_for(lambda: _is_accepted(site), "a change is accepted again", seconds=HEALED_S)
    seen.recoveries.append(time.monotonic() - healed)
    wait_for(lambda: operation in _audited(installation), "the override is in the audit", seconds=HEALED_S)


def _roll_back(installation: Installation, load: Load, seen: Seen) -> str:
    typed = time.monotonic()
    document = installation.do("override", FAMILY, "--reason", "chaos")
    ordered = wait_for(lambda: _written_at(Path(document["file"])), "the order is found", seconds=HEALED_S)
    last = load.wait_gone(NEW)
    seen.typed.append(max(last - typed, 0.0))
    seen.rollbacks.append(max(last - ordered, 0.0))
    return str(document["operation_id"])


def _written_at(order: Path) -> float | None:
    """On the monotonic clock. A store that is back may have taken the order up already: the file is moved then, and keeps its time."""
    for place in (order, order.parent / "done" / order.name):
        with suppress(FileNotFoundError):
            return place.stat().st_mtime - time.time() + time.monotonic()
    return None


def _try_to_change(site: Site, seen: Seen) -> None:
    began = time.monotonic()
    answer = site.change("PUT", "tags/staging", {"version": OLD, "reason": "chaos"})
    seen.refusals.append(time.monotonic() - began)
    if answer.is_success:
        seen.accepted += 1
    elif answer.status_code != REFUSED or not _tells_what_to_do(answer):
        seen.unclear.append(f"{answer.status_code} {dict(answer.headers)} {answer.text}")


def _tells_what_to_do(answer: httpx.Response) -> bool:
    """Wait, and how long; or, where waiting does not help, what an operator must do."""
    return "retry-after" in answer.headers or "store reseed" in answer.json()["hint"]


def _is_accepted(site: Site) -> bool:
    return site.change("PUT", "tags/staging", {"version": OLD, "reason": "chaos"}).is_success


def _audited(installation: Installation) -> set[str]:
    return {str(entry["operation_id"]) for entry in installation.get(f"families/{FAMILY}/history?limit=10")["entries"]}


def _figures(seen: Seen, report: LoadReport, cycles: int) -> list[Figure]:
    return [
        Figure("failed inferences", report.failed + report.unanswered, at_most=0),
        Figure("inferences", report.answered),
        Figure("outages", cycles),
        Figure("changes accepted meanwhile", seen.accepted, at_most=0),
        Figure("refusals that do not say what to do", len(seen.unclear), at_most=0),
        Figure("slowest refusal", round(max(seen.refusals), 2), "s", at_most=LONGEST_REFUSAL_S),
        Figure("slowest recovery", round(max(seen.recoveries), 2), "s", at_most=RECOVERY_S),
        Figure("slowest rollback during it", round(max(seen.rollbacks), 3), "s", at_most=ROLLBACK_S),
        Figure("slowest rollback, from typing it", round(max(seen.typed), 2), "s"),
        Figure("inference p99", round(report.p99_ms, 1), "ms"),
    ]
