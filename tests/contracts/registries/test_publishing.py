"""What every registry promises, whatever keeps it: what was published is what is listed and fetched, and nothing else is."""

import io

import msgspec
import pytest

from registry_client.backends.base import Backend, Support
from registry_client.bundle import load_bundle
from registry_client.errors import DigestMismatch, MissingBlob, UnknownFamily, UnknownVersion
from tests.contracts.registries.desk import Desk, put_files
from tests.fakes.bundles import MODEL, MODEL_YAML
from tests.fixtures.registry_homes import RegistryHome, opened

LARGE = 9 * 2**20  # more than one part of a multipart upload
UNPUBLISHED = "ab" * 32


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


def test_every_capability_is_declared(backend: Backend) -> None:
    declared = backend.capabilities

    assert {declared.immutable, declared.cas, declared.events, declared.history, declared.signing} <= set(Support)
    assert declared.immutable is not Support.NONE, "the suite shows that a change is noticed, so it is at least emulated"
