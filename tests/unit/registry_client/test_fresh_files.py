"""A large file that was just fetched is hashed once, while it is written; and again if anybody else had it meanwhile."""

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from registry_client import cache as caching
from registry_client.backends.files import FilesBackend
from registry_client.blobs import Housekeeping
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import ChangedMeanwhile, RegistryUnavailable
from registry_client.files import Measured, measure
from registry_client.manifest import Manifest
from registry_client.transfers import Moved
from tests.crashes import fetching
from tests.crashes.nursery import Nursery
from tests.fakes.bundles import write_files
from tests.fakes.sources import Source, artifact_of, manifest_of

WriteBundle = Callable[..., Path]

CONTENT = bytes(range(251)) * 400
CARD = b"a card"
KEEPING = Housekeeping(large=1024)
SOON_S = 10
ATTEMPTS = 4


@pytest.fixture
def version(write_bundle: WriteBundle) -> Manifest:
    return manifest_of(load_bundle(write_bundle("any")).manifest, CONTENT, CARD)


@pytest.fixture
def cache(local_folder: Path, repairs: list[str]) -> Cache:
    return Cache(local_folder, repairs.append, KEEPING)


@pytest.fixture
def partial(local_folder: Path) -> Path:
    """Where the large file is while it is fetched."""
    return local_folder / "partial" / artifact_of(CONTENT).sha256


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were read again when they were whole."""
    sizes = list[int]()

    def measured(file: BinaryIO) -> Measured:
        found = measure(file)
        sizes.append(found.size)
        return found

    monkeypatch.setattr(caching, "measure", measured)
    return sizes


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    with mapping:
        yield mapping


def write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"!")


def write_through_a_mapping(path: Path) -> None:
    with mapped(path) as mapping:
        mapping[:1] = b"!"


def cut(path: Path) -> None:
    os.truncate(path, 100)


def give_a_second_name(path: Path) -> None:
    os.link(path, path.with_name("second"))


def write_from_another_process(path: Path) -> None:
    subprocess.run([sys.executable, "-c", f"open({str(path)!r}, 'r+b').write(b'!')"], check=True)


TOUCHES = [write, write_through_a_mapping, cut, give_a_second_name, write_from_another_process]


def test_what_was_let_alone_is_not_hashed_again_until_the_next_fetch(cache: Cache, version: Manifest, hashed: list[int]) -> None:
    # when
    seal = cache.bundle(version, Source((CONTENT, CARD)).origin())
    at_first = list(hashed)
    cache.bundle(version, Source((CONTENT, CARD)).origin())

    # then
    assert at_first == [len(CARD)]
    assert sorted(hashed) == sorted([len(CARD), len(CONTENT), len(CARD)])
    seal.refuse_change()


def test_what_an_earlier_try_left_is_hashed_once_too(cache: Cache, version: Manifest, hashed: list[int]) -> None:
    # given
    with pytest.raises(RegistryUnavailable):
        cache.bundle(version, Source((CONTENT, CARD), breaks=[60_000]).origin())

    # when
    cache.bundle(version, Source((CONTENT, CARD)).origin())

    # then
    assert hashed == [len(CARD)]


def test_of_one_file_under_two_names_the_copy_is_hashed_again(cache: Cache, version: Manifest, hashed: list[int]) -> None:
    seal = cache.bundle(manifest_of(version, CONTENT, CONTENT), Source((CONTENT,)).origin())

    assert hashed == [len(CONTENT)]
    seal.refuse_change()


def test_whoever_only_reads_it_meanwhile_has_it_hashed_again(cache: Cache, version: Manifest, partial: Path, hashed: list[int]) -> None:
    # given
    def look(_moved: Moved) -> None:
        if not hashed:
            partial.read_bytes()

    # when
    cache.bundle(version, Source((CONTENT, CARD)).origin(told=look))

    # then
    assert sorted(hashed) == sorted([len(CONTENT), len(CARD)])


@pytest.mark.parametrize("touch", TOUCHES)
@pytest.mark.parametrize("far", [30_000, len(CONTENT)])
def test_what_is_done_to_a_file_while_it_is_fetched_is_found_and_put_right(
    cache: Cache, version: Manifest, partial: Path, repairs: list[str], far: int, touch: Callable[[Path], None]
) -> None:
    # given
    touched = list[int]()

    def meddle(moved: Moved) -> None:
        if moved.done >= far and not touched:
            touched.append(moved.done)
            touch(partial)

    # when
    seal = cache.bundle(version, Source((CONTENT, CARD)).origin(told=meddle))

    # then
    assert touched
    assert (seal.directory / "weights" / "0").read_bytes() == CONTENT
    assert (seal.directory / "weights" / "0").stat().st_nlink == 1
    assert repairs
    seal.refuse_change()


@pytest.mark.parametrize("touch", TOUCHES)
def test_so_is_what_is_done_to_it_when_it_is_whole_and_not_yet_in_its_place(
    cache: Cache, version: Manifest, partial: Path, repairs: list[str], touch: Callable[[Path], None]
) -> None:
    # given
    def meddle() -> None:
        if not repairs and partial.exists() and partial.stat().st_size == len(CONTENT):
            with suppress(FileExistsError):
                touch(partial)

    # when: the small file is fetched when the large one is whole
    seal = cache.bundle(version, Source((CONTENT, CARD), before=meddle).origin())

    # then
    assert (seal.directory / "weights" / "0").read_bytes() == CONTENT
    assert repairs
    seal.refuse_change()


def test_one_who_had_it_open_from_before_changes_nothing_unseen(cache: Cache, version: Manifest, partial: Path, repairs: list[str]) -> None:
    # given
    with pytest.raises(RegistryUnavailable):
        cache.bundle(version, Source((CONTENT, CARD), breaks=[60_000]).origin())
    program = f"file = open({str(partial)!r}, 'r+b', 0); print(flush=True); input(); file.write(b'!'); print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()

        def meddle(moved: Moved) -> None:
            if moved.done >= len(CONTENT) and not repairs and other.stdin and other.stdout:
                with suppress(BrokenPipeError):
                    other.stdin.write(b"\n")
                    other.stdout.readline()

        # when
        seal = cache.bundle(version, Source((CONTENT, CARD)).origin(told=meddle))
        assert other.wait(SOON_S) == 0

    # then
    assert (seal.directory / "weights" / "0").read_bytes() == CONTENT
    assert repairs[0] == str(seal.directory / "weights" / "0")
    seal.refuse_change()


def test_one_who_mapped_it_before_changes_nothing_unseen(cache: Cache, version: Manifest, partial: Path, repairs: list[str]) -> None:
    # given
    with pytest.raises(RegistryUnavailable):
        cache.bundle(version, Source((CONTENT, CARD), breaks=[60_000]).origin())
    with mapped(partial) as mapping:

        def meddle(moved: Moved) -> None:
            if moved.done >= len(CONTENT):
                mapping[:1] = b"!"

        # when
        seal = cache.bundle(version, Source((CONTENT, CARD)).origin(told=meddle))

    # then
    assert (seal.directory / "weights" / "0").read_bytes() == CONTENT
    assert repairs[0] == str(seal.directory / "weights" / "0")
    seal.refuse_change()


@pytest.mark.parametrize("number", range(ATTEMPTS))
def test_what_is_written_just_when_it_is_in_its_place_is_put_right_or_refused(
    local_folder: Path, cache: Cache, version: Manifest, number: int
) -> None:
    # given
    place = local_folder / "bundles" / version.digest / "weights" / "0"
    over = threading.Event()

    def meddle() -> None:
        while not over.is_set():
            with suppress(FileNotFoundError), place.open("r+b") as file:
                file.seek(number)
                file.write(b"!")
                return

    meddling = threading.Thread(target=meddle)

    # when
    meddling.start()
    seal = cache.bundle(version, Source((CONTENT, CARD)).origin())
    content = place.read_bytes()
    over.set()
    meddling.join()

    # then
    with suppress(ChangedMeanwhile):
        seal.refuse_change()
        assert content == CONTENT


def test_nobody_who_opens_it_waits_for_the_one_who_fetches_it(cache: Cache, version: Manifest, partial: Path) -> None:
    # given: a registry that hands out half of it and then nothing
    stalls, goes_on = threading.Event(), threading.Event()

    def wait(moved: Moved) -> None:
        if moved.done >= len(CONTENT) / 2:
            stalls.set()
            goes_on.wait(2 * SOON_S)

    fetching_it = threading.Thread(target=cache.bundle, args=(version, Source((CONTENT, CARD)).origin(told=wait)))
    reading = threading.Thread(target=partial.read_bytes)

    # when
    fetching_it.start()
    assert stalls.wait(SOON_S)
    reading.start()
    reading.join(SOON_S)
    had_to_wait = reading.is_alive()
    goes_on.set()
    fetching_it.join()

    # then
    assert not had_to_wait


def test_two_processes_and_their_threads_all_get_what_one_of_them_fetches(local_folder: Path) -> None:
    # given
    (write_files(local_folder / "bundle") / fetching.FILES[1]).write_bytes(CONTENT)
    RegistryClient(FilesBackend(local_folder / "registry"), Cache(local_folder / "other")).publish(load_bundle(local_folder / "bundle"))
    ended = list[tuple[int, str]]()

    def play() -> None:
        with Nursery("tests.crashes.fetching") as nursery:
            found = nursery.play(fetching.fetch_together, folder=str(local_folder), threads=8)
            ended.append((found.code, found.said))

    # when
    processes = [threading.Thread(target=play) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    # then
    assert ended == [(0, "8"), (0, "8")]
