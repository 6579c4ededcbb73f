"""A lease is whole for as long as nobody else has had the file, and nobody is held up by it."""

import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest

from registry_client.leases import Lease

SOON_S = 10
"""The kernel itself would hold up whoever opens the file for 45 s."""

Touch = Callable[[Path], object]


@pytest.fixture
def path(local_folder: Path) -> Path:
    path = local_folder / "file"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def file(path: Path) -> Iterator[BinaryIO]:
    with path.open("r+b") as file:
        yield file


def mapped(path: Path, access: int) -> mmap.mmap:
    """A mapping whose file is closed again."""
    with path.open("r+b" if access == mmap.ACCESS_WRITE else "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=access)


def in_another_process(path: Path) -> None:
    subprocess.run([sys.executable, "-c", f"open({str(path)!r}, 'r+b').write(b'other')"], check=True)


TOUCHES: dict[str, Touch] = {
    "read": Path.read_bytes,
    "written": lambda path: path.write_bytes(b"other"),
    "appended to": lambda path: path.open("ab").close(),
    "truncated": lambda path: os.truncate(path, 3),
    "mapped to be read": lambda path: mapped(path, mmap.ACCESS_READ).close(),
    "mapped to be written": lambda path: mapped(path, mmap.ACCESS_WRITE).close(),
    "written by another process": in_another_process,
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_whoever_touches_the_file_ends_its_lease_and_is_not_held_up(path: Path, file: BinaryIO, touch: Touch) -> None:
    # given
    with Lease(file) as lease:
        assert lease.is_whole()
        touching = threading.Thread(target=touch, args=(path,))

        # when
        touching.start()
        touching.join(SOON_S)

        # then
        assert not touching.is_alive()
        assert not lease.is_whole()


@pytest.mark.parametrize("mode", ["rb", "r+b", "ab"])
def test_there_is_no_lease_on_a_file_that_somebody_has_open(path: Path, file: BinaryIO, mode: str) -> None:
    with path.open(mode), Lease(file) as lease:
        assert not lease.is_whole()


@pytest.mark.parametrize("access", [mmap.ACCESS_READ, mmap.ACCESS_WRITE, mmap.ACCESS_COPY])
def test_there_is_no_lease_on_a_file_that_somebody_has_mapped(path: Path, file: BinaryIO, access: int) -> None:
    with mapped(path, access), Lease(file) as lease:
        assert not lease.is_whole()


def test_there_is_no_lease_on_a_file_that_another_process_has_open(path: Path, file: BinaryIO) -> None:
    # given
    program = f"file = open({str(path)!r}, 'rb'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()

        # when / then
        with Lease(file) as lease:
            assert not lease.is_whole()
        other.communicate(b"\n", SOON_S)


def test_what_its_holder_does_to_the_file_does_not_end_the_lease(path: Path, file: BinaryIO) -> None:
    with Lease(file) as lease:
        # when
        file.write(b"more")
        file.truncate(2)
        file.seek(0)
        file.read()
        os.fsync(file.fileno())
        path.rename(path.with_name("elsewhere"))
        path.with_name("elsewhere").chmod(0o444)
        path.with_name("elsewhere").stat()

        # then
        assert lease.is_whole()


def test_a_lease_that_ended_stays_ended(path: Path, file: BinaryIO) -> None:
    with Lease(file) as lease:
        path.read_bytes()

        assert [lease.is_whole(), lease.is_whole()] == [False, False]


def test_a_lease_that_was_let_go_hinders_nobody(path: Path, file: BinaryIO) -> None:
    # given
    with Lease(file) as lease:
        pass

    # when / then
    assert not lease.is_whole()
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # would fail, rather than wait
    os.close(descriptor)


def test_no_signal_comes_to_whoever_has_a_lease(path: Path, file: BinaryIO) -> None:
    # given
    came = list[int]()
    with ExitStack() as stack:
        for number in (signal.SIGIO, signal.SIGURG):
            stack.callback(signal.signal, number, signal.signal(number, lambda number, _frame: came.append(number)))

        # when
        for _ in range(2):
            with Lease(file) as lease:
                path.read_bytes()
                assert not lease.is_whole()

        # then
        assert came == []


def test_on_a_file_system_that_is_not_known_nothing_is_claimed() -> None:
    with os.fdopen(os.memfd_create("file"), "r+b") as file, Lease(file) as lease:  # it is on none that is mounted
        assert not lease.is_whole()
