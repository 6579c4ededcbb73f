from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from registry_client.address import RegistryPlan
from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import ImmutabilityViolation
from registry_client.ledger import Ledger
from serving.bootstrap.layout import Layout
from serving.bootstrap.registry import PublishedVersions, open_published
from tests.fakes.bundles import model_of, write_files


class Counted:
    """The `IntegrityRecorder` as a list."""

    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def violated(self, family: str, version: str) -> None:
        self.violations.append((family, version))


class Site:
    """An installation that has seen a version, which somebody then puts another in the place of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.layout = Layout(folder / "data", RegistryPlan.at(folder / "registry"), folder / "sockets", folder / "memory")
        self.recorder = Counted()
        self.versions = PublishedVersions(self.layout, self.recorder)

    def publish(self, word: str) -> str:
        stranger = RegistryClient(FilesBackend(self._folder / "registry"), Cache(self._folder / f"stranger-{word}"))
        return stranger.publish(load_bundle(write_files(self._folder / word, model=model_of(word)))).manifest_digest

    def replace(self, word: str) -> str:
        (self._folder / "registry" / "families").rename(self._folder / f"before-{word}")
        return self.publish(word)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def log() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(processors=before)


async def test_a_version_that_became_another_is_refused_counted_and_told_once(site: Site, log: LogCapture) -> None:
    # given
    first = site.publish("first")
    assert await site.versions.digest("digits", "1.0.0") == first
    other = site.replace("other")

    # when
    for _ in range(2):
        with pytest.raises(ImmutabilityViolation):
            await site.versions.digest("digits", "1.0.0")

    # then
    assert site.recorder.violations == [("digits", "1.0.0")] * 2
    [event] = [event for event in log.entries if event["event"] == "immutability_violation"]
    assert (event["family"], event["version"], event["recorded"], event["found"]) == ("digits", "1.0.0", first, other)


async def test_the_copy_that_was_first_seen_is_still_handed_out_and_the_other_is_not(site: Site) -> None:
    # given
    first = site.publish("first")
    replica = open_published(site.layout, site.recorder)
    kept = replica.fetch("digits", "1.0.0", expected_digest=first)
    site.replace("other")

    # when
    again = open_published(site.layout, site.recorder).fetch("digits", "1.0.0", expected_digest=first)
    with pytest.raises(ImmutabilityViolation):
        open_published(site.layout, site.recorder).fetch("digits", "1.0.0")

    # then
    assert (again.directory, again.digest) == (kept.directory, first)
    assert site.recorder.violations == [("digits", "1.0.0")]


async def test_a_version_is_as_it_was_when_what_was_published_is_put_back(site: Site, tmp_path: Path) -> None:
    # given
    first = site.publish("first")
    await site.versions.digest("digits", "1.0.0")
    site.replace("other")
    with pytest.raises(ImmutabilityViolation):
        await site.versions.digest("digits", "1.0.0")

    # when
    (tmp_path / "registry" / "families").rename(tmp_path / "aside")
    (tmp_path / "before-other").rename(tmp_path / "registry" / "families")

    # then
    assert await site.versions.digest("digits", "1.0.0") == first
    assert [entry.found != "" for entry in Ledger.of(site.layout.data).entries()] == [False, True]


async def test_what_the_command_line_has_seen_the_installation_has_seen(site: Site) -> None:
    # given
    first = site.publish("first")
    Ledger.of(site.layout.data).check(f"file://{site.layout.registry.folder}", "digits", "1.0.0", "ab" * 32)

    # when
    with pytest.raises(ImmutabilityViolation) as violation:
        await site.versions.digest("digits", "1.0.0")

    # then
    assert (violation.value.recorded, violation.value.found) == ("ab" * 32, first)
