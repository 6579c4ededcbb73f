"""The decision logs and the board of rollouts on the disk of a single node: a file for each rollout, only ever added to.

DATA/rollouts/ID.jsonl       the decision log of a rollout, one line of JSON each
DATA/rollouts/ID.token       the fencing token that wrote to it last
DATA/rollouts/ID.checkpoint  what the rollout had come to by one of its lines
DATA/rollouts/ID.seen        what was seen of it last, once it is over; then there is no checkpoint
DATA/rollouts/board.json     what the controller last saw of the rollouts
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from serving.core.errors import NotLeader, StoreUnavailable
from serving.ports import Checkpoint, Progress, Tail
from serving.stores.checkpoint_encoding import checkpoint_from_document, checkpoint_to_document
from serving.stores.progress import progress_from_document, progress_to_document, seen_in

_LOG, _TOKEN, _CHECKPOINT, _SEEN = ".jsonl", ".token", ".checkpoint", ".seen"
_BLOCK = 1 << 16


class RolloutFiles:
    """The `DecisionLog` and `RolloutBoard` of one node. A line is on the disk before `append` returns; the board need not be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def close(self) -> None:
        """Nothing is held open."""

    async def append(self, rollout: str, token: int, line: bytes) -> None:
        """Add a line. Raises `NotLeader` or `StoreUnavailable`."""
        await asyncio.to_thread(self._append, rollout, token, line)

    async def read(self, rollout: str) -> Sequence[bytes]:
        """Its whole lines."""
        return await asyncio.to_thread(self._read, rollout)

    async def keep(self, rollout: str, token: int, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint. Raises `NotLeader` or `StoreUnavailable`."""
        await asyncio.to_thread(self._keep, rollout, token, checkpoint)

    async def tail(self, rollout: str) -> Tail:
        """The checkpoint, and its last line and those behind it."""
        return await asyncio.to_thread(self._tail, rollout)

    async def rollouts(self) -> Sequence[str]:
        """Those that have a log."""
        return await asyncio.to_thread(self._names, _LOG)

    async def ends(self, rollout: str) -> Sequence[bytes]:
        """Its first line and its last."""
        return await asyncio.to_thread(self._ends, rollout)

    async def unfinished(self) -> Sequence[str]:
        """Those that a checkpoint is kept of."""
        return await asyncio.to_thread(self._names, _CHECKPOINT)

    async def finish(self, rollout: str, token: int, seen: Progress) -> None:
        """Keep what was seen last, then no checkpoint. Raises `NotLeader` or `StoreUnavailable`."""
        await asyncio.to_thread(self._finish, rollout, token, progress_to_document({rollout: seen}))

    async def finished(self, rollout: str) -> Progress | None:
        """What was seen of it last."""
        return await asyncio.to_thread(self._finished, rollout)

    async def post_progress(self, progress: Mapping[str, Progress]) -> None:
        """Put it in place of what was there."""
        await asyncio.to_thread(self._post, progress_to_document(progress))

    async def progress(self) -> Mapping[str, Progress]:
        """What was put up last."""
        return await asyncio.to_thread(self._posted)

    def _append(self, rollout: str, token: int, line: bytes) -> None:
        with self._held(rollout, token) as descriptor:
            os.write(descriptor, line + b"\n")
            os.fdatasync(descriptor)

    def _keep(self, rollout: str, token: int, checkpoint: Checkpoint) -> None:
        with self._held(rollout, token) as descriptor:
            document = checkpoint_to_document(checkpoint, end=os.fstat(descriptor).st_size)
            _replace(self._path(rollout, _CHECKPOINT), document)

    @contextmanager
    def _held(self, rollout: str, token: int) -> Iterator[int]:
        """The log, whole to its last line, while nobody else writes to it."""
        with _sentences(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path(rollout, _LOG), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                # Whoever had to wait here for a newer leader's line is told so by its token.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._fence(rollout, token)
                _cut_torn_line(descriptor)
                yield descriptor
            finally:
                os.close(descriptor)

    def _fence(self, rollout: str, token: int) -> None:
        path = self._path(rollout, _TOKEN)
        try:
            newest = int(path.read_text("ascii"))
        except (FileNotFoundError, ValueError):
            newest = 0
        if token < newest:
            raise NotLeader(token)
        if token > newest:
            _replace(path, str(token).encode())

    def _read(self, rollout: str) -> Sequence[bytes]:
        with _sentences(self._folder):
            try:
                return _lines(self._path(rollout, _LOG).read_bytes())
            except FileNotFoundError:
                return ()

    def _tail(self, rollout: str) -> Tail:
        with _sentences(self._folder):
            try:
                document = checkpoint_from_document(self._path(rollout, _CHECKPOINT).read_bytes())
                if document is None:
                    return Tail(None, self._read(rollout))
                with self._path(rollout, _LOG).open("rb") as file:
                    # Of a log that is shorter than it was nothing is read here: then the checkpoint fits none of its lines.
                    file.seek(_end_of_line_in(file.fileno(), document.end - 1))
                    return Tail(document.checkpoint(), _lines(file.read()))
            except FileNotFoundError:
                return Tail(None, self._read(rollout))

    def _names(self, ending: str) -> Sequence[str]:
        with _sentences(self._folder):
            return sorted(path.stem for path in self._folder.glob(f"*{ending}"))

    def _ends(self, rollout: str) -> Sequence[bytes]:
        with _sentences(self._folder):
            try:
                with self._path(rollout, _LOG).open("rb") as file:
                    end = _end_of_line_in(file.fileno(), os.fstat(file.fileno()).st_size)
                    start = _end_of_line_in(file.fileno(), end - 1)
                    lines = file.readline(), os.pread(file.fileno(), end - start, start)
            except FileNotFoundError:
                return ()
        return tuple(line.removesuffix(b"\n") for line in lines) if end else ()

    def _finish(self, rollout: str, token: int, document: bytes) -> None:
        with self._held(rollout, token):
            _replace(self._path(rollout, _SEEN), document)
            self._path(rollout, _CHECKPOINT).unlink(missing_ok=True)

    def _finished(self, rollout: str) -> Progress | None:
        with _sentences(self._folder):
            try:
                document = self._path(rollout, _SEEN).read_bytes()
            except FileNotFoundError:
                return None
        return seen_in(document, rollout)

    def _post(self, document: bytes) -> None:
        with _sentences(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._folder / "board.json", document)

    def _posted(self) -> Mapping[str, Progress]:
        with _sentences(self._folder):
            try:
                document = (self._folder / "board.json").read_bytes()
            except FileNotFoundError:
                return {}
        return progress_from_document(document)

    def _path(self, rollout: str, ending: str) -> Path:
        # An id is made here, of a family's and a version's names; one that comes from a caller must not lead elsewhere.
        if "/" in rollout or rollout.startswith("."):
            msg = f"{rollout[:80]!r} is no rollout"
            raise StoreUnavailable(msg)
        return self._folder / f"{rollout}{ending}"


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)


def _lines(content: bytes) -> Sequence[bytes]:
    # Behind the last line break is nothing, or half a line.
    return content.split(b"\n")[:-1]


def _cut_torn_line(descriptor: int) -> None:
    """Take away what a crash left of a line: whoever wrote it decided nothing by it."""
    size = os.fstat(descriptor).st_size
    end = _end_of_line_in(descriptor, size)
    if end != size:
        os.ftruncate(descriptor, end)


def _end_of_line_in(descriptor: int, before: int) -> int:
    """The place behind the last line break before a place; 0 where there is none."""
    end = max(before, 0)
    while end:
        start = max(end - _BLOCK, 0)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"the decision logs in {folder} cannot be used: {error}"
        raise StoreUnavailable(msg) from error
