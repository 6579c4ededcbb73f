"""A disk that is really full, or fills up on the way: the refusal has the numbers, nothing half is to be seen, and with room it goes on."""

import errno
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.blobs import Housekeeping
from registry_client.bundle import Bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import NotEnoughRoom, UnknownComponent, UnknownFamily
from registry_client.ledger import Ledger
from registry_client.library import ComponentBundle, Library, load_component
from registry_client.transfers import Moved, filling, free_space
from tests.crashes import fetching
from tests.crashes.nursery import Nursery
from tests.fakes.bundles import WEIGHTS

SIZE = 2**20 + 100
"""Bytes that are no whole number of blocks: the last of them fill up the disk, too."""
CONTENT = b"".join(number.to_bytes(4, "big") for number in range(SIZE // 4))
DISK = 8 * 2**20
LITTLE = 2**19
COMPONENT = """\
component: {name: words, version: 1.0.0, kind: python, entry: "words:build", files: [words.py, table.bin], config: {}}
created_by: ada
"""
LARGE, SMALL = Housekeeping(large=2**19), Housekeeping()


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system of its own, which can be filled."""

    place: Path

    def fill(self, *, but: int = 0) -> None:
        """Leave so many bytes."""
        self.relieve()
        with (self.place / "ballast").open("wb") as ballast:
            ballast.write(bytes(free_space(self.place) - but))

    def relieve(self) -> None:
        """Take out what it was filled with."""
        (self.place / "ballast").unlink(missing_ok=True)

    def fill_at(self, step: int) -> Callable[[Moved], None]:
        """Somebody who fills it when he is told for that time, counted from 0."""
        told = itertools.count()
        return lambda _moved: self.fill() if next(told) == step else None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", "mode=700") as disk:
        yield disk


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Disk]:
    """A small disk in memory. Skips the test where there can be none."""
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("there is no `mount` here to make a small disk with")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={DISK},{options}", "tmpfs", place], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"this user may not mount a small disk: {done.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def component(tmp_path: Path) -> ComponentBundle:
    folder = tmp_path / "component"
    folder.mkdir()
    (folder / "component.yaml").write_text(COMPONENT, "utf-8")
    (folder / "words.py").write_text("def build(config): ...\n", "utf-8")
    (folder / "table.bin").write_bytes(CONTENT)
    return load_component(folder)


@pytest.fixture
def published(bundle: Bundle, tmp_path: Path) -> FilesBackend:
    """A registry on another disk that has the version."""
    backend = FilesBackend(tmp_path / "registry")
    RegistryClient(backend, Cache(tmp_path / "publisher")).publish(bundle)
    return backend


def caching(backend: FilesBackend, disk: Disk, keeping: Housekeeping) -> RegistryClient:
    """A client whose cache is on the disk; of its ledger another test is."""
    return RegistryClient(backend, Cache(disk.place / "cache", keeping=keeping), Ledger(disk.place.parent / "ledger.jsonl"))


def blobs(registry: Path) -> list[Path]:
    """The files that a registry keeps."""
    return [path for path in (registry / "blobs").rglob("*") if path.is_file()]


def is_invisible(registry: Path) -> bool:
    """Whether nobody sees anything of the version in a registry, and each of its files is whole."""
    client = RegistryClient(FilesBackend(registry), Cache(registry.parent / "nobody" / str(uuid4())))
    with pytest.raises(UnknownFamily):
        client.versions("digits")
    return not client.families() and all(sha256(path.read_bytes()).hexdigest() == path.name for path in blobs(registry))


# --- fetching -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keeping", "needed"), [(LARGE, 1), (SMALL, 2)])
def test_a_fetch_that_has_no_room_says_what_it_needs_and_writes_nothing(
    published: FilesBackend, disk: Disk, keeping: Housekeeping, needed: int
) -> None:
    # given
    client = caching(published, disk, keeping)
    disk.fill(but=LITTLE)

    # when
    with pytest.raises(NotEnoughRoom, match=rf"cache needs {needed}(\.00\d)? MiB, and 512 KiB are free") as refused:
        client.fetch("digits", "1.0.0")

    # then
    assert "pointsman gc" in refused.value.hint
    assert [path.name for path in disk.place.iterdir()] == ["ballast"]
    disk.relieve()
    assert client.fetch("digits", "1.0.0").path(WEIGHTS).read_bytes() == CONTENT


@pytest.mark.parametrize("keeping", [LARGE, SMALL])
def test_whenever_the_disk_fills_up_during_a_fetch_nothing_half_is_seen_and_with_room_it_goes_on(
    published: FilesBackend, disk: Disk, keeping: Housekeeping
) -> None:
    for step in itertools.count():
        # given
        client = caching(published, disk, keeping)

        # when
        try:
            client.fetch("digits", "1.0.0", told=disk.fill_at(step))
        except NotEnoughRoom as refused:
            assert "filled up, and 0 bytes are free" in str(refused)  # noqa: PT017 - in the end there is room
        else:
            assert step > SIZE // 2**19
            return

        # then
        assert list((disk.place / "cache").glob("bundles/*")) == []
        disk.relieve()
        assert client.fetch("digits", "1.0.0").path(WEIGHTS).read_bytes() == CONTENT
        shutil.rmtree(disk.place / "cache")


def test_what_came_of_a_large_file_before_the_disk_was_full_is_not_fetched_again(published: FilesBackend, disk: Disk) -> None:
    # given
    client = caching(published, disk, LARGE)
    with pytest.raises(NotEnoughRoom):
        client.fetch("digits", "1.0.0", told=lambda moved: disk.fill() if moved.done > 2**19 else None)
    disk.relieve()
    told = list[Moved]()

    # when
    client.fetch("digits", "1.0.0", told=told.append)

    # then
    assert next(moved.done for moved in told if moved.what == WEIGHTS) > 2**19


def test_a_ledger_that_cannot_be_written_says_that_the_disk_is_full(published: FilesBackend, disk: Disk, tmp_path: Path) -> None:
    # given
    client = RegistryClient(published, Cache(tmp_path / "cache"), Ledger(disk.place / "ledger" / "ledger.jsonl"))
    disk.fill()

    # when
    with pytest.raises(NotEnoughRoom, match="filled up, and 0 bytes are free"):
        client.fetch("digits", "1.0.0")

    # then
    disk.relieve()
    fetched = client.fetch("digits", "1.0.0")
    assert [entry.digest for entry in client.ledger()] == [fetched.digest]


# --- publishing -----------------------------------------------------------------------------------------------------


def test_a_publication_that_has_no_room_says_what_it_needs_and_writes_nothing(bundle: Bundle, disk: Disk, tmp_path: Path) -> None:
    # given
    registry = disk.place / "registry"
    client = RegistryClient(FilesBackend(registry), Cache(tmp_path / "cache"))
    disk.fill(but=LITTLE)

    # when
    with pytest.raises(NotEnoughRoom, match=r"registry needs 1(\.00\d)? MiB, and 512 KiB are free"):
        client.publish(bundle)

    # then
    assert not registry.exists()
    disk.relieve()
    assert client.publish(bundle).created


def test_whenever_the_disk_fills_up_during_a_publication_nothing_half_is_seen_and_with_room_it_goes_on(
    bundle: Bundle, disk: Disk, tmp_path: Path
) -> None:
    registry = disk.place / "registry"
    for step in itertools.count():
        # given
        client = RegistryClient(FilesBackend(registry), Cache(tmp_path / f"cache{step}"))
        told = disk.fill_at(step)

        # when
        try:
            client.publish(bundle, told=told)
        except NotEnoughRoom as refused:
            assert "filled up, and 0 bytes are free" in str(refused)  # noqa: PT017 - in the end there is room
        else:
            assert step > SIZE // 2**19
            return

        # then
        disk.relieve()
        assert is_invisible(registry)
        assert client.publish(bundle).created
        assert client.fetch("digits", "1.0.0").path(WEIGHTS).read_bytes() == CONTENT
        shutil.rmtree(registry)


def test_a_component_that_has_no_room_is_refused_before_anything_is_written(component: ComponentBundle, disk: Disk, tmp_path: Path) -> None:
    # given
    registry = disk.place / "registry"
    library = Library(FilesBackend(registry), Cache(tmp_path / "cache"))
    disk.fill(but=LITTLE)

    # when
    with pytest.raises(NotEnoughRoom, match=r"registry needs 1(\.00\d)? MiB, and 512 KiB are free"):
        library.publish(component)

    # then
    assert not registry.exists()
    disk.relieve()
    assert library.publish(component)


def test_whenever_the_disk_fills_up_during_a_component_nothing_half_is_seen_and_with_room_it_goes_on(
    component: ComponentBundle, disk: Disk, tmp_path: Path
) -> None:
    registry = disk.place / "registry"
    for step in itertools.count():
        # given
        library = Library(FilesBackend(registry), Cache(tmp_path / f"cache{step}"))

        # when
        try:
            library.publish(component, told=disk.fill_at(step))
        except NotEnoughRoom:
            disk.relieve()
        else:
            assert step > SIZE // 2**19
            return

        # then
        with pytest.raises(UnknownComponent):
            library.versions("words")
        assert is_invisible(registry)
        assert library.publish(component)
        directory = library.fetch("words", "1.0.0").directory
        assert (directory / "components/words-1.0.0/table.bin").read_bytes() == CONTENT
        shutil.rmtree(registry)


def test_a_disk_that_takes_no_more_files_is_said_to_whatever_room_it_has(published: FilesBackend, tmp_path: Path) -> None:
    # given
    with mounted(tmp_path / "disk", "mode=700,nr_inodes=12") as disk:
        client = caching(published, disk, SMALL)

        # when
        with pytest.raises(NotEnoughRoom, match=r"takes no more: the file system has no room for more files, and \d+(\.\d+)? MiB are free"):
            client.fetch("digits", "1.0.0")

        # then
        assert list((disk.place / "cache").glob("bundles/*")) == []


# --- without a disk of its own --------------------------------------------------------------------------------------


def test_a_user_whose_quota_is_used_up_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughRoom, match=r"takes no more: this user has a quota there, and .* are free"), filling(tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


@pytest.mark.parametrize("work", [fetching.fetch_within, fetching.publish_within])
def test_a_file_that_may_not_become_that_large_is_said_to_be_and_nothing_half_is_seen(
    bundle: Bundle, tmp_path: Path, work: Callable[..., str]
) -> None:
    # given
    is_fetch = work is fetching.fetch_within
    client = fetching.registry_of(tmp_path)
    if is_fetch:
        client.publish(bundle)

    # when
    with Nursery("tests.crashes.fetching") as nursery:
        ended = nursery.play(work, folder=str(tmp_path), most=2**19)

    # then
    assert ended.code == 0, ended.said
    assert "may not become that large" in ended.said
    assert "ulimit -f" in ended.said
    assert list((tmp_path / "cache").glob("bundles/*")) == []
    assert is_fetch or is_invisible(tmp_path / "registry")
    assert is_fetch or client.publish(bundle).created
    assert client.fetch("digits", "1.0.0").path(WEIGHTS).read_bytes() == CONTENT
