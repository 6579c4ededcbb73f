"""What is said of a version while it is fetched to be loaded, from a registry in a folder."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import DigestMismatch
from registry_client.transfers import Moved
from registry_client.versions import ModelVersion
from serving.bootstrap.fetching import PAUSE_S, FetchNote, fetch, sentence
from serving.core.routing import Target
from serving.stores.progress_notes import ProgressNotes
from tests.fakes.bundles import write_files

MIB = 2**20
WEIGHTS = "weights/model.onnx.data"


class KeptNotes(ProgressNotes):
    """Notes of a node; after each it is kept what a reader finds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.read_so_far = list[str]()

    def say(self, digest: str, progress: str) -> None:
        super().say(digest, progress)
        self.read_so_far.append(ProgressNotes(self._folder).read(digest))


class Ticking:
    """A clock on which so many seconds go by between two looks."""

    def __init__(self, step: float) -> None:
        self._times: Iterator[int] = itertools.count()
        self._step = step

    def __call__(self) -> float:
        return next(self._times) * self._step


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def target(tmp_path: Path, registry: Path) -> Target:
    """A published version with weights of 20 MiB."""
    folder = write_files(tmp_path / "bundle")
    (folder / WEIGHTS).write_bytes(bytes(20 * MIB))
    published = RegistryClient(FilesBackend(registry), Cache(tmp_path / "publisher")).publish(load_bundle(folder))
    return Target("digits", ModelVersion.parse("1.0.0"), published.manifest_digest)


@pytest.fixture
def client(tmp_path: Path, registry: Path) -> RegistryClient:
    return RegistryClient(FilesBackend(registry), Cache(tmp_path / "cache"))


@pytest.fixture
def notes(tmp_path: Path) -> KeptNotes:
    return KeptNotes(tmp_path / "loading")


def test_a_version_that_is_fetched_says_how_much_of_it_is_there(client: RegistryClient, target: Target, notes: KeptNotes) -> None:
    # when
    fetched = fetch(client, target, notes, Ticking(PAUSE_S))

    # then
    assert fetched.digest == target.digest
    whole = [f"fetching {done} of 21 MiB" for done in range(21)]
    assert list(dict.fromkeys(notes.read_so_far)) == whole
    assert notes.read(target.digest) == ""


def test_it_is_said_at_most_four_times_a_second(client: RegistryClient, target: Target, notes: KeptNotes) -> None:
    # when
    fetch(client, target, notes, Ticking(PAUSE_S / 10))

    # then
    blocks = 20 * MIB // 2**19
    assert 1 < len(notes.read_so_far) <= blocks // 10 + 1


def test_what_is_here_already_is_not_said_to_be_fetched(client: RegistryClient, target: Target, notes: KeptNotes) -> None:
    # given
    fetch(client, target, ProgressNotes(notes._folder))

    # when
    fetch(client, target, notes, Ticking(PAUSE_S))

    # then
    assert notes.read_so_far == []


def test_of_a_fetch_that_fails_no_note_is_left(client: RegistryClient, target: Target, notes: KeptNotes, registry: Path) -> None:
    # given
    for path in registry.rglob("*"):
        if path.is_file() and path.stat().st_size == 20 * MIB:
            path.chmod(0o600)
            path.write_bytes(b"x" * 20 * MIB)

    # when
    with pytest.raises(DigestMismatch):
        fetch(client, target, notes, Ticking(PAUSE_S))

    # then
    assert notes.read_so_far
    assert notes.read(target.digest) == ""


def test_it_is_said_in_whole_mebibytes() -> None:
    assert sentence(Moved("a", 312 * MIB + 1, 1024 * MIB)) == "fetching 312 of 1,024 MiB"
    assert sentence(Moved("a", 10, 11)) == "fetching 0 of 1 MiB"


def test_the_first_note_is_said_at_once(tmp_path: Path) -> None:
    notes = KeptNotes(tmp_path)

    FetchNote(notes, "abc")(Moved("a", 0, MIB))

    assert notes.read_so_far == ["fetching 0 of 1 MiB"]
