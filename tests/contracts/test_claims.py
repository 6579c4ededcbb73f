"""What a gateway may rely on of the node's tables of what was counted, real or fake."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.ports import ClaimRoom
from serving.stores.claim_table import ClaimTables
from tests.fakes.claims import MemoryRoom

numbers = st.integers(0, 2**64 - 1)


@pytest.fixture(params=["memory", "fake"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> ClaimRoom:
    return ClaimTables(tmp_path / "claims") if request.param == "memory" else MemoryRoom()


def test_a_number_is_claimed_once_in_a_window(room: ClaimRoom) -> None:
    claims = room.open("digits-1.1.0-1.0", 5.0)

    claimed = [claims.claim(number, window) for number, window in ((7, 0), (7, 0), (8, 0), (7, 1), (7, 1))]

    assert claimed == [True, False, True, True, False]
    claims.close()


def test_who_opens_the_same_name_sees_what_others_claimed_and_when_it_was_made(room: ClaimRoom) -> None:
    first, second = room.open("a", 5.0), room.open("a", 9.0)

    assert first.claim(2**64 - 1, 3)

    assert not second.claim(2**64 - 1, 3)
    assert (first.opened, second.opened) == (5.0, 5.0)
    first.close()
    second.close()


def test_tables_of_other_names_are_others(room: ClaimRoom) -> None:
    one, other = room.open("a", 0.0), room.open("b", 0.0)

    assert one.claim(7, 0)
    assert other.claim(7, 0)
    one.close()
    other.close()


def test_what_is_not_kept_is_forgotten(room: ClaimRoom) -> None:
    for name in ("a", "b"):
        claims = room.open(name, 0.0)
        claims.claim(7, 0)
        claims.close()

    room.keep({"b"})

    again, kept = room.open("a", 1.0), room.open("b", 1.0)
    assert (again.claim(7, 0), kept.claim(7, 0)) == (True, False)
    again.close()
    kept.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(numbers, st.integers(0, 70_000)), max_size=60))
def test_nothing_is_ever_claimed_twice(room: ClaimRoom, wanted: list[tuple[int, int]]) -> None:
    room.keep(())
    claims = room.open("a", 0.0)

    got = [one for one in wanted if claims.claim(*one)]

    assert len(got) == len(set(got))
    claims.close()
