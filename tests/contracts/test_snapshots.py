"""What every home of the kept snapshot promises, the fake included."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.versions import ModelVersion
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.traffic import End, Slice
from serving.ports import Kept, Snapshot, Snapshots
from serving.stores.snapshot_file import SnapshotFile
from tests.fakes.node import MemorySnapshots

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")


def record(revision: int = 3) -> FamilyRecord:
    canaries = (Canary(V2, Slice(End.LOW, 500)),)
    return FamilyRecord("digits", revision, {V1: "a" * 64, V2: "b" * 64}, V1, canaries=canaries, salt="digits@1.1.0")


def kept(epoch: int = 5, *, fence: int = 1, head: str = "e" * 64, endpoints: tuple[str, ...] = ("/run/a",)) -> Kept:
    return Kept(Snapshot(fence=fence, epoch=epoch, head=head, families={"digits": record(epoch)}), {"a" * 64: endpoints})


@pytest.fixture(params=["file", "fake"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Snapshots:
    return SnapshotFile(tmp_path / "routes.snapshot") if request.param == "file" else MemorySnapshots()


def test_where_nothing_was_kept_there_is_nothing(home: Snapshots) -> None:
    assert (home.load(), home.mark()) == (None, None)


def test_what_is_kept_is_what_is_loaded(home: Snapshots) -> None:
    assert home.keep(kept())

    assert home.load() == kept()
    assert home.mark() == kept().snapshot.mark


@pytest.mark.parametrize(("fence", "epoch", "replaces"), [(1, 6, True), (2, 1, True), (1, 5, False), (1, 4, False), (2, 9, True)])
def test_only_a_newer_mark_replaces_it(home: Snapshots, fence: int, epoch: int, replaces: bool) -> None:  # noqa: FBT001 - an expectation
    home.keep(kept(5))

    assert home.keep(kept(epoch, fence=fence)) is replaces

    loaded = home.load()
    assert loaded is not None
    assert loaded.snapshot.epoch == (epoch if replaces else 5)


def test_another_history_of_the_same_epoch_does_not_replace_it(home: Snapshots) -> None:
    home.keep(kept(5, head="e" * 64))

    assert not home.keep(kept(5, head="f" * 64, endpoints=("/run/b",)))


def test_other_endpoints_of_the_same_mark_replace_it(home: Snapshots) -> None:
    home.keep(kept(5))

    assert home.keep(kept(5, endpoints=("/run/b",)))

    loaded = home.load()
    assert loaded is not None
    assert loaded.endpoints == {"a" * 64: ("/run/b",)}


@pytest.mark.parametrize("kind", ["file", "fake"])
@given(marks=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), min_size=1, max_size=12))
def test_in_whatever_order_they_are_offered_the_newest_stays(
    tmp_path_factory: pytest.TempPathFactory, kind: str, marks: list[tuple[int, int]]
) -> None:
    home: Snapshots = SnapshotFile(tmp_path_factory.mktemp("kept") / "routes.snapshot") if kind == "file" else MemorySnapshots()

    for fence, epoch in marks:
        home.keep(kept(epoch, fence=fence))

    mark = home.mark()
    assert mark is not None
    assert (mark.fence, mark.epoch) == max(marks)
