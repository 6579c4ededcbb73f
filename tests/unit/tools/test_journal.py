"""A journal gives back what was noted, up to the last whole event."""

from pathlib import Path

import pytest

from tests.tools.journal import Journal, events_in, history_of
from tests.tools.register import Flip, History, Lookup, Outcome, Read

FLIP = Flip("op-1", "digits", 0, "1.0.0", 1.0)
SETTLED = Flip("op-1", "digits", 0, "1.0.0", 1.0, 2.0, Outcome.COMMITTED, 1, 1)
READ = Read(1.0, 2.0, 1, {"digits": (1, "1.0.0")})
LOOKUP = Lookup("op-1", 2.0, 3.0, None)


def journal_of(path: Path, *events: Flip | Read | Lookup) -> Path:
    journal = Journal(path)
    for event in events:
        journal.note(event)
    journal.close()
    return path


def test_events_come_back_as_they_were_noted(tmp_path: Path) -> None:
    path = journal_of(tmp_path / "w.journal", FLIP, READ, LOOKUP, SETTLED)

    assert list(events_in(path)) == [FLIP, READ, LOOKUP, SETTLED]


def test_the_next_life_of_a_writer_goes_on_behind_what_is_there(tmp_path: Path) -> None:
    path = journal_of(tmp_path / "w.journal", FLIP)

    journal_of(path, READ)

    assert list(events_in(path)) == [FLIP, READ]


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_half_an_event_at_the_end_is_none(tmp_path: Path, lost: int) -> None:
    path = journal_of(tmp_path / "w.journal", READ, FLIP)

    path.write_bytes(path.read_bytes()[:-lost])

    assert list(events_in(path)) == [READ]


def test_the_last_note_of_a_flip_counts() -> None:
    assert history_of([FLIP, READ, SETTLED, LOOKUP]) == History([SETTLED], [READ], [LOOKUP])
