"""What gateways and admin API may rely on of the shelf between them, real or fake."""

from pathlib import Path

import pytest

from serving.ports import PairShelf
from serving.stores.pair_files import PairFiles
from tests.fakes.pairs import MemoryShelf


@pytest.fixture(params=["files", "fake"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> PairShelf:
    return PairFiles(tmp_path / "pairs") if request.param == "files" else MemoryShelf()


def test_nothing_was_kept_of_a_rollout_that_nobody_kept_anything_of(shelf: PairShelf) -> None:
    assert shelf.read("digits-1.1.0-1") == []


def test_what_gateways_put_there_is_read_by_their_names_each_ones_newest(shelf: PairShelf) -> None:
    shelf.put("digits-1.1.0-1", "node-2", b"[2]")
    shelf.put("digits-1.1.0-1", "node-1", b"[1]")
    shelf.put("digits-1.1.0-1", "node-1", b"[11]")

    assert shelf.read("digits-1.1.0-1") == [b"[11]", b"[2]"]


def test_rollouts_whose_names_begin_alike_are_told_apart(shelf: PairShelf) -> None:
    shelf.put("digits-1.1.0-1", "g", b"[1]")
    shelf.put("digits-1.1.0-12", "g", b"[2]")

    assert shelf.read("digits-1.1.0-1") == [b"[1]"]
