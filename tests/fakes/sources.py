"""A registry that hands out one version's files as a network does: in pieces, with ranges or without, breaking off where it is told to."""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO

import msgspec

from registry_client.errors import NoParts, RegistryUnavailable
from registry_client.manifest import Artifact, Manifest, Pipeline, Role
from registry_client.origins import Origin, Parts
from registry_client.transfers import Told, nobody

SMALL = 10_000
"""Bytes of a part."""


def artifact_of(content: bytes, path: str = "weights/model.onnx.data", role: Role = Role.WEIGHTS) -> Artifact:
    """The file with that content."""
    return Artifact(path=path, role=role, media_type="application/octet-stream", size=len(content), sha256=sha256(content).hexdigest())


def manifest_of(manifest: Manifest, *contents: bytes) -> Manifest:
    """The manifest of a version that has these files and nothing else, the first of them for a model."""
    files = [artifact_of(each, f"weights/{number}", Role.WEIGHTS if number else Role.MODEL) for number, each in enumerate(contents)]
    return msgspec.structs.replace(manifest, artifacts=tuple(files), pipeline=Pipeline())


class Broke(RegistryUnavailable):
    """The connection did."""

    def __init__(self) -> None:
        super().__init__("here", "the connection broke")


class _Network(io.BytesIO):
    """What cannot be rewound, and breaks off after so many bytes."""

    def __init__(self, content: bytes, most: int | None) -> None:
        super().__init__(content)
        self._left = len(content) if most is None else most
        self._breaks = most is not None

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(self._left if size is None or size < 0 else min(size, self._left))
        self._left -= len(piece)
        if not piece and self._breaks:
            raise Broke
        return piece


@dataclass
class Source:
    """`breaks`: after how many bytes each try ends, the next one first; then they go through. Counts the bytes that it hands out."""

    contents: tuple[bytes, ...]
    breaks: list[int] = field(default_factory=list[int])
    has_parts: bool = True
    lie: bytes | None = None
    before: Callable[[], None] = lambda: None
    streams: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    turn: threading.Lock = field(default_factory=threading.Lock)

    def open(self, artifact: Artifact) -> BinaryIO:
        """All of it."""
        self.before()
        with self.turn:
            self.streams += 1
            most = self.breaks.pop(0) if self.breaks else None
        return _Network(self._content(artifact), most)

    def span(self, artifact: Artifact, start: int, length: int) -> bytes:
        """A part of it; the registry is away for whatever ends beyond where it breaks."""
        self.before()
        if not self.has_parts:
            raise NoParts
        with self.turn:
            if self.breaks and start + length > self.breaks[0]:
                raise Broke
            self.parts.append((start, length))
        return self._content(artifact)[start : start + length]

    def origin(self, *, at_once: int = 4, told: Told = nobody) -> Origin:
        """As a cache is given it."""
        return Origin(self.open, self.span, Parts(at_once, SMALL, ()), told)

    def _content(self, artifact: Artifact) -> bytes:
        return self.lie or next(content for content in self.contents if sha256(content).hexdigest() == artifact.sha256)
