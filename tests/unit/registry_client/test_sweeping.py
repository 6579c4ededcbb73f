import os
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.sweeping import FRESH_S, CacheSweep, Swept
from tests.fakes.bundles import model_of

WriteBundle = Callable[..., Path]
LATER = 2 * FRESH_S


class Site:
    """Two versions of digits, published and fetched; the second has another graph."""

    def __init__(self, folder: Path, write_bundle: WriteBundle) -> None:
        self.folder = folder
        self.root = folder / "cache"
        client = self.client()
        for version, word in (("1.0.0", "same"), ("1.1.0", "other")):
            client.publish(load_bundle(write_bundle(version, version=version, model=model_of(word))))
        self.digests = [client.fetch("digits", version).digest for version in ("1.0.0", "1.1.0")]
        self.now = self.root.stat().st_mtime

    def client(self) -> RegistryClient:
        return RegistryClient(FilesBackend(self.folder / "registry"), Cache(self.root))

    def sweep(self, *needed: str, after: float = LATER, is_rehearsal: bool = False) -> list[Swept]:
        return list(CacheSweep(self.root, needed, self.now + after, is_rehearsal).run())

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def site(tmp_path: Path, write_bundle: WriteBundle) -> Site:
    return Site(tmp_path / "site", write_bundle)


def test_what_is_not_needed_goes_and_what_is_stays_whole(site: Site) -> None:
    # when
    taken = site.sweep(site.digests[1])

    # then
    assert [(swept.kind, swept.name) for swept in taken[:2]] == [("manifest", f"{site.digests[0]}.json"), ("bundle", site.digests[0])]
    assert [swept.kind for swept in taken[2:]] == ["file"]  # its graph: the rest is shared
    assert all(swept.size > 0 for swept in taken)
    kept = site.client().fetch("digits", "1.1.0", expected_digest=site.digests[1])
    assert (site.root / "bundles" / site.digests[1]) == kept.directory
    assert not (site.root / "bundles" / site.digests[0]).exists()


def test_a_needed_version_serves_on_without_the_registry(site: Site) -> None:
    # given
    site.sweep(site.digests[1])
    (site.folder / "registry").rename(site.folder / "away")

    # when / then
    assert site.client().fetch("digits", "1.1.0", expected_digest=site.digests[1]).digest == site.digests[1]


def test_what_went_is_fetched_again_when_it_is_needed_after_all(site: Site) -> None:
    site.sweep()

    assert site.client().fetch("digits", "1.0.0").digest == site.digests[0]


def test_the_registry_and_the_ledger_are_never_touched(site: Site) -> None:
    # given
    registry = sorted(str(path) for path in (site.folder / "registry").rglob("*"))
    ledger = (site.root / "ledger.jsonl").read_bytes()

    # when
    site.sweep()

    # then
    assert sorted(str(path) for path in (site.folder / "registry").rglob("*")) == registry
    assert (site.root / "ledger.jsonl").read_bytes() == ledger
    assert site.files() == {"ledger.jsonl"}


def test_what_is_fresh_stays(site: Site) -> None:
    assert site.sweep(after=FRESH_S / 2) == []


def test_a_rehearsal_says_the_same_and_takes_nothing(site: Site) -> None:
    # given
    before = site.files()

    # when
    rehearsed = site.sweep(is_rehearsal=True)

    # then
    assert site.files() == before
    assert rehearsed == site.sweep()


def test_a_manifest_that_cannot_be_read_is_of_no_use(site: Site) -> None:
    # given
    path = site.root / "manifests" / f"{site.digests[0]}.json"
    path.write_bytes(b"{}")
    os.utime(path, (site.now, site.now))

    # when
    site.sweep(*site.digests)

    # then
    assert not path.exists()
    assert site.client().fetch("digits", "1.0.0").digest == site.digests[0]


def test_a_note_of_an_upload_that_nobody_goes_on_with_goes(site: Site) -> None:
    # given
    uploads = site.root / "uploads"
    uploads.mkdir()
    (uploads / ("ab" * 32)).write_text("/v2/models/digits/blobs/uploads/1")

    # when
    fresh, taken = [site.sweep(*site.digests, after=after) for after in (FRESH_S / 2, LATER)]

    # then
    assert fresh == []
    assert [(swept.kind, swept.name) for swept in taken] == [("note of an upload", "ab" * 32)]
    assert list(uploads.iterdir()) == []


def test_where_nothing_was_ever_cached_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    assert list(CacheSweep(tmp_path / "nowhere", (), 0.0).run()) == []
