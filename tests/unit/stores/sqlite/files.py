"""The files of a store as others handle them: looked at, written to, moved and replaced."""

from pathlib import Path

import apsw


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def move(path: Path, to: Path) -> Path:
    return path.rename(to)


def copy_of(path: Path) -> Path:
    """A backup of a store, whole and without a log."""
    backup = path.with_name("backup.db")
    apsw.Connection(str(path)).execute("VACUUM INTO ?", (str(backup),))
    return backup


def put_in_place_of(path: Path, other: Path) -> None:
    lost = path.parent / "lost"
    lost.mkdir()
    for part in path.parent.glob(f"{path.name}*"):
        part.rename(lost / part.name)
    other.rename(path)
