"""The outages of P4 and P14 over SQLite: every way in which its file was seen to go away."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from benchmarks.chaos import Figure
from tests.chaos.homes import locked
from tests.chaos.outage import Outage, endure
from tests.chaos.rollback import roll_back
from tests.chaos.scenario import Full, Scenario, Stage, needs_root
from tests.chaos.sites import Site, over_sqlite, over_sqlite_on_a_small_disk

PIECE = b"\0" * 4096


@contextmanager
def _locked(site: Site) -> Iterator[None]:
    with locked(site.state):
        yield


@contextmanager
def _renamed(site: Site) -> Iterator[None]:
    aside = site.state.with_suffix(".aside")
    site.state.rename(aside)
    yield
    aside.rename(site.state)


@contextmanager
def _disk_full(site: Site) -> Iterator[None]:
    filler = site.state.with_name("filler")
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(PIECE) == len(PIECE):
            pass
    yield
    filler.unlink()


FILE_LOCKED = Outage("SQLite file locked", _locked)
FILE_RENAMED = Outage("SQLite file renamed", _renamed)
DISK_FULL = Outage("SQLite disk full", _disk_full)


def _endured(kind: Outage[Site]) -> Scenario:
    def play(stage: Stage) -> Sequence[Figure]:
        return endure(kind, stage.scenery.of("SQLite", over_sqlite), stage, stage.size(Full.OUTAGES, 2))

    return Scenario("P4", kind.name, play)


def _endured_on_a_small_disk(stage: Stage) -> Sequence[Figure]:
    site = stage.scenery.of("SQLite on a small disk", over_sqlite_on_a_small_disk)
    return endure(DISK_FULL, site, stage, stage.size(Full.OUTAGES, 2))


def _rolled_back(stage: Stage) -> Sequence[Figure]:
    return roll_back(stage.scenery.of("SQLite", over_sqlite), stage, stage.size(Full.ROLLBACKS, 3))


OUTAGES = (
    Scenario("P14", "rollback over SQLite", _rolled_back),
    _endured(FILE_LOCKED),
    _endured(FILE_RENAMED),
    Scenario("P4", DISK_FULL.name, _endured_on_a_small_disk, needs_root),
)
