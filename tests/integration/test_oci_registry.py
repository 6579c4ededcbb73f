"""What a registry of OCI artifacts may do wrong, and what is kept beside a version."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from registry_client.address import Access, OciAddress, RegistryPlan
from registry_client.backends.modelpack import ARTIFACT, FILEPATH, MANIFEST, OWN, image_of
from registry_client.backends.oci import OciBackend
from registry_client.bundle import Bundle, load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.errors import AccessRefused, DigestMismatch, ImmutabilityViolation, InvalidManifest, RegistryError, RegistryUnavailable
from tests.fakes.bundles import MODEL_YAML, write_files
from tests.fixtures.oci_server import OciServer
from tests.fixtures.registry_homes import OciHome
from tests.fixtures.servers import free_port
from tests.tools.meddling_proxy import Answered, Asked, Meddle, MeddlingProxy

Meddled = Callable[[Meddle], MeddlingProxy]

SIGNATURE = "application/vnd.dsse.envelope.v1+json"


@pytest.fixture
def home(oci_server: OciServer) -> OciHome:
    return OciHome(oci_server)


@pytest.fixture
def published(home: OciHome, bundle: Bundle, tmp_path: Path) -> Published:
    return client_of(backend_of(home), tmp_path / "cache").publish(bundle)


@pytest.fixture
def meddled(home: OciHome) -> Iterator[Meddled]:
    """Puts somebody who meddles before the registry, for the length of the test."""
    with ExitStack() as open_ones:
        yield lambda meddle: open_ones.enter_context(MeddlingProxy(home.server.url, meddle))


def backend_of(home: OciHome, base: str = "", access: Access | None = None) -> OciBackend:
    return OciBackend(OciAddress(base or home.server.url, home.repository), access or Access())


def client_of(backend: OciBackend, cache: Path) -> RegistryClient:
    return RegistryClient(backend, Cache(cache))


def on(part: str, answer: Callable[[Asked], Answered | None], method: str = "GET") -> Meddle:
    """Meddle with the requests whose path has a part."""
    return lambda asked: answer(asked) if part in asked.path and asked.method == method else None


# --- what is stored -------------------------------------------------------------------------------------------------


def test_a_version_is_a_model_pack_whose_first_layer_is_our_manifest(home: OciHome, published: Published) -> None:
    # given / when
    stored = home.image("digits", "1.0.0")
    image = json.loads(stored)

    # then
    layers = {layer["annotations"][FILEPATH]: layer["mediaType"].removeprefix("application/vnd.") for layer in image["layers"]}
    assert stored == image_of(published.manifest), "whoever publishes the same version, it is the same bytes"
    assert (image["mediaType"], image["artifactType"]) == (MANIFEST, ARTIFACT)
    assert image["layers"][0]["mediaType"] == OWN
    assert layers == {
        "manifest.json": "pointsman.manifest.v1+json",
        "CARD.md": "cncf.model.doc.v1.raw",
        "golden.jsonl": "cncf.model.dataset.v1.raw",
        "model.onnx": "cncf.model.weight.v1.raw",
        "post.py": "cncf.model.code.v1.raw",
        "requirements.lock": "cncf.model.code.v1.raw",
        "weights/model.onnx.data": "cncf.model.weight.v1.raw",
    }


def test_an_image_that_is_no_version_of_ours_is_refused(home: OciHome, published: Published) -> None:
    # given
    foreign = json.loads(image_of(published.manifest)) | {"layers": []}
    home.server.push_image(f"{home.repository}/digits", "7.0.0", json.dumps(foreign).encode())

    # when / then
    with pytest.raises(InvalidManifest, match="is nothing that was published with pointsman"):
        backend_of(home).read_manifest("digits", "7.0.0")


# --- what it may do wrong -------------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed(home: OciHome, meddled: Meddled, published: Published, tmp_path: Path) -> None:
    # given
    elsewhere = meddled(lambda _: None)
    away = Answered(307, headers={"Location": f"{elsewhere.url}/v2/stolen"})
    proxy = meddled(on("/blobs/", lambda _: away))
    # when
    with pytest.raises(RegistryUnavailable, match="is redirected elsewhere, which is not followed"):
        client_of(backend_of(home, proxy.url), tmp_path / "fresh").fetch("digits", published.manifest.version)

    # then
    assert elsewhere.asked == []


def test_an_upload_goes_nowhere_but_to_the_registry(home: OciHome, meddled: Meddled, bundle: Bundle) -> None:
    # given
    elsewhere = meddled(lambda _: None)
    away = Answered(202, headers={"Location": f"{elsewhere.url}/v2/uploads/1"})
    proxy = meddled(on("/blobs/uploads/", lambda _: away, "POST"))
    # when
    with bundle.path("model.onnx").open("rb") as file, pytest.raises(RegistryUnavailable, match="only what is configured is asked"):
        backend_of(home, proxy.url).put_file(bundle.manifest, bundle.manifest.model, file)

    # then
    assert elsewhere.asked == []


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 10**6])
def test_a_file_of_another_length_or_content_is_never_handed_out(
    home: OciHome, meddled: Meddled, published: Published, tmp_path: Path, content: bytes
) -> None:
    model = published.manifest.model.sha256
    proxy = meddled(on(f"/blobs/sha256:{model}", lambda _: Answered(200, content)))
    with pytest.raises(DigestMismatch):
        client_of(backend_of(home, proxy.url), tmp_path / "fresh").fetch("digits", "1.0.0")


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
def test_a_manifest_that_is_not_what_its_digest_says_is_refused(home: OciHome, published: Published, tmp_path: Path, part: str) -> None:
    # given
    changed = Answered(200, b'{"layers": []}', {"Docker-Content-Digest": f"sha256:{'ab' * 32}", "Content-Type": MANIFEST})

    # when / then
    with MeddlingProxy(home.server.url, on(part, lambda _: changed)) as proxy, pytest.raises(DigestMismatch):
        client_of(backend_of(home, proxy.url), tmp_path / "fresh").manifest("digits", published.manifest.version)


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b'{"layers": 1}', b'{"layers": [{"digest": "sha256:x"}]}', b"[" * 10**5])
def test_what_is_no_image_manifest_is_refused_with_a_sentence(
    home: OciHome, meddled: Meddled, published: Published, tmp_path: Path, document: bytes
) -> None:
    proxy = meddled(on("/manifests/", lambda _: Answered(200, document)))
    with pytest.raises(InvalidManifest, match="is no image manifest"):
        client_of(backend_of(home, proxy.url), tmp_path / "fresh").manifest("digits", published.manifest.version)


def test_a_digest_that_leads_elsewhere_is_refused(home: OciHome, meddled: Meddled, published: Published, tmp_path: Path) -> None:
    # given
    image = json.loads(image_of(published.manifest))
    image["layers"][0]["digest"] = "sha256:../../../../v2/_catalog"
    answer = Answered(200, json.dumps(image).encode())

    # when / then
    proxy = meddled(on("/manifests/", lambda _: answer))
    with pytest.raises(InvalidManifest, match="is no sha256 digest"):
        client_of(backend_of(home, proxy.url), tmp_path / "fresh").manifest("digits", "1.0.0")
    assert all("_catalog" not in asked.path for asked in proxy.asked)


def test_of_a_list_in_pages_only_the_place_is_believed(home: OciHome, meddled: Meddled, published: Published) -> None:
    # given
    def page(asked: Asked) -> Answered:
        if "last=" in asked.path:
            return Answered(200, b'{"tags": ["1.1.0"]}')
        return Answered(200, b'{"tags": ["1.0.0", "latest", 7]}', {"Link": '<http://198.51.100.1/steal?n=2&last=1.0.0>; rel="next"'})

    proxy = meddled(on("/tags/list", page))
    # when
    versions = backend_of(home, proxy.url).versions(published.manifest.family)

    # then
    assert versions == ["1.0.0", "1.1.0"]


def test_a_registry_that_fails_for_a_moment_is_asked_again(home: OciHome, meddled: Meddled, published: Published) -> None:
    # given
    failing = iter([Answered(503), Answered(500)])

    proxy = meddled(on("/tags/list", lambda _: next(failing, None)))
    # when
    versions = backend_of(home, proxy.url).versions(published.manifest.family)

    # then
    assert versions == ["1.0.0"]


@pytest.mark.parametrize("status", [301, 400, 500])
def test_a_registry_that_does_not_answer_as_one_is_unavailable(home: OciHome, meddled: Meddled, status: int) -> None:
    proxy = meddled(lambda _: Answered(status, b"<h1>no</h1>"))
    with pytest.raises(RegistryUnavailable, match="cannot be used"):
        backend_of(home, proxy.url).families()


def test_a_registry_that_is_away_is_unavailable(home: OciHome) -> None:
    with pytest.raises(RegistryUnavailable, match="cannot be used"):
        backend_of(home, f"http://127.0.0.1:{free_port()}").families()


# --- who asks -------------------------------------------------------------------------------------------------------


def test_whoever_is_not_let_in_is_told_so_and_the_password_is_not_shown(
    home: OciHome, meddled: Meddled, published: Published, tmp_path: Path
) -> None:
    # given
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    asking = {"Basic amFuZTpodW50ZXIy", "Bearer hunter2"}

    proxy = meddled(lambda asked: None if asked.headers.get("authorization") in asking else Answered(401))
    # when / then
    for access in (Access("jane", secret), Access("", secret)):
        assert backend_of(home, proxy.url, access).versions(published.manifest.family) == ["1.0.0"]
    with pytest.raises(AccessRefused, match="refuses access") as refusal:
        backend_of(home, proxy.url, Access("joe", secret)).versions("digits")
    assert "hunter2" not in str(refusal.value)


@pytest.fixture
def late(home: OciHome, meddled: Meddled, tmp_path: Path) -> RegistryClient:
    """A publisher who looked before anybody else had published, and goes on by what he saw."""
    has_put = threading.Event()

    def before(asked: Asked) -> Answered | None:
        if "/manifests/1.0.0" not in asked.path or has_put.is_set():
            return None
        if asked.method == "PUT":
            has_put.set()
            return None
        return Answered(404)

    return client_of(backend_of(home, meddled(before).url), tmp_path / "late")


def test_where_nothing_keeps_two_publishers_apart_nobody_is_given_the_others_bytes_for_what_he_saw(
    home: OciHome, published: Published, late: RegistryClient, tmp_path: Path
) -> None:
    # given
    first = client_of(backend_of(home), tmp_path / "cache")
    other = load_bundle(write_files(tmp_path / "other", yaml=MODEL_YAML.replace("digits-0-9", "digits-0-8")))

    # when
    overtaking = late.publish(other)

    # then
    assert overtaking.created
    assert overtaking.manifest_digest != published.manifest_digest
    assert client_of(backend_of(home), tmp_path / "fresh").digest("digits", "1.0.0") == overtaking.manifest_digest, "the later one stays"
    with pytest.raises(ImmutabilityViolation):
        first.digest("digits", "1.0.0")
    with pytest.raises(DigestMismatch):  # as a node fetches that is told what was deployed, and has nothing in its cache
        client_of(backend_of(home), tmp_path / "node").fetch("digits", "1.0.0", expected_digest=published.manifest_digest)


# --- what is kept beside a version ----------------------------------------------------------------------------------


def test_what_is_attached_is_found_by_its_kind(home: OciHome, published: Published) -> None:
    # given
    backend = backend_of(home)
    backend.attach("digits", "1.0.0", SIGNATURE, b'{"payload": "one"}')
    backend.attach("digits", "1.0.0", SIGNATURE, b'{"payload": "two"}')
    backend.attach("digits", "1.0.0", "application/vnd.cyclonedx+json", b"{}")
    backend.attach("digits", "1.0.0", SIGNATURE, b'{"payload": "one"}')

    # when
    found = backend_of(home).attachments("digits", published.manifest.version, SIGNATURE)

    # then
    assert found == [b'{"payload": "one"}', b'{"payload": "two"}']
    assert backend.versions("digits") == ["1.0.0"], "the tag that lists them is no version"


def test_of_several_who_attach_at_once_all_are_kept(home: OciHome, published: Published) -> None:
    # given
    documents = {b'{"payload": "%d"}' % number for number in range(3)}
    threads = [
        threading.Thread(target=backend_of(home).attach, args=("digits", published.manifest.version, SIGNATURE, document))
        for document in documents
    ]

    # when
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    backend = backend_of(home)
    for document in documents:  # whoever was overwritten after his look attaches again: the same twice is once
        backend.attach("digits", "1.0.0", SIGNATURE, document)

    # then
    assert set(backend.attachments("digits", "1.0.0", SIGNATURE)) == documents


def test_the_referrers_api_is_used_where_there_is_one(home: OciHome, meddled: Meddled, published: Published) -> None:
    # given
    entries = list[dict[str, object]]()

    def serve(asked: Asked) -> Answered | None:
        if asked.method == "PUT" and b'"subject"' in asked.body:
            digest = f"sha256:{sha256(asked.body).hexdigest()}"
            entries.append({"mediaType": MANIFEST, "digest": digest, "size": len(asked.body), "artifactType": SIGNATURE})
            return Answered(201, headers={"OCI-Subject": json.loads(asked.body)["subject"]["digest"]}, after=True)
        if "/referrers/" in asked.path:
            return Answered(200, json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
        return None

    proxy = meddled(serve)
    backend = backend_of(home, proxy.url)

    # when
    backend.attach("digits", published.manifest.version, SIGNATURE, b"signed")

    # then
    assert list(backend.attachments("digits", "1.0.0", SIGNATURE)) == [b"signed"]
    assert all("sha256-" not in asked.path for asked in proxy.asked)


def test_an_attachment_that_was_changed_is_refused(home: OciHome, meddled: Meddled, published: Published) -> None:
    # given
    backend = backend_of(home)
    backend.attach("digits", published.manifest.version, SIGNATURE, b"signed")
    digest = sha256(b"signed").hexdigest()

    # when / then
    proxy = meddled(on(f"/blobs/sha256:{digest}", lambda _: Answered(200, b"forged")))
    with pytest.raises(DigestMismatch):
        backend_of(home, proxy.url).attachments("digits", "1.0.0", SIGNATURE)


def test_a_version_signed_beside_other_bytes_has_no_signature(home: OciHome, published: Published, tmp_path: Path) -> None:
    # given
    backend = backend_of(home)
    backend.attach("digits", published.manifest.version, SIGNATURE, b"signed")
    other = load_bundle(write_files(tmp_path / "other", yaml=MODEL_YAML.replace("Release", "Another release")))

    # when
    home.overwrite_manifest(published.manifest, other.manifest.canonical())

    # then
    assert list(backend.attachments("digits", "1.0.0", SIGNATURE)) == []
    with pytest.raises(RegistryError):
        client_of(backend, tmp_path / "cache").manifest("digits", "1.0.0")


def test_a_registry_without_a_catalogue_still_knows_the_versions_of_a_family(home: OciHome, meddled: Meddled, published: Published) -> None:
    proxy = meddled(on("/v2/_catalog", lambda _: Answered(405)))
    backend = backend_of(home, proxy.url)

    assert backend.versions(published.manifest.family) == ["1.0.0"]
    with pytest.raises(RegistryUnavailable, match="/v2/_catalog is answered 405"):
        backend.families()


def test_the_plan_of_a_registry_is_all_that_another_process_needs(home: OciHome) -> None:
    plan = RegistryPlan(OciAddress(home.server.url, home.repository))

    assert backend_of(home).name == str(plan.address) == backend_of(home, access=replace(Access(), username="jane")).name
