"""What every registry promises, whatever keeps it: each test runs against all of them, with their real servers.

A kind whose server this machine lacks is skipped, unless POINTSMAN_REGISTRIES names it: then its absence is a failure.
"""

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from registry_client.backends.base import Annex, Backend, Support
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.errors import (
    BadNote,
    DigestMismatch,
    ImmutabilityViolation,
    InvalidManifest,
    KeepsNoNotes,
    MissingBlob,
    RegistryError,
    UnknownFamily,
    UnknownVersion,
    VersionExists,
)
from registry_client.manifest import Artifact, Manifest
from tests.fakes.bundles import MODEL, MODEL_YAML, model_of, write_files
from tests.fixtures.registry_homes import FilesHome, MlflowHome, OciHome, RegistryHome, S3Home, opened

PUBLISHERS = 32
FEWER = 12  # for an MLflow on SQLite, whose requests wait for each other until they time out
LARGE = 9 * 2**20  # more than one part of a multipart upload
UNPUBLISHED = "ab" * 32


@pytest.fixture(params=["files", "s3", "oci", "mlflow"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryHome]:
    match request.param:
        case "files":
            yield FilesHome(tmp_path / "registry")
        case "s3":
            yield S3Home(request.getfixturevalue("s3_server"), tmp_path)
        case "oci":
            there = OciHome(request.getfixturevalue("oci_server"))
            yield there
            there.repair()
        case "mlflow":
            yield MlflowHome(request.getfixturevalue("mlflow_server"))
        case _:
            pytest.fail(request.param)


@pytest.fixture
def backend(home: RegistryHome) -> Backend:
    return opened(home)


@dataclass
class Desk:
    """Where bundles are written, and clients with a cache and a ledger of their own are opened."""

    folder: Path
    home: RegistryHome
    count: int = 0

    def client(self) -> RegistryClient:
        self.count += 1
        return RegistryClient(opened(self.home), Cache(self.folder / f"cache{self.count}"))

    def bundle(self, version: str = "1.0.0", *, model: bytes = MODEL, yaml: str = MODEL_YAML) -> Bundle:
        self.count += 1
        return load_bundle(write_files(self.folder / f"bundle{self.count}", version=version, model=model, yaml=yaml))

    def publish(self, version: str = "1.0.0", *, yaml: str = MODEL_YAML) -> Published:
        return self.client().publish(self.bundle(version, yaml=yaml))


@pytest.fixture
def desk(home: RegistryHome, tmp_path: Path) -> Desk:
    return Desk(tmp_path, home)


def put_files(backend: Backend, bundle: Bundle) -> Manifest:
    for artifact in bundle.manifest.artifacts:
        with bundle.path(artifact.path).open("rb") as file:
            backend.put_file(bundle.manifest, artifact, file)
    return bundle.manifest


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Run something several times at the same moment."""
    together = threading.Barrier(count)

    def run(number: int) -> None:
        together.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- publishing and fetching ----------------------------------------------------------------------------------------


def test_what_was_published_is_what_another_machine_fetches(desk: Desk) -> None:
    # given
    published = desk.publish()

    # when
    fetched = desk.client().fetch("digits", "1.0.0")

    # then
    assert published.created
    assert fetched.digest == published.manifest_digest
    assert fetched.path("weights/model.onnx.data").read_bytes() == b"weights"
    assert fetched.path("model.onnx").read_bytes() == MODEL


def test_all_that_is_published_is_listed_and_nothing_else(desk: Desk, backend: Backend) -> None:
    # given
    desk.publish("1.0.0")
    desk.publish("1.1.0-rc.1")
    desk.publish("10.0.0")
    desk.publish("1.0.0", yaml=MODEL_YAML.replace("family: digits", "family: digits-new"))

    # when / then
    assert sorted(backend.families()) == ["digits", "digits-new"]
    assert sorted(backend.versions("digits")) == ["1.0.0", "1.1.0-rc.1", "10.0.0"]
    assert list(backend.versions("digits-new")) == ["1.0.0"]


def test_an_empty_registry_has_nothing_and_says_so(backend: Backend) -> None:
    assert list(backend.families()) == []
    with pytest.raises(UnknownFamily):
        backend.versions("digits")
    with pytest.raises(UnknownFamily):
        backend.read_manifest("digits", "1.0.0")


def test_a_version_that_a_family_lacks_is_told_from_a_family_that_is_lacking(desk: Desk, backend: Backend) -> None:
    desk.publish()

    with pytest.raises(UnknownVersion):
        backend.read_manifest("digits", "1.0.1")
    with pytest.raises(UnknownFamily):
        backend.read_manifest("digit", "1.0.0")


def test_the_stored_manifest_is_the_canonical_document_with_its_digest(desk: Desk, backend: Backend) -> None:
    manifest = desk.publish().manifest

    stored = backend.read_manifest("digits", "1.0.0")

    assert (stored.document, stored.digest) == (manifest.canonical(), manifest.digest)


def test_a_large_file_comes_back_whole(desk: Desk, home: RegistryHome) -> None:
    # given
    bundle = desk.bundle()
    (bundle.path("weights/model.onnx.data")).write_bytes(bytes(range(256)) * (LARGE // 256))
    bundle = load_bundle(bundle.path("model.onnx").parent)

    # when
    desk.client().publish(bundle)

    # then
    assert opened(home).read_manifest("digits", "1.0.0").digest
    assert desk.client().fetch("digits", "1.0.0").path("weights/model.onnx.data").stat().st_size == LARGE


def test_a_file_is_stored_once_for_the_versions_of_a_family(desk: Desk, backend: Backend) -> None:
    # given
    bundle = desk.bundle()
    put_files(backend, bundle)
    manifest = bundle.manifest

    # when
    with bundle.path("model.onnx").open("rb") as file:
        again = backend.put_file(manifest, manifest.model, file)

    # then
    assert not again


# --- immutability ---------------------------------------------------------------------------------------------------


def test_the_first_manifest_of_a_version_stays(desk: Desk, backend: Backend) -> None:
    # given
    manifest = put_files(backend, desk.bundle())
    other = msgspec.structs.replace(manifest, docs="other")

    # when
    created = [backend.put_manifest(manifest), backend.put_manifest(other), backend.put_manifest(manifest)]

    # then
    assert created == [True, False, False]
    assert backend.read_manifest("digits", "1.0.0").document == manifest.canonical()


def test_other_content_under_a_published_version_is_refused_and_the_same_is_not(desk: Desk) -> None:
    # given
    first = desk.publish()

    # when
    with pytest.raises(VersionExists):
        desk.client().publish(desk.bundle(model=model_of("other")))
    again = desk.client().publish(desk.bundle())

    # then
    assert (again.created, again.manifest_digest) == (False, first.manifest_digest)


def test_of_many_who_publish_one_version_at_once_one_does(desk: Desk, backend: Backend) -> None:
    """Where a registry cannot keep the others off, whoever was overwritten learns of it at his next look."""
    # given
    publishers = FEWER if isinstance(desk.home, MlflowHome) else PUBLISHERS
    bundles = [desk.bundle(model=model_of(f"model-{number}")) for number in range(publishers)]
    clients = [desk.client() for _ in bundles]
    outcomes = dict[int, Published | RegistryError]()

    def race(number: int) -> None:
        try:
            outcomes[number] = clients[number].publish(bundles[number])
        except (VersionExists, ImmutabilityViolation) as refusal:
            outcomes[number] = refusal

    # when
    at_once(publishers, race)

    # then
    kept = desk.client().fetch("digits", "1.0.0").digest
    winners = {number: outcome.manifest_digest for number, outcome in outcomes.items() if isinstance(outcome, Published)}
    assert len(outcomes) == publishers
    assert kept in winners.values()
    assert backend.capabilities.cas is Support.NONE or set(winners.values()) == {kept}
    for overwritten in [number for number, digest in winners.items() if digest != kept]:
        with pytest.raises(ImmutabilityViolation):
            clients[overwritten].manifest("digits", "1.0.0")


def test_of_many_who_publish_the_same_bytes_at_once_all_are_content(desk: Desk) -> None:
    # given
    clients, bundles = [desk.client() for _ in range(6)], [desk.bundle() for _ in range(6)]
    digests = set[str]()

    # when
    at_once(6, lambda number: digests.add(clients[number].publish(bundles[number]).manifest_digest))

    # then
    assert digests == {desk.client().digest("digits", "1.0.0")}


def test_a_file_that_was_changed_is_never_handed_out(desk: Desk, home: RegistryHome) -> None:
    # given
    manifest = desk.publish().manifest

    # when
    home.overwrite_file(manifest, manifest.model, b"x" * manifest.model.size)

    # then
    with pytest.raises((DigestMismatch, MissingBlob)):
        desk.client().fetch("digits", "1.0.0")


def test_a_version_that_became_another_is_refused_by_all_who_saw_it_before(desk: Desk, home: RegistryHome) -> None:
    # given
    manifest = desk.publish().manifest
    witness = desk.client()
    kept = witness.fetch("digits", "1.0.0")

    # when
    home.overwrite_manifest(manifest, msgspec.structs.replace(manifest, docs="other").canonical())

    # then
    with pytest.raises(RegistryError) as refusal:
        witness.manifest("digits", "1.0.0")
    assert isinstance(refusal.value, ImmutabilityViolation | DigestMismatch)
    assert witness.fetch("digits", "1.0.0", expected_digest=kept.digest).directory == kept.directory


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"{}", b"\xff" * 99])
def test_what_is_no_manifest_is_refused_with_a_sentence(desk: Desk, home: RegistryHome, document: bytes) -> None:
    # given
    manifest = desk.publish().manifest

    # when
    home.overwrite_manifest(manifest, document)

    # then
    with pytest.raises((InvalidManifest, DigestMismatch)):
        desk.client().manifest("digits", "1.0.0")


# --- files that are not what they are said to be --------------------------------------------------------------------


def test_other_bytes_than_announced_are_not_stored(desk: Desk, backend: Backend) -> None:
    # given
    manifest = desk.bundle().manifest

    # when
    with pytest.raises(DigestMismatch):
        backend.put_file(manifest, manifest.model, io.BytesIO(b"x" * manifest.model.size))

    # then
    with pytest.raises(MissingBlob), backend.open_file(manifest, manifest.model) as file:
        file.read()


def test_a_version_does_not_appear_before_its_files(desk: Desk, backend: Backend) -> None:
    # given
    bundle = desk.bundle()

    # when
    with pytest.raises(MissingBlob):
        backend.put_manifest(bundle.manifest)

    # then
    assert list(backend.families()) == []


def test_a_file_that_nobody_stored_is_missing(desk: Desk, backend: Backend) -> None:
    manifest = desk.publish().manifest
    nowhere = msgspec.structs.replace(manifest.model, path="elsewhere.onnx", sha256=UNPUBLISHED)

    with pytest.raises(MissingBlob), backend.open_file(manifest, nowhere) as file:
        file.read()


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "version"),
    [
        ("../digits", "1.0.0"),
        ("digits", "../1.0.0"),
        ("digits", "1.0.0/../1.0.0"),
        ("", "1.0.0"),
        ("digits", "."),
        ("digits\n", "1.0.0"),
        ("digits", "1.0.0?x=1"),
        ("digits%2f", "1.0.0"),
        ("digits", "1.0"),
        ("digits", "latest"),
    ],
)
def test_a_name_that_is_none_reaches_nothing(desk: Desk, backend: Backend, family: str, version: str) -> None:
    # given
    desk.publish()

    # when / then
    with pytest.raises((UnknownFamily, UnknownVersion)):
        backend.read_manifest(family, version)


@pytest.mark.parametrize("digest", ["", "../" + "a" * 61, "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_digest_that_is_none_reaches_nothing(desk: Desk, backend: Backend, digest: str) -> None:
    # given
    manifest = desk.publish().manifest
    artifact = Artifact(path="elsewhere.onnx", role=manifest.model.role, media_type="x", size=1, sha256=digest)

    # when / then
    with pytest.raises(MissingBlob), backend.open_file(manifest, artifact) as file:
        file.read()


def test_all_clients_of_one_place_call_it_the_same_and_show_no_secret(home: RegistryHome, tmp_path: Path) -> None:
    # given
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    other = replace(home.plan, access=replace(home.plan.access, password_file=secret))

    # when
    names = {opened(home).name, opened(home).name}

    # then
    assert len(names) == 1
    assert "hunter2" not in repr(other)


def test_every_capability_is_declared(backend: Backend) -> None:
    declared = backend.capabilities

    assert {declared.immutable, declared.cas, declared.events, declared.history, declared.signing} <= set(Support)
    assert declared.immutable is not Support.NONE, "the suite shows that a change is noticed, so it is at least emulated"


# --- notes ----------------------------------------------------------------------------------------------------------

MORNING = datetime(2026, 1, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def noting(desk: Desk) -> RegistryClient:
    """A client of a registry that keeps notes; those that do not say so."""
    client = desk.client()
    if not isinstance(opened(desk.home), Annex):
        desk.publish()
        with pytest.raises(KeepsNoNotes, match="keeps no notes beside versions"):
            client.annotate("digits", "1.0.0", "a note", "ada")
        pytest.skip("this kind of registry keeps no notes, and says so")
    return client


def test_notes_are_appended_and_read_by_everybody_in_their_order(desk: Desk, noting: RegistryClient) -> None:
    # given
    published = desk.publish()
    desk.publish("1.1.0")

    # when
    noting.annotate("digits", "1.0.0", "calibrated on the older scanner", "ada", MORNING)
    noting.annotate("digits", "1.0.0", "  not for the night shift ", "grace", MORNING + timedelta(hours=1))

    # then
    notes = desk.client().notes("digits", "1.0.0")
    assert [(note.text, note.by, note.at) for note in notes] == [
        ("calibrated on the older scanner", "ada", "2026-01-02T08:00:00Z"),
        ("not for the night shift", "grace", "2026-01-02T09:00:00Z"),
    ]
    assert {note.digest for note in notes} == {published.manifest_digest}
    assert desk.client().notes("digits", "1.1.0") == []


def test_a_note_changes_nothing_of_the_version(desk: Desk, noting: RegistryClient) -> None:
    # given
    published = desk.publish()

    # when
    for _ in range(2):
        noting.annotate("digits", "1.0.0", "twice the same", "ada", MORNING)

    # then
    assert desk.client().fetch("digits", "1.0.0").digest == published.manifest_digest
    assert [str(version) for version in desk.client().versions("digits")] == ["1.0.0"]
    assert len(desk.client().notes("digits", "1.0.0")) == 1


@pytest.mark.parametrize("text", ["", "  ", "x" * 2001])
def test_what_says_nothing_or_too_much_is_no_note(desk: Desk, noting: RegistryClient, text: str) -> None:
    desk.publish()

    with pytest.raises(BadNote):
        noting.annotate("digits", "1.0.0", text, "ada")


def test_a_version_that_is_not_there_has_no_notes(desk: Desk, noting: RegistryClient) -> None:
    desk.publish()

    with pytest.raises(UnknownVersion):
        noting.annotate("digits", "9.0.0", "a note", "ada")
    with pytest.raises(UnknownVersion):
        noting.notes("digits", "9.0.0")
