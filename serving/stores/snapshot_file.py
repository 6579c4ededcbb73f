"""The node's copy of the routes: what gateways, admin and controller start from when the store does not answer.

One file of all processes of the node, and never one that is older than what it was. The first line says the schema, the mark, and the
length and SHA-256 of the rest; the rest is JSON. A file that is torn, damaged, foreign or of a newer schema is set aside and counts for
nothing.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec

from registry_client.decoding import from_json
from registry_client.manifest import FamilyName, Sha256
from serving.core.errors import InvalidRecord, PointsmanError
from serving.core.lifecycle import FamilyRecord
from serving.failpoints import Failpoint, reach
from serving.ports import Kept, Mark, Snapshot
from serving.stores.durable import UnsafeFile, read_private, sync_folder, write_aside
from serving.stores.encoding import record_from_document, record_to_document

SCHEMA = 1
MOST_BYTES = 64 << 20
_MAGIC = b"pointsman-routes"
_HEADER_BYTES = 512
_Number = Annotated[int, msgspec.Meta(ge=0)]


class SnapshotRefused(PointsmanError):
    """A snapshot that is not believed."""

    hint = "it was set aside; the routes come from the store, and the next one that is read makes a new snapshot"

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"the snapshot {path} is refused: {why}")


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fence: Annotated[int, msgspec.Meta(ge=1)]
    epoch: _Number
    head: str
    bytes: _Number
    sha256: Sha256

    @property
    def mark(self) -> Mark:
        return Mark(self.fence, self.epoch, self.head)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    records: dict[FamilyName, msgspec.Raw]
    endpoints: dict[Sha256, tuple[str, ...]]


def refused_at(path: Path) -> Path:
    """Where a snapshot that is not believed is set aside; one that lies there still tells that there was a store."""
    return path.with_name(f"{path.name}.refused")


class SnapshotFile:
    """The `Snapshots` of a node. Every call may block: keep it off event loops."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> Mark | None:
        """How far the kept snapshot goes; None where there is none that is believed. Reads the first line only."""
        try:
            with self._path.open("rb") as file:
                return self._header(file.read(_HEADER_BYTES)).mark
        except (OSError, SnapshotRefused):
            return None

    def read(self) -> Kept:
        """What was kept. Raises `SnapshotRefused`, `UnsafeFile` or `OSError`."""
        return self._believed(read_private(self._path, MOST_BYTES))

    def load(self) -> Kept | None:
        """What was kept. One that is not believed is set aside, with a line in the log, and is None as if there were none."""
        try:
            return self.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            _tell(f"{self._path} cannot be read: {error.strerror}")
            return None
        except (SnapshotRefused, UnsafeFile) as refused:
            _tell(str(refused))
            self._set_aside()
            return None

    def keep(self, kept: Kept) -> bool:
        """Put a snapshot in place of an older one; False when what is there is newer, or the same. Raises `OSError`."""
        content = _content(kept)
        with self._alone():
            if not self._is_news(kept.snapshot.mark, content):
                return False
            for left in self._path.parent.glob(f".{self._path.name}.*~"):  # by a process that died over it; this one is alone here
                left.unlink(missing_ok=True)
            aside = write_aside(self._path, content, on_written=partial(reach, Failpoint.SNAPSHOT_WRITTEN))
            reach(Failpoint.SNAPSHOT_SYNCED)
            aside.replace(self._path)
            reach(Failpoint.SNAPSHOT_RENAMED)
            sync_folder(self._path.parent)
            return True

    def _is_news(self, mark: Mark, content: bytes) -> bool:
        """Whether it is newer than what is there; or as new, with other endpoints, which the checksum in the first line tells."""
        try:
            with self._path.open("rb") as file:
                first = file.read(_HEADER_BYTES)
            there = self._header(first).mark
        except (OSError, SnapshotRefused):
            return True
        return there < mark or (there == mark and not content.startswith(first.partition(b"\n")[0]))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes, and other threads, from deciding about the same file at the same time."""
        descriptor = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _set_aside(self) -> None:
        with suppress(OSError):
            self._path.replace(refused_at(self._path))

    def _header(self, content: bytes) -> _Header:
        first, newline, _ = content[:_HEADER_BYTES].partition(b"\n")
        magic, _, rest = first.partition(b" ")
        schema, _, document = rest.partition(b" ")
        if magic != _MAGIC or not newline or not schema.isdigit():
            raise SnapshotRefused(self._path, "it is no snapshot of this program")
        if int(schema) > SCHEMA:
            raise SnapshotRefused(self._path, f"it has schema {int(schema)}, this program knows schemas up to {SCHEMA}")
        try:
            return from_json(document, _Header)
        except ValueError as error:
            raise SnapshotRefused(self._path, f"its first line is damaged ({error})") from error

    def _believed(self, content: bytes) -> Kept:
        header = self._header(content)
        body = content[content.index(b"\n") + 1 :]
        if len(body) != header.bytes:
            raise SnapshotRefused(self._path, f"it is torn: {len(body)} of {header.bytes} bytes are there")
        if sha256(body).hexdigest() != header.sha256:
            raise SnapshotRefused(self._path, "it is damaged: its checksum is another")
        try:
            parts = from_json(body, _Body)
            records = {family: record_from_document(family, bytes(raw)) for family, raw in parts.records.items()}
        except (ValueError, RecursionError, InvalidRecord) as error:
            raise SnapshotRefused(self._path, str(error)) from error
        return Kept(Snapshot(fence=header.fence, epoch=header.epoch, head=header.head, families=records), parts.endpoints)


def _tell(why: str) -> None:
    import structlog  # noqa: PLC0415 - slow to import, and whoever breaks the glass reads snapshots too, in a hurry

    structlog.get_logger().error("snapshot_refused", why=why, hint=SnapshotRefused.hint)


def _content(kept: Kept) -> bytes:
    snapshot = kept.snapshot
    body = msgspec.json.encode(_Body(_raw(snapshot.families), dict(sorted(kept.endpoints.items()))))
    header = _Header(snapshot.fence, snapshot.epoch, snapshot.head, len(body), sha256(body).hexdigest())
    return b"%s %d %s\n%s" % (_MAGIC, SCHEMA, msgspec.json.encode(header), body)


def _raw(families: Mapping[str, FamilyRecord]) -> dict[str, msgspec.Raw]:
    return {family: msgspec.Raw(record_to_document(record)) for family, record in sorted(families.items())}
