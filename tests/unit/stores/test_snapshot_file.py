"""The node's kept snapshot: whole or not at all, and never an older one in place of a newer one."""

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry_client.versions import ModelVersion
from serving.core.lifecycle import Canary, FamilyRecord
from serving.core.traffic import End, Slice
from serving.ports import Kept, Snapshot
from serving.stores.snapshot_file import SnapshotFile

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")


def record(revision: int = 3) -> FamilyRecord:
    canaries = (Canary(V2, Slice(End.LOW, 500)),)
    return FamilyRecord("digits", revision, {V1: "a" * 64, V2: "b" * 64}, V1, canaries=canaries, salt="digits@1.1.0")


def kept(epoch: int = 5, *, fence: int = 1, head: str = "e" * 64, endpoints: tuple[str, ...] = ("/run/a",)) -> Kept:
    return Kept(Snapshot(fence=fence, epoch=epoch, head=head, families={"digits": record(epoch)}), {"a" * 64: endpoints})


@pytest.fixture
def file(tmp_path: Path) -> SnapshotFile:
    return SnapshotFile(tmp_path / "routes.snapshot")


def test_where_nothing_was_kept_there_is_nothing(file: SnapshotFile) -> None:
    with capture_logs() as logs:
        assert (file.load(), file.mark()) == (None, None)

    assert logs == []


def test_it_is_this_users_alone(file: SnapshotFile, tmp_path: Path) -> None:
    file.keep(kept())

    assert (tmp_path / "routes.snapshot").stat().st_mode & 0o777 == 0o600


def damaged(content: bytes, how: str) -> bytes:
    match how:
        case "torn":
            return content[:-9]
        case "flipped":
            return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        case "empty":
            return b""
        case "foreign":
            return b"SQLite format 3\0" + content
        case "newer":
            return content.replace(b"pointsman-routes 1 ", b"pointsman-routes 2 ", 1)
        case "headless":
            return content.replace(b'"epoch"', b'"epocg"', 1)
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("torn", "torn"),
        ("flipped", "checksum"),
        ("empty", "no snapshot"),
        ("foreign", "no snapshot"),
        ("newer", "schema 2"),
        ("headless", "first line"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_a_sentence_and_set_aside(file: SnapshotFile, tmp_path: Path, how: str, says: str) -> None:
    # given
    file.keep(kept())
    path = tmp_path / "routes.snapshot"
    path.write_bytes(damaged(path.read_bytes(), how))

    # when
    with capture_logs() as logs:
        loaded = file.load()

    # then
    assert loaded is None
    assert [entry["event"] for entry in logs] == ["snapshot_refused"]
    assert says in logs[0]["why"]
    assert not path.exists()
    assert path.with_name("routes.snapshot.refused").exists()
    assert file.keep(kept(1))


def test_a_record_of_a_newer_schema_is_refused_with_all_the_rest(file: SnapshotFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def newer(of: FamilyRecord) -> bytes:
        del of
        return b'{"schema":99,"family":"digits"}'

    monkeypatch.setattr("serving.stores.snapshot_file.record_to_document", newer)
    file.keep(kept())

    with capture_logs() as logs:
        assert file.load() is None

    assert "digits" in logs[0]["why"]


def test_one_that_others_can_write_is_refused(file: SnapshotFile, tmp_path: Path) -> None:
    file.keep(kept())
    (tmp_path / "routes.snapshot").chmod(0o646)

    with capture_logs() as logs:
        assert file.load() is None

    assert "others may" in logs[0]["why"]


def test_a_half_written_one_beside_it_counts_for_nothing(file: SnapshotFile, tmp_path: Path) -> None:
    file.keep(kept())
    left = tmp_path / ".routes.snapshot.0f4c0f4c~"
    left.write_bytes(b"pointsman-rou")

    assert file.load() == kept()
    assert file.keep(kept(6))
    assert not left.exists()


def test_many_writers_leave_the_newest(file: SnapshotFile, tmp_path: Path) -> None:
    path = tmp_path / "routes.snapshot"
    writers = [threading.Thread(target=SnapshotFile(path).keep, args=(kept(epoch),)) for epoch in range(1, 25)]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    loaded = file.load()
    assert loaded is not None
    assert loaded.snapshot.epoch == 24
    assert [found.name for found in tmp_path.glob(".routes*")] == []
