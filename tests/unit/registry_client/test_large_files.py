"""Of large files the cache keeps one copy, in the bundle that has it; here everything from 1 KiB on is large."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.blobs import Housekeeping
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import NotEnoughRoom, RegistryUnavailable
from registry_client.manifest import Artifact, Manifest
from registry_client.origins import Origin
from registry_client.sweeping import FRESH_S, CacheSweep
from registry_client.transfers import Moved, Tally, free_space
from tests.fakes.sources import Source, artifact_of, manifest_of

WriteBundle = Callable[..., Path]

FIRST = b"first" * 10_000
SECOND = b"second" * 10_000
CARD = b"a card"
KEEPING = Housekeeping(large=1024)


@pytest.fixture
def manifest(write_bundle: WriteBundle) -> Manifest:
    return load_bundle(write_bundle("any")).manifest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def cache(home: Path, repairs: list[str]) -> Cache:
    return Cache(home, repairs.append, KEEPING)


def contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()]


def on_disk(home: Path) -> int:
    """Bytes of all files; a link is none."""
    return sum(path.lstat().st_size for path in home.rglob("*") if path.is_file() and not path.is_symlink())


def test_a_large_file_is_on_the_disk_once(cache: Cache, home: Path, manifest: Manifest) -> None:
    # given
    version = manifest_of(manifest, FIRST, CARD)

    # when
    directory = cache.bundle(version, Source((FIRST, CARD)).origin()).directory

    # then
    assert contents(directory) == [FIRST, CARD]
    assert (directory / "weights" / "0").stat().st_mode & 0o777 == 0o444
    assert on_disk(home) == len(FIRST) + 2 * len(CARD) + len(version.canonical())


def test_another_version_with_the_same_file_copies_it_and_asks_nobody(cache: Cache, manifest: Manifest) -> None:
    # given
    cache.bundle(manifest_of(manifest, FIRST), Source((FIRST,)).origin())
    source = Source((SECOND,))

    # when
    directory = cache.bundle(manifest_of(manifest, FIRST, SECOND), source.origin()).directory

    # then
    assert contents(directory) == [FIRST, SECOND]
    assert source.parts == [(start, 10_000) for start in range(0, len(SECOND), 10_000)]
    assert [(directory / f"weights/{number}").stat().st_nlink for number in (0, 1)] == [1, 1]


def test_a_copy_that_is_damaged_is_not_passed_on(cache: Cache, manifest: Manifest, repairs: list[str]) -> None:
    # given
    damaged = cache.bundle(manifest_of(manifest, FIRST), Source((FIRST,)).origin()).directory / "weights" / "0"
    damaged.chmod(0o644)
    damaged.write_bytes(FIRST[:-1] + b"?")

    # when
    directory = cache.bundle(manifest_of(manifest, FIRST, SECOND), Source((FIRST, SECOND)).origin()).directory

    # then
    assert contents(directory) == [FIRST, SECOND]
    assert len(repairs) == 1


def test_a_damaged_large_file_is_put_right(cache: Cache, manifest: Manifest, repairs: list[str]) -> None:
    # given
    version = manifest_of(manifest, FIRST, SECOND)
    directory = cache.bundle(version, Source((FIRST, SECOND)).origin()).directory
    (directory / "weights" / "1").unlink()

    # when
    again = cache.bundle(version, Source((FIRST, SECOND)).origin()).directory

    # then
    assert contents(again) == [FIRST, SECOND]
    assert repairs == [str(directory / "weights" / "1")]


def test_one_file_under_two_names_is_two_files(cache: Cache, manifest: Manifest) -> None:
    # given
    source = Source((FIRST,))

    # when
    directory = cache.bundle(manifest_of(manifest, FIRST, FIRST), source.origin()).directory

    # then
    assert contents(directory) == [FIRST, FIRST]
    assert len(source.parts) == len(FIRST) / 10_000


def test_what_came_before_the_registry_went_away_is_not_asked_for_again(cache: Cache, manifest: Manifest) -> None:
    # given
    version = manifest_of(manifest, FIRST)
    source = Source((FIRST,), breaks=[30_000])
    with pytest.raises(RegistryUnavailable):
        cache.bundle(version, source.origin())

    # when
    source.breaks.clear()
    directory = cache.bundle(version, source.origin()).directory

    # then
    assert contents(directory) == [FIRST]
    assert sorted(source.parts) == [(start, 10_000) for start in range(0, len(FIRST), 10_000)]


def test_several_who_fetch_versions_that_share_large_files_all_get_them(home: Path, manifest: Manifest) -> None:
    # given
    versions = [manifest_of(manifest, *files) for files in ((FIRST, SECOND), (SECOND, FIRST), (FIRST,), (SECOND,))]
    together = threading.Barrier(8)
    got = list[bool]()

    def fetch(version: Manifest, expected: list[bytes]) -> None:
        cache = Cache(home, keeping=KEEPING)
        together.wait()
        got.append(contents(cache.bundle(version, Source((FIRST, SECOND)).origin()).directory) == expected)

    # when
    expected = [[FIRST, SECOND], [SECOND, FIRST], [FIRST], [SECOND]]
    threads = [threading.Thread(target=fetch, args=each) for each in [*zip(versions, expected, strict=True)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    assert got == [True] * 8


def test_a_fetch_that_does_not_fit_is_refused_before_anything_is_written(home: Path, manifest: Manifest) -> None:
    # given
    source = Source((FIRST, CARD))
    cache = Cache(home, keeping=replace(KEEPING, free=lambda _: len(FIRST)))

    # when
    with pytest.raises(NotEnoughRoom) as refused:
        cache.bundle(manifest_of(manifest, FIRST, CARD), source.origin())

    # then
    assert str(refused.value) == f"{home} needs 48.84 KiB, and 48.83 KiB are free"
    assert refused.value.needed == len(FIRST) + 2 * len(CARD)
    assert "pointsman gc" in refused.value.hint
    assert (source.parts, source.streams, home.exists()) == ([], 0, False)


def test_what_an_earlier_try_left_needs_no_room_again(home: Path, manifest: Manifest) -> None:
    # given
    (home / "partial").mkdir(parents=True)
    (home / "partial" / artifact_of(FIRST).sha256).write_bytes(FIRST[:40_000])
    cache = Cache(home, keeping=replace(KEEPING, free=lambda _: len(FIRST) - 40_000))

    # when / then
    assert contents(cache.bundle(manifest_of(manifest, FIRST), Source((FIRST,)).origin()).directory) == [FIRST]


def test_a_publication_that_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path, write_bundle: WriteBundle) -> None:
    # given
    bundle = load_bundle(write_bundle())
    small = RegistryClient(FilesBackend(tmp_path / "small", free=lambda _: 100), Cache(tmp_path / "cache"))

    # when / then
    with pytest.raises(NotEnoughRoom, match=r"small needs \d+ bytes, and 100 bytes are free"):
        small.publish(bundle)
    assert not (tmp_path / "small").exists()


def test_what_is_there_already_needs_no_room(tmp_path: Path, write_bundle: WriteBundle) -> None:
    # given
    registry = tmp_path / "registry"
    RegistryClient(FilesBackend(registry), Cache(tmp_path / "cache")).publish(load_bundle(write_bundle("one", version="1.0.0")))
    full = RegistryClient(FilesBackend(registry, free=lambda _: 0), Cache(tmp_path / "cache"))

    # when
    written = write_bundle("two", version="1.0.1")

    # then
    assert full.publish(load_bundle(written)).created


def test_the_room_of_a_folder_that_is_not_there_is_that_of_its_disk(tmp_path: Path) -> None:
    free = free_space(tmp_path / "not" / "there")

    assert 0 < free < free_space(tmp_path) * 1.5


def test_publishing_and_fetching_tell_how_far_all_files_are(tmp_path: Path, write_bundle: WriteBundle) -> None:
    # given
    client = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache", keeping=KEEPING))
    up, down = list[Moved](), list[Moved]()

    # when
    published = client.publish(load_bundle(write_bundle()), told=up.append)
    client.fetch("digits", "1.0.0", told=down.append)

    # then
    artifacts = published.manifest.artifacts
    size = sum(each.size for each in artifacts)
    for told in (up, down):
        assert {each.what for each in told} == {each.path for each in artifacts}
        assert {each.size for each in told} == {size}
        assert [each.done for each in told] == sorted(each.done for each in told)
        assert told[-1].done == size


def test_of_files_that_the_registry_has_already_it_is_told_that_they_are_done(tmp_path: Path, write_bundle: WriteBundle) -> None:
    # given
    client = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))
    client.publish(load_bundle(write_bundle("first")))
    told = list[Moved]()

    # when
    published = client.publish(load_bundle(write_bundle("second", version="1.0.1")), told=told.append)

    # then
    size = sum(each.size for each in published.manifest.artifacts)
    assert (told[-1].done, told[-1].size) == (size, size)


def test_a_tally_adds_files_up_also_when_one_begins_anew() -> None:
    # given
    told = list[Moved]()
    tally = Tally(told.append, 100)

    # when
    tally(Moved("a", 60, 60))
    tally(Moved("b", 30, 40))
    tally(Moved("b", 0, 40))
    tally.expect(10)
    tally(Moved("b", 40, 40))

    # then
    assert told == [Moved("a", 60, 100), Moved("b", 90, 100), Moved("b", 60, 100), Moved("b", 100, 110)]


def test_a_partial_file_that_nobody_goes_on_with_is_swept(cache: Cache, home: Path, manifest: Manifest) -> None:
    # given
    with pytest.raises(RegistryUnavailable):
        cache.bundle(manifest_of(manifest, FIRST), Source((FIRST,), breaks=[30_000]).origin())
    (home / ".staging" / "tmpkilled").mkdir()
    (home / ".staging" / "tmpkilled" / "blob").write_bytes(b"half")
    now = home.stat().st_mtime

    # when / then
    assert list(CacheSweep(home, (), now + FRESH_S / 2).run()) == []
    taken = list(CacheSweep(home, (), now + 2 * FRESH_S).run())
    assert [(swept.kind, swept.size) for swept in taken] == [("partial file", 30_000), ("unfinished", 4)]
    assert list((home / "partial").iterdir()) == []


def test_a_swept_bundle_leaves_other_bundles_whole_and_its_files_are_fetched_again(cache: Cache, home: Path, manifest: Manifest) -> None:
    # given
    one, two = manifest_of(manifest, FIRST), manifest_of(manifest, FIRST, SECOND)
    for version in (one, two):
        cache.bundle(version, Source((FIRST, SECOND)).origin())
    list(CacheSweep(home, (one.digest,), home.stat().st_mtime + 2 * FRESH_S).run())

    def refuse(artifact: Artifact) -> None:
        raise AssertionError(artifact.path)

    # when / then
    assert contents(cache.bundle(one, Origin(refuse)).directory) == [FIRST]  # type: ignore[arg-type]
    assert contents(cache.bundle(two, Source((FIRST, SECOND)).origin()).directory) == [FIRST, SECOND]
