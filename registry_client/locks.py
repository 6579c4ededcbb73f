"""Locks: the requirements file that pins every dependency of a bundle's Python components by version and by hash.

A closed form of pip's: one `name==version` with its sha256 hashes at a time. Options, addresses and other files are refused, so a
lock cannot say where packages come from, only which bytes they are. Pure: reads no files.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from registry_client.errors import InvalidBundle

LARGEST: Final = 2**20
NEEDED: Final = "numpy"
"""Components take and give arrays."""

_HINT = "make it with: uv pip compile --generate-hashes --no-emit-index-url, or pip-compile --generate-hashes"
_CONTINUED = re.compile(r"\\\s*\n")
_COMMENT = re.compile(r"(^|\s)#.*")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9,._ -]*\])?\s*==\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*"
)
_HASHES = re.compile(r"\s+--hash=")
_HASH = re.compile(r"sha256:(?P<digest>[0-9a-f]{64})")
_PYTHON = re.compile(r"3\.(?P<minor>[0-9]{1,3})(\.[0-9]{1,3})?")
OLDEST: Final = 11
"""The oldest minor version of Python 3 in which components are run."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock: which version, and the sha256 of each file that may be installed for it."""

    name: str
    version: str
    hashes: frozenset[str]
    line: str
    """As a requirements file has it, on one line."""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def parse_lock(text: bytes, path: str) -> tuple[Pin, ...]:
    """Read a lock. Raises `InvalidBundle`, naming the file by `path`, for all that pins no package by its hash."""
    if len(text) > LARGEST:
        raise InvalidBundle(path, f"is larger than {LARGEST} bytes")
    try:
        lines = _COMMENT.sub("", _CONTINUED.sub(" ", text.decode())).splitlines()
    except UnicodeDecodeError as error:
        raise InvalidBundle(path, "is not UTF-8") from error
    pins = tuple(_pins(lines, path))
    names = {normalized(pin.name) for pin in pins}
    if NEEDED not in names:
        raise InvalidBundle(path, f"does not pin {NEEDED}, in whose arrays components take and give tensors", _HINT)
    return pins


def _pins(lines: list[str], path: str) -> Iterator[Pin]:
    for line in filter(None, map(str.strip, lines)):
        wanted, *hashes = _HASHES.split(line)
        found = _REQUIREMENT.fullmatch(wanted.partition(";")[0].strip())
        digests = [_HASH.fullmatch(text) for text in hashes]
        if found is None or not digests or None in digests:
            reason = f"{line[:80]!r} pins no package: each line is name==version with a --hash=sha256:... for each of its files"
            raise InvalidBundle(path, reason, _HINT)
        pinned = frozenset(digest["digest"] for digest in digests if digest is not None)
        yield Pin(found["name"], found["version"], pinned, " ".join(line.split()))


def check_python(text: str, field: str) -> None:
    """Raise `InvalidBundle` unless the text is a version of Python that components can be run in."""
    found = _PYTHON.fullmatch(text)
    if found is None or int(found["minor"]) < OLDEST:
        raise InvalidBundle(field, f"{text[:40]!r} is no Python that components are run in", f'write "3.{OLDEST}", or a newer one')


def refuse_unpinned(wheel: str, sha256: str, pins: Collection[Pin]) -> None:
    """Raise `InvalidBundle` for a wheel that a lock does not pin."""
    if not any(sha256 in pin.hashes for pin in pins):
        raise InvalidBundle(wheel, "the lock pins no file of this sha256", "put in what `pip download --require-hashes -r LOCK` brings")


def normalized(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
