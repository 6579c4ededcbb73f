"""A short storm over each store; `make chaos` has the long ones. What writers see and what the store holds fit one order of events."""

from pathlib import Path
from random import Random

from tests.chaos.mishaps import KILLED_WRITER, busy_lock
from tests.chaos.storm import Storm, weather
from tests.e2e.load import Record

FLIPS = 1_500


async def test_sqlite_keeps_its_promises_while_writers_die_and_the_file_is_locked(tmp_path: Path, record_property: Record) -> None:
    path, seed = tmp_path / "state.db", Random().getrandbits(32)
    record_property("seed", seed)
    storm = Storm(f"sqlite:{path}", f"sqlite:{path}", FLIPS, [KILLED_WRITER, busy_lock(path)], writers=4, families=4, calm_s=0.2)

    report = await weather(storm, tmp_path, seed)

    assert report.violations == []
    assert report.flips + report.unknown >= FLIPS
    assert report.refused > 0
    assert report.mishaps
