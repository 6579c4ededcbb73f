"""The storms of P1, as scenarios."""

import asyncio
from collections.abc import Sequence

from benchmarks.chaos import Figure
from tests.chaos.mishaps import KILLED_WRITER, busy_lock
from tests.chaos.scenario import Full, Scenario, Stage
from tests.chaos.storm import Storm, StormReport, weather

FEW_FLIPS = 2_000
LONG_LOCK_S = 6.0
"""Longer than a connection waits for a lock, so that writers are refused and not only late."""


def _over_sqlite(stage: Stage) -> Sequence[Figure]:
    path = stage.folder / "state.db"
    mishaps = [KILLED_WRITER, KILLED_WRITER, busy_lock(path), busy_lock(path), busy_lock(path, longest_s=0.05)]
    if not stage.is_quick:
        mishaps.append(busy_lock(path, longest_s=LONG_LOCK_S))
    location = f"sqlite:{path}"
    storm = Storm(location, location, stage.size(Full.STORM_FLIPS, FEW_FLIPS), mishaps)
    return figures_of(storm, asyncio.run(weather(storm, stage.folder, stage.seed)), stage)


def figures_of(storm: Storm, report: StormReport, stage: Stage) -> list[Figure]:
    """The figures of a storm."""
    stage.notes.extend(report.violations[:10])
    return [
        Figure("violations", len(report.violations), at_most=0),
        Figure("flips", report.flips, at_least=storm.flips - report.unknown),
        Figure("writers", report.writers, at_least=8),
        Figure("mishaps", sum(report.mishaps.values())),
        Figure("reads judged", report.reads),
        Figure("refused, for the truth", report.refused),
        Figure("of unknown outcome", report.unknown),
        Figure("flips acknowledged", round(report.flips_per_s), "1/s"),
    ]


STORMS = (Scenario("P1", "storm over SQLite", _over_sqlite),)
