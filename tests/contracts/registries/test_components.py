"""What every registry that keeps a library of components promises, whatever keeps it; one that keeps none says so."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from registry_client.backends.base import Backend, Support
from registry_client.backends.opening import open_library
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import ComponentExists, DigestMismatch, InvalidManifest, MissingBlob, UnknownComponent
from registry_client.library import ComponentBundle, Library, Shelf, load_component
from tests.contracts.registries.desk import at_once
from tests.fixtures.registry_homes import LibraryHome, RegistryHome, opened
from tests.unit.registry_client.sketches import Linear

PUBLISHERS = 16
CODE = "def build(config):\n    return lambda tensors: tensors\n"


class Workshop:
    """Where components are written, and libraries with a cache of their own are opened."""

    def __init__(self, folder: Path, home: RegistryHome) -> None:
        self._folder, self._home, self._count = folder, home, 0

    def library(self) -> Library:
        library = open_library(self._home.plan, Cache(self._aside("cache")))
        assert library is not None
        return library

    def client(self) -> RegistryClient:
        return RegistryClient(opened(self._home), Cache(self._aside("cache")))

    def component(self, name: str = "words", version: str = "1.0.0", code: str = CODE) -> ComponentBundle:
        directory = self._aside("component")
        directory.mkdir()
        (directory / "words.py").write_text(code, "utf-8")
        described = {"name": name, "version": version, "kind": "python", "entry": "words:build", "files": ["words.py"], "config": {}}
        (directory / "component.yaml").write_text(yaml.safe_dump({"component": described, "created_by": "ada"}), "utf-8")
        return load_component(directory)

    def _aside(self, what: str) -> Path:
        self._count += 1
        return self._folder / f"{what}{self._count}"


@pytest.fixture
def workshop(home: RegistryHome, backend: Backend, tmp_path: Path) -> Workshop:
    if backend.capabilities.library is Support.NONE:
        pytest.skip("this kind of registry keeps no library, which a test of its own shows")
    return Workshop(tmp_path, home)


def test_a_library_is_kept_where_that_is_declared(home: RegistryHome, backend: Backend, tmp_path: Path) -> None:
    library = open_library(home.plan, Cache(tmp_path / "cache"))

    assert (library is not None) == isinstance(backend, Shelf) == (backend.capabilities.library is not Support.NONE)


def test_what_was_published_is_what_another_machine_fetches(workshop: Workshop) -> None:
    # given
    bundle = workshop.component()
    library = workshop.library()
    assert list(library.names()) == []

    # when
    created = [library.publish(bundle), library.publish(bundle)]

    # then
    fetched = workshop.library().fetch("words", "1.0.0")
    assert created == [True, False]
    assert fetched.document == bundle.document
    [artifact] = fetched.document.artifacts
    assert (fetched.directory / artifact.path).read_text("utf-8") == CODE


def test_names_and_versions_are_listed_and_are_no_families(workshop: Workshop) -> None:
    # given
    library = workshop.library()
    for name, version in (("words", "1.0.0"), ("words", "1.10.0"), ("words", "1.9.0"), ("digits", "1.0.0")):
        library.publish(workshop.component(name, version))

    # when / then
    assert list(library.names()) == ["digits", "words"]
    assert [str(version) for version in library.versions("words")] == ["1.0.0", "1.9.0", "1.10.0"]
    assert workshop.client().families() == []


def test_another_content_under_a_published_version_is_refused(workshop: Workshop) -> None:
    workshop.library().publish(workshop.component())

    with pytest.raises(ComponentExists):
        workshop.library().publish(workshop.component(code=CODE + "# another\n"))

    assert workshop.library().document("words", "1.0.0") == workshop.library().document("words", "1.0.0")


@pytest.mark.parametrize(
    ("name", "version"), [("words", "9.9.9"), ("absent", "1.0.0"), ("../words", "1.0.0"), ("words", "../1.0.0"), ("", "")]
)
def test_a_name_that_is_none_reaches_nothing(workshop: Workshop, name: str, version: str) -> None:
    workshop.library().publish(workshop.component())

    with pytest.raises(UnknownComponent):
        workshop.library().document(name, version)
    if name != "words":
        with pytest.raises(UnknownComponent):
            workshop.library().versions(name)


def test_nothing_is_published_before_its_files_are_there(workshop: Workshop, home: RegistryHome) -> None:
    # given
    shelf, document = opened(home), workshop.component().document
    assert isinstance(shelf, Shelf)

    # when
    with pytest.raises(MissingBlob):
        shelf.put_component("words", "1.0.0", document.canonical(), document.artifacts)

    # then
    with pytest.raises(UnknownComponent):
        shelf.read_component("words", "1.0.0")


def test_a_file_that_is_another_one_than_it_says_is_not_stored(workshop: Workshop, home: RegistryHome) -> None:
    # given
    shelf, bundle = opened(home), workshop.component(code=CODE + "# of this test\n")
    assert isinstance(shelf, Shelf)
    [artifact] = bundle.document.artifacts
    other = workshop.component(code="x" * artifact.size)

    # when
    with next(iter(other.files.values())).open("rb") as file, pytest.raises(DigestMismatch):
        shelf.put_component_file("words", artifact, file)

    # then
    with pytest.raises(MissingBlob), shelf.open_component_file("words", artifact) as stored:
        stored.read()


def test_a_version_that_pins_one_is_whole_without_the_library(workshop: Workshop, home: RegistryHome, tmp_path: Path) -> None:
    # given
    library = workshop.library()
    library.publish(workshop.component())
    folder = Linear(description={"pipeline": {"post": "words@1.0.0"}}).write(tmp_path / "bundle", "1.0.0")

    # when
    published = workshop.client().publish(load_bundle(folder, library=library))

    # then
    fetched = workshop.client().fetch("sketch", "1.0.0")
    assert fetched.path("components/words-1.0.0/words.py").read_text("utf-8") == CODE
    pinned = {component.sha256 for component in published.manifest.pipeline.components}
    assert pinned == {library.document("words", "1.0.0").component.sha256}
    assert opened(home).families() == ["sketch"], "a version of the library is no family"


def test_a_file_that_was_changed_afterwards_is_not_handed_out(workshop: Workshop, home: LibraryHome) -> None:
    # given
    bundle = workshop.component(code=CODE + "# to be damaged\n")
    workshop.library().publish(bundle)
    [artifact] = bundle.document.artifacts

    # when
    home.overwrite_component_file(artifact, b"x" * artifact.size)

    # then
    with pytest.raises(DigestMismatch):
        workshop.library().fetch("words", "1.0.0")


def test_a_document_that_was_changed_afterwards_is_not_believed(workshop: Workshop, home: LibraryHome) -> None:
    # given
    workshop.library().publish(workshop.component())
    other = workshop.component("others").document.canonical()

    # when
    home.overwrite_component("words", "1.0.0", other)
    of_another_name = pytest.raises(InvalidManifest, match="calls itself others@1")

    # then
    with of_another_name:
        workshop.library().document("words", "1.0.0")
    home.overwrite_component("words", "1.0.0", json.dumps(json.loads(other), indent=1).encode())
    with pytest.raises(InvalidManifest, match="canonical"):
        workshop.library().document("words", "1.0.0")


def test_of_many_who_publish_one_version_at_once_all_see_the_same_in_the_end(workshop: Workshop, backend: Backend) -> None:
    # given
    bundles = [workshop.component(code=f"{CODE}# {number}\n") for number in range(PUBLISHERS)]
    libraries = [workshop.library() for _ in bundles]
    winners = list[str]()

    def publish(number: int) -> None:
        try:
            libraries[number].publish(bundles[number])
        except ComponentExists:
            return
        winners.append(bundles[number].document.component.sha256)

    # when
    at_once(PUBLISHERS, publish)

    # then
    kept = workshop.library().fetch("words", "1.0.0").document.component.sha256
    assert kept in winners
    assert backend.capabilities.cas is Support.NONE or winners == [kept]


def test_a_file_is_kept_once_though_versions_pin_it(workshop: Workshop, home: LibraryHome, tmp_path: Path) -> None:
    # given
    library, code = workshop.library(), CODE + "# of the test of copies\n"
    bundle = workshop.component(code=code)
    library.publish(bundle)
    [artifact] = bundle.document.artifacts

    # when
    for version in ("1.0.0", "2.0.0"):
        described = {"pipeline": {"post": "words@1.0.0"}}
        folder = Linear(description=described, bias=np.full(3, float(version[0]), np.float32)).write(tmp_path / version, version)
        workshop.client().publish(load_bundle(folder, library=library))

    # then
    assert home.copies(artifact) == 1
