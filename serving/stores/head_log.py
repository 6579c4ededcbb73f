"""The file of published heads: one line of JSON for each, only ever added to. Copies of it elsewhere are what makes it a witness."""

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from registry_client.decoding import from_json
from serving.core.audit import Mark
from serving.core.errors import HeadLogBroken
from serving.core.heads import SignedHead


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    fence: int
    epoch: int
    head: str
    signed_at: datetime
    public_key: str
    signature: str


class HeadFile:
    """The `HeadLog` in a file, owner-only; each line is on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def append(self, head: SignedHead) -> None:
        """Add a head. Raises `HeadLogBroken`."""
        await asyncio.to_thread(self._append, head)

    async def read(self) -> Sequence[SignedHead]:
        """All heads. Raises `HeadLogBroken`."""
        return await asyncio.to_thread(heads_in, self._path)

    def _append(self, head: SignedHead) -> None:
        line = _Line(
            fence=head.mark.fence,
            epoch=head.mark.epoch,
            head=head.mark.head,
            signed_at=head.signed_at,
            public_key=head.public_key,
            signature=head.signature,
        )
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, _end_of_torn_line(descriptor) + msgspec.json.encode(line) + b"\n")
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise HeadLogBroken(str(self._path), str(error)) from error


def heads_in(path: Path) -> Sequence[SignedHead]:
    """The heads in a file, none if there is no file; half a line, which a power cut leaves, is none. Raises `HeadLogBroken`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise HeadLogBroken(str(path), str(error)) from error
    heads: list[SignedHead] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.endswith(b"}"):
            continue
        try:
            read = from_json(line, _Line)
        except ValueError as error:
            raise HeadLogBroken(str(path), f"line {number}: {error}") from error
        heads.append(SignedHead(Mark(read.fence, read.epoch, read.head), read.signed_at, read.public_key, read.signature))
    return heads


def _end_of_torn_line(descriptor: int) -> bytes:
    """A line break, where the file does not end in one."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
