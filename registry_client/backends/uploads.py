"""Uploads of large files to a registry of OCI artifacts: piece by piece, so that one that breaks off goes on where it ended.

FOLDER/<sha256>     where the registry takes the next piece of one file, as it said last; for whoever publishes the same file next

Whoever writes such a note has it locked, by flock, which ends with its holder: others upload the file on their own.
"""

import fcntl
import hashlib
import os
import re
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from registry_client.backends.asking import Answer, Asker, Body
from registry_client.errors import AccessRefused, DigestMismatch, RegistryUnavailable
from registry_client.files import CHUNK, make_directory
from registry_client.manifest import Artifact
from registry_client.origins import PAUSES

PIECE: Final = 2**23
"""Bytes that are sent with one request; of a file that has no more, all of it is. In memory is a part of them."""

BINARY: Final = "application/octet-stream"

_GONE = frozenset({400, 404, 410, 416})
"""What a registry answers of an upload that it no longer knows; docker-registry of one that broke off within a piece."""
_LONGEST_PLACE = 2**14
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class Uploads:
    """The uploads of one registry. `folder`: where notes of them outlive this process; without one they do not."""

    def __init__(self, registry: str, asker: Asker, folder: Path | None) -> None:
        self._registry, self._asker, self._folder = registry, asker, folder

    def put(self, path: str, artifact: Artifact, source: BinaryIO) -> None:
        """Upload a file to a repository, on from where an earlier try ended; all of it is read, from its beginning.

        Raises `DigestMismatch` for other bytes, which never arrive as a file, and `RegistryUnavailable` when several tries came to nothing.
        """
        with self._noted(path, artifact) as note:
            upload = _Upload(self._registry, self._asker, f"{path}/blobs/uploads/", artifact, note)
            pauses, reached = deque(PAUSES), 0
            while True:
                try:
                    upload.run(source)
                except AccessRefused:
                    raise
                except RegistryUnavailable:
                    if upload.offset > reached:
                        pauses, reached = deque(PAUSES), upload.offset
                    if not pauses:
                        raise
                    time.sleep(pauses.popleft())
                    if self._is_there(path, artifact):  # it was the answer that was lost
                        note.remove()
                        return
                else:
                    return

    def _is_there(self, path: str, artifact: Artifact) -> bool:
        return self._asker.ask("HEAD", f"{path}/blobs/sha256:{artifact.sha256}", expect=_GONE).is_ok

    def forget(self, path: str, artifact: Artifact) -> None:
        """The registry has the file: no note of it is needed."""
        if self._folder is not None:
            (self._folder / self._key(path, artifact)).unlink(missing_ok=True)

    @contextmanager
    def _noted(self, path: str, artifact: Artifact) -> "Generator[_Note]":
        if self._folder is None:
            yield _Note(None, None)
            return
        make_directory(self._folder)
        place = self._folder / self._key(path, artifact)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield _Note(None, None)
            else:
                yield _Note(file, place)

    def _key(self, path: str, artifact: Artifact) -> str:
        return hashlib.sha256(f"{self._registry}\n{path}\n{artifact.sha256}".encode()).hexdigest()


class _Note:
    """Where the registry takes the next piece; in a file, or in memory alone."""

    def __init__(self, file: BinaryIO | None, path: Path | None) -> None:
        self._file, self._path = file, path
        self._place = "" if file is None else file.read(_LONGEST_PLACE).decode("utf-8", "replace")

    @property
    def place(self) -> str:
        """What was noted last; empty for nothing."""
        return self._place

    def write(self, place: str) -> None:
        self._place = place
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(place.encode())
            self._file.flush()

    def remove(self) -> None:
        self.write("")
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Upload:
    """One file on its way. `offset`: how many bytes of it the registry has."""

    def __init__(self, registry: str, asker: Asker, begins: str, artifact: Artifact, note: _Note) -> None:
        self._registry, self._asker, self._begins, self._artifact, self._note = registry, asker, begins, artifact, note
        self._hasher = hashlib.sha256()
        self._least = 0
        self.offset = 0

    def run(self, source: BinaryIO) -> None:
        """Go on, or begin, and come to the end. Raises as `Uploads.put` does, at once."""
        if not self._goes_on():
            self._begin()
        self._hasher = hashlib.sha256()
        source.seek(0)
        for _ in self._read(source, self.offset):
            pass
        while self.offset < self._artifact.size:
            self._send(source)
        self._refuse_another(source)
        self._end()
        self._note.remove()

    def _goes_on(self) -> bool:
        """Ask for what the registry has; whether it has anything."""
        if not self._note.place:
            return False
        answer = self._asker.ask("GET", self._asker.own(self._note.place), expect=_GONE)
        has = _RANGE.fullmatch(answer.headers.get("range", "")) if answer.is_ok else None
        if has is None or not 1 < int(has[1]) + 1 <= self._artifact.size:  # `0-0` is what one says that has nothing
            return False
        self._moved(answer, int(has[1]) + 1)
        return True

    def _begin(self) -> None:
        answer = self._asker.ask("POST", self._begins, body=Body(b"", BINARY, 0))
        least = answer.headers.get("oci-chunk-min-length", "")
        self._least = int(least) if least.isdecimal() else 0
        self._note.write("")
        self._moved(answer, 0)

    def _send(self, source: BinaryIO) -> None:
        length = min(max(PIECE, self._least), self._artifact.size - self.offset)
        body = Body(self._read(source, length), BINARY, length)
        headers = {"Content-Range": f"{self.offset}-{self.offset + length - 1}"}
        self._moved(self._asked("PATCH", self._note.place, body, headers), self.offset + length)

    def _moved(self, answer: Answer, offset: int) -> None:
        self.offset = offset
        location = answer.headers.get("location", "") or self._note.place
        self._note.write(self._asker.own(location))

    def _read(self, source: BinaryIO, length: int) -> Iterator[bytes]:
        """So many bytes more of the file, each of them hashed."""
        while length:
            piece = source.read(min(CHUNK, length))
            if not piece:
                self._refuse()
            self._hasher.update(piece)
            length -= len(piece)
            yield piece

    def _refuse_another(self, source: BinaryIO) -> None:
        if source.read(1) or self._hasher.hexdigest() != self._artifact.sha256:
            self._refuse()

    def _refuse(self) -> None:
        """Give the upload up, so that nobody goes on with it. Raises `DigestMismatch`."""
        place = self._note.place
        self._note.remove()
        with suppress(RegistryUnavailable):
            self._asker.ask("DELETE", place)
        what = f"{self._artifact.path}, a file that changed while it was published"
        raise DigestMismatch(what, expected=self._artifact.sha256, actual=self._hasher.hexdigest())

    def _end(self) -> None:
        place = self._note.place
        between = "&" if "?" in place else "?"
        self._asked("PUT", f"{place}{between}digest=sha256:{self._artifact.sha256}", Body(b"", BINARY, 0, concerns=self._artifact.size), {})

    def _asked(self, method: str, place: str, body: Body, headers: Mapping[str, str]) -> Answer:
        answer = self._asker.ask(method, place, body=body, headers=headers, expect=_GONE)
        if not answer.is_ok:
            if method == "PUT":
                self._note.write("")  # what it has is of no use
            raise RegistryUnavailable(
                self._registry, f"an upload of {self._artifact.path} is answered {answer.status} at byte {self.offset}"
            )
        return answer
