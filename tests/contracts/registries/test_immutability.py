"""What every registry promises, whatever keeps it: a version is what it was when it was first published, or it is refused."""

from contextlib import suppress

import msgspec
import pytest

from registry_client.backends.base import Backend, Support
from registry_client.client import Published
from registry_client.errors import DigestMismatch, ImmutabilityViolation, InvalidManifest, MissingBlob, RegistryError, VersionExists
from tests.contracts.registries.desk import Desk, at_once, put_files
from tests.fakes.bundles import MODEL, model_of
from tests.fixtures.registry_homes import MlflowHome, RegistryHome

PUBLISHERS = 32

FEWER = 12  # for an MLflow on SQLite, whose requests wait for each other until they time out


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


def test_what_is_published_can_be_fetched_whatever_became_of_a_file_that_it_shares(desk: Desk) -> None:
    """A number is spent for good: a damaged copy is noticed before, where versions share one."""
    # given
    first = desk.publish().manifest
    desk.home.overwrite_file(first, first.model, b"x" * first.model.size)

    # when
    with suppress(DigestMismatch):
        desk.publish("1.1.0")
    client = desk.client()
    published = [str(version) for version in client.versions("digits")]

    # then
    for version in set(published) - {"1.0.0"}:
        assert client.fetch("digits", version).path("model.onnx").read_bytes() == MODEL
    assert published in (["1.0.0"], ["1.0.0", "1.1.0"])


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
