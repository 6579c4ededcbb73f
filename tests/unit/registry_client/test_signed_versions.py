"""Versions that must be signed before they are loaded, over a registry in a folder."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client.address import TrustPlan
from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import CannotKeep, DigestMismatch
from registry_client.manifest import Artifact, Manifest
from registry_client.signing import SigningKey
from registry_client.trust import NotSigned, read_trust

WriteBundle = Callable[..., Path]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Firm:
    """A registry with a version, a key that counts for its family, and one that does not."""

    def __init__(self, backend: FilesBackend, cache: Cache, folder: Path) -> None:
        self.good, self.bad = SigningKey.new(), SigningKey.new()
        self.plan = TrustPlan({"release": self.good.write(folder / "good"), "other": self.bad.write(folder / "bad")}, {"*": ("release",)})
        self._backend, self._cache = backend, cache

    def client(self) -> RegistryClient:
        return RegistryClient(self._backend, self._cache, trust=read_trust(self.plan))

    def sign(self, key: SigningKey) -> Manifest:
        return self.client().sign("digits", "1.0.0", key, "ada", AT)


@pytest.fixture
def firm(client: RegistryClient, backend: FilesBackend, cache: Cache, tmp_path: Path, write_bundle: WriteBundle) -> Firm:
    client.publish(load_bundle(write_bundle()))
    return Firm(backend, cache, tmp_path)


def test_a_version_is_refused_until_the_right_key_has_signed_it(firm: Firm) -> None:
    firm.sign(firm.bad)
    with pytest.raises(NotSigned, match="signed with other"):
        firm.client().fetch("digits", "1.0.0")

    firm.sign(firm.good)

    assert firm.client().fetch("digits", "1.0.0").path("model.onnx").is_file()


def test_a_version_whose_bytes_are_in_the_cache_is_refused_all_the_same(firm: Firm, client: RegistryClient) -> None:
    digest = client.fetch("digits", "1.0.0").digest

    with pytest.raises(NotSigned):
        firm.client().fetch("digits", "1.0.0", expected_digest=digest)


def test_a_signed_version_that_was_loaded_once_is_loaded_without_its_registry(firm: Firm, root: Path) -> None:
    # given
    digest = firm.sign(firm.good).digest
    firm.client().fetch("digits", "1.0.0")

    # when
    root.rename(root.parent / "unmounted")

    # then
    assert firm.client().fetch("digits", "1.0.0", expected_digest=digest).digest == digest


def test_a_key_that_no_longer_counts_makes_what_it_signed_unsigned(firm: Firm) -> None:
    firm.sign(firm.good)
    firm.client().fetch("digits", "1.0.0")

    firm.plan = TrustPlan(firm.plan.keys, {"digits": ("other",)})

    with pytest.raises(NotSigned):
        firm.client().fetch("digits", "1.0.0")


def test_a_signature_that_was_changed_on_the_disk_is_not_believed(firm: Firm, root: Path) -> None:
    firm.sign(firm.good)
    [path] = (path for path in (root / "notes/digits/1.0.0").rglob("*") if path.is_file())
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"sig", b"gis"))

    with pytest.raises(DigestMismatch):
        firm.client().fetch("digits", "1.0.0")


def test_signing_says_which_bytes_were_signed_and_changes_none_of_them(firm: Firm, client: RegistryClient) -> None:
    before = client.manifest("digits", "1.0.0")

    signed = firm.sign(firm.good)

    assert signed == before == client.manifest("digits", "1.0.0")


def test_a_kind_that_is_no_media_type_leads_nowhere(backend: FilesBackend, firm: Firm) -> None:
    firm.sign(firm.good)

    for kind in ("../../elsewhere", "text", "", "a/../b"):
        with pytest.raises(ValueError, match="media type"):
            backend.attach("digits", "1.0.0", kind, b"")


class Bare:
    """A registry that keeps nothing beside a version."""

    def __init__(self, backend: FilesBackend) -> None:
        self.name, self.capabilities = backend.name, backend.capabilities
        self.put_file, self.put_manifest = backend.put_file, backend.put_manifest
        self.read_manifest, self.open_file = backend.read_manifest, backend.open_file
        self.families, self.versions = backend.families, backend.versions


def test_where_no_signature_can_be_kept_it_is_said_and_nothing_is_loaded(firm: Firm, backend: FilesBackend, tmp_path: Path) -> None:
    strict = RegistryClient(Bare(backend), Cache(tmp_path / "other"), trust=read_trust(firm.plan))

    with pytest.raises(CannotKeep):
        strict.sign("digits", "1.0.0", firm.good, "ada", AT)
    with pytest.raises(CannotKeep):
        strict.fetch("digits", "1.0.0")


def test_one_file_is_read_without_the_others_and_verified(client: RegistryClient, firm: Firm, root: Path) -> None:
    # given
    manifest = firm.client().manifest("digits", "1.0.0")
    card: Artifact = next(artifact for artifact in manifest.artifacts if artifact.path == "CARD.md")
    assert client.read(manifest, card) == b"A card."

    # when
    blob = root / "blobs" / "sha256" / card.sha256[:2] / card.sha256
    blob.chmod(0o644)
    blob.write_bytes(b"A cord.")

    # then
    with pytest.raises(DigestMismatch):
        client.read(manifest, card)
