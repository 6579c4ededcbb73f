"""What every registry promises that keeps documents beside versions; each test runs against all of them, with their real servers."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client import sigstore
from registry_client.address import TrustPlan
from registry_client.backends.base import Annex, Support
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import UnknownFamily, UnknownVersion
from registry_client.signing import SigningKey, new_curve_key
from registry_client.trust import NotSigned, Trust, read_trust
from tests.fakes.bundles import write_files
from tests.fixtures.registry_homes import FilesHome, OciHome, RegistryHome, S3Home, opened

KIND, OTHER = "application/vnd.test+json", "text/plain"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=["files", "s3", "oci"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryHome]:
    match request.param:
        case "files":
            yield FilesHome(tmp_path / "registry")
        case "s3":
            yield S3Home(request.getfixturevalue("s3_server"), tmp_path)
        case _:
            yield OciHome(request.getfixturevalue("oci_server"))


@pytest.fixture
def annex(home: RegistryHome, tmp_path: Path) -> Annex:
    backend = opened(home)
    RegistryClient(backend, Cache(tmp_path / "cache")).publish(load_bundle(write_files(tmp_path / "bundle")))
    assert isinstance(backend, Annex)
    assert backend.capabilities.signing is not Support.NONE
    return backend


def test_what_is_attached_is_read_by_others_and_only_by_its_kind(annex: Annex, home: RegistryHome) -> None:
    # given
    assert list(annex.attachments("digits", "1.0.0", KIND)) == []

    # when
    annex.attach("digits", "1.0.0", KIND, b'{"a":1}')
    annex.attach("digits", "1.0.0", KIND, b'{"b":2}')
    annex.attach("digits", "1.0.0", OTHER, b"else")

    # then
    other = opened(home)
    assert isinstance(other, Annex)
    assert sorted(other.attachments("digits", "1.0.0", KIND)) == [b'{"a":1}', b'{"b":2}']
    assert list(other.attachments("digits", "1.0.0", OTHER)) == [b"else"]


def test_the_same_document_again_changes_nothing(annex: Annex) -> None:
    for _ in range(2):
        annex.attach("digits", "1.0.0", KIND, b"one")

    assert list(annex.attachments("digits", "1.0.0", KIND)) == [b"one"]


def test_several_who_attach_at_once_all_succeed(annex: Annex, home: RegistryHome) -> None:
    """Where a registry cannot keep the others off, one may push another off the list, and does it again."""
    # given
    together = threading.Barrier(4)

    def attach(number: int) -> None:
        together.wait()
        annex.attach("digits", "1.0.0", KIND, b"%d" % number)

    # when
    threads = [threading.Thread(target=attach, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    if opened(home).capabilities.cas is Support.NONE:
        assert set(annex.attachments("digits", "1.0.0", KIND)) <= {b"0", b"1", b"2", b"3"}
        for number in range(4):
            annex.attach("digits", "1.0.0", KIND, b"%d" % number)
    assert sorted(annex.attachments("digits", "1.0.0", KIND)) == [b"0", b"1", b"2", b"3"]


def test_what_is_attached_leaves_the_version_and_the_lists_as_they_were(annex: Annex, home: RegistryHome) -> None:
    # given
    before = opened(home).read_manifest("digits", "1.0.0")

    # when
    annex.attach("digits", "1.0.0", KIND, b"one")

    # then
    backend = opened(home)
    assert backend.read_manifest("digits", "1.0.0") == before
    assert (list(backend.families()), list(backend.versions("digits"))) == (["digits"], ["1.0.0"])


def test_nothing_is_attached_to_what_is_not_published(annex: Annex) -> None:
    for family, version, error in (("digits", "9.9.9", UnknownVersion), ("nobody", "1.0.0", UnknownFamily)):
        with pytest.raises(error):
            annex.attach(family, version, KIND, b"one")
        with pytest.raises(error):
            annex.attachments(family, version, KIND)


# --- signatures -----------------------------------------------------------------------------------------------------


class Signer:
    """A key, and what trusts it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.key = SigningKey.new()
        self.trust: Trust = read_trust(TrustPlan({"ada": self.key.write(folder / "ada")}, {"digits": ("ada",)}))


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys")


@pytest.mark.usefixtures("annex")
def test_where_signatures_are_needed_only_a_signed_version_is_fetched(home: RegistryHome, signer: Signer, tmp_path: Path) -> None:
    # given
    strict = RegistryClient(opened(home), Cache(tmp_path / "strict"), trust=signer.trust)
    with pytest.raises(NotSigned):
        strict.fetch("digits", "1.0.0")

    # when
    RegistryClient(opened(home), Cache(tmp_path / "cache")).sign("digits", "1.0.0", signer.key, "ada", AT)

    # then
    fetched = strict.fetch("digits", "1.0.0")
    assert [(one.key, one.by) for one in strict.signatures(fetched.manifest)] == [("ada", "ada")]


@pytest.mark.usefixtures("annex")
def test_a_signature_in_sigstores_format_is_kept_and_counts_as_well(home: RegistryHome, tmp_path: Path) -> None:
    # given
    public, keyid = new_curve_key(tmp_path / "release")
    trust = read_trust(TrustPlan({"release": public}, {"digits": ("release",)}))
    strict = RegistryClient(opened(home), Cache(tmp_path / "strict"), trust=trust)
    with pytest.raises(NotSigned):
        strict.fetch("digits", "1.0.0")

    # when
    author = RegistryClient(opened(home), Cache(tmp_path / "cache"))
    author.sign_folder("digits", "1.0.0", lambda manifest, folder: sigstore.sign(manifest, folder, tmp_path / "release"))

    # then
    fetched = strict.fetch("digits", "1.0.0")
    assert [(one.key, one.keyid) for one in strict.signatures(fetched.manifest)] == [("release", keyid)]
