"""No changed byte of what was published is handed out, whatever is done to registry and cache."""

from pathlib import Path
from random import Random

import pytest

from tests.chaos.mutating import DEEDS, WAYS, Shelf, play_mutations


def test_random_mutations_are_refused_or_put_right(tmp_path: Path) -> None:
    notes: list[str] = []

    outcomes = play_mutations(tmp_path, Random(16), 150, notes)

    assert notes == []
    assert outcomes["refused"] > 20
    assert outcomes["intact"] > 20


@pytest.mark.parametrize("way", WAYS)
def test_a_forgery_that_vouches_for_itself_is_refused_by_who_has_seen_the_version(way: str, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)

    shelf.forge(WAYS[way], Random(1))

    assert shelf.outcome(is_cold=True, is_pinned=False) == "refused"
    assert shelf.outcome(is_cold=True, is_pinned=True) == "refused"
    assert shelf.outcome(is_cold=False, is_pinned=True) == "intact"


@pytest.mark.parametrize("seed", range(6))
def test_a_file_that_is_changed_after_it_was_verified_is_refused_even_if_it_is_back_before_anybody_looks(seed: int, tmp_path: Path) -> None:
    assert Shelf(tmp_path).late(WAYS["cut"], Random(seed)) == "refused"


def test_the_judge_sees_a_changed_byte_when_there_is_one(tmp_path: Path) -> None:
    """Else the scenario could not fail: what was published is compared with another version's bytes."""
    shelf = Shelf(tmp_path)
    shelf._original = {name: content + b"x" for name, content in shelf._original.items()}

    assert shelf.outcome(is_cold=True, is_pinned=True) == "LOADED"


def test_what_is_put_back_is_whole_again(tmp_path: Path) -> None:
    shelf, dice = Shelf(tmp_path), Random(3)
    for deed in DEEDS:
        deed(shelf, WAYS["cut"], dice)
        shelf.heal()

        assert shelf.outcome(is_cold=True, is_pinned=False) == "intact"
