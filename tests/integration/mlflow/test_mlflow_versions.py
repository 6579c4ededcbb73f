"""What people do to versions in MLflow behind our back, on a real one: overwritten files, numbers given anew, tags that lie."""

from pathlib import Path

import msgspec
import pytest

from registry_client.address import Access, MlflowAddress
from registry_client.backends.mlflow.backend import MlflowBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import DigestMismatch, ImmutabilityViolation, QuarantinedVersion, RegistryUnavailable, UnknownFamily
from tests.fakes.bundles import model_of, write_files
from tests.fixtures.mlflow_server import MlflowServer
from tests.fixtures.registry_homes import MlflowHome
from tests.integration.mlflow.registering import Publish, log_and_register


def test_a_version_is_found_in_mlflow_by_its_tags_and_its_files(server: MlflowServer, publish: Publish) -> None:
    # given / when
    published = publish()

    # then
    [number] = server.numbers("digits")
    tags = {pair["key"]: pair["value"] for pair in number["tags"]}
    assert tags == {"semver": "1.0.0", "manifest.sha256": published.manifest_digest, "pointsman.state": "published"}
    assert number["source"].endswith("/bundle")


def test_a_folder_that_a_person_registered_is_the_version_that_its_manifest_says(
    server: MlflowServer, client: RegistryClient, tmp_path: Path
) -> None:
    # given
    bundle = load_bundle(write_files(tmp_path / "bundle", version="2.3.4"))

    # when
    log_and_register(server, bundle.manifest, tmp_path / "bundle")

    # then
    assert list(client.families()) == ["digits"]
    assert [str(version) for version in client.versions("digits")] == ["2.3.4"]
    assert client.fetch("digits", "2.3.4").digest == bundle.manifest.digest


def test_a_model_that_is_no_bundle_is_no_version_and_is_shown_to_be_none(
    server: MlflowServer, backend: MlflowBackend, publish: Publish
) -> None:
    # given
    publish()
    run = server.do("POST", "runs/create", experiment_id="0", start_time=1)["run"]["info"]
    server.overwrite(f"{run['artifact_uri']}/model", "model.pkl", b"\x80\x04.")
    server.do("POST", "model-versions/create", name="digits", run_id=run["run_id"], source=f"{run['artifact_uri']}/model")

    # when
    [quarantined] = backend.quarantined("digits")

    # then
    assert backend.versions("digits") == ["1.0.0"]
    assert (quarantined.number, "has no manifest.json among" in quarantined.reason) == ("2", True)


def test_a_manifest_that_was_overwritten_is_quarantined(server: MlflowServer, client: RegistryClient, publish: Publish) -> None:
    # given
    manifest = publish().manifest
    [number] = server.numbers("digits")

    # when
    server.overwrite(number["source"], "manifest.json", msgspec.structs.replace(manifest, docs="other").canonical())

    # then
    with pytest.raises(QuarantinedVersion, match="it was overwritten"):
        client.manifest("digits", "1.0.0")
    assert client.versions("digits"), "it is still shown"


def test_a_file_that_was_overwritten_is_never_handed_out(
    server: MlflowServer, backend: MlflowBackend, publish: Publish, tmp_path: Path
) -> None:
    # given
    manifest = publish().manifest
    [number] = server.numbers("digits")

    # when
    server.overwrite(number["source"], "model.onnx", b"x" * manifest.model.size)

    # then
    with pytest.raises(DigestMismatch):
        RegistryClient(backend, Cache(tmp_path / "fresh")).fetch("digits", "1.0.0")


def test_a_manifest_and_tags_that_were_changed_together_are_caught_by_who_saw_them_before(
    home: MlflowHome, client: RegistryClient, publish: Publish
) -> None:
    # given
    manifest = publish().manifest

    # when
    home.overwrite_manifest(manifest, msgspec.structs.replace(manifest, docs="other").canonical())

    # then
    with pytest.raises(ImmutabilityViolation):
        client.manifest("digits", "1.0.0")


def test_a_number_that_is_given_anew_is_caught(server: MlflowServer, client: RegistryClient, publish: Publish, tmp_path: Path) -> None:
    # given
    publish()
    server.forget()
    other = load_bundle(write_files(tmp_path / "other", model=model_of("other")))

    # when
    number = log_and_register(server, other.manifest, tmp_path / "other")

    # then
    assert number == "1"
    with pytest.raises(ImmutabilityViolation):
        client.manifest("digits", "1.0.0")


def test_two_numbers_that_are_one_version_are_both_quarantined(
    server: MlflowServer, backend: MlflowBackend, client: RegistryClient, publish: Publish, tmp_path: Path
) -> None:
    # given
    publish()
    other = load_bundle(write_files(tmp_path / "other", model=model_of("other")))

    # when
    log_and_register(server, other.manifest, tmp_path / "other")

    # then
    with pytest.raises(QuarantinedVersion, match=r"the numbers 1, 2 all say that they are it|the numbers 2, 1 all say that they are it"):
        client.manifest("digits", "1.0.0")
    assert [each.number for each in backend.quarantined("digits")] == ["2"]


def test_two_numbers_with_the_same_content_are_one_version(
    server: MlflowServer, client: RegistryClient, publish: Publish, tmp_path: Path
) -> None:
    # given
    published = publish()

    # when
    log_and_register(server, published.manifest, tmp_path / "1.0.0-same")

    # then
    assert client.digest("digits", "1.0.0") == published.manifest_digest


def test_a_tag_that_lies_is_quarantined(server: MlflowServer, client: RegistryClient, tmp_path: Path) -> None:
    # given
    manifest = load_bundle(write_files(tmp_path / "bundle")).manifest

    # when
    log_and_register(server, manifest, tmp_path / "bundle", {"semver": "3.0.0"})

    # then
    with pytest.raises(QuarantinedVersion, match=r"says that it is digits@1\.0\.0"):
        client.manifest("digits", "3.0.0")


def test_a_publisher_who_was_killed_before_he_knew_is_finished_by_the_next(
    server: MlflowServer, client: RegistryClient, publish: Publish, tmp_path: Path
) -> None:
    # given
    killed = load_bundle(write_files(tmp_path / "killed"))
    log_and_register(
        server,
        killed.manifest,
        tmp_path / "killed",
        {"semver": "1.0.0", "manifest.sha256": killed.manifest.digest, "pointsman.state": "pending"},
    )
    with pytest.raises(UnknownFamily):
        client.manifest("digits", "1.0.0")

    # when
    with pytest.raises(Exception, match="is already published with other content"):
        publish(word="other")

    # then
    assert client.digest("digits", "1.0.0") == killed.manifest.digest
    states = [pair["value"] for number in server.numbers("digits") for pair in number["tags"] if pair["key"] == "pointsman.state"]
    assert states in (["published"], ["published", "withdrawn"])


def test_files_elsewhere_are_not_fetched(server: MlflowServer, client: RegistryClient, publish: Publish) -> None:
    # given
    publish()
    server.do("POST", "registered-models/create", name="elsewhere")

    # when / then
    with pytest.raises(RegistryUnavailable, match="only what the server itself hands out is fetched"):
        MlflowBackend(MlflowAddress(server.url), Access())._rest.read("s3://bucket/model", "manifest.json")
    with pytest.raises(RegistryUnavailable, match="only what the server itself hands out is fetched"):
        MlflowBackend(MlflowAddress(server.url), Access())._rest.read("mlflow-artifacts:/1/../../2", "manifest.json")
    assert list(client.families()) == ["digits"]


def test_what_became_of_a_version_is_written_back(server: MlflowServer, backend: MlflowBackend, publish: Publish) -> None:
    # given
    publish()

    # when
    backend.annotate("digits", "1.0.0", {"promotion": "refused", "promotion.reason": "8 errors in a row"})

    # then
    [number] = server.numbers("digits")
    assert {"key": "pointsman.promotion", "value": "refused"} in number["tags"]
    assert {"key": "pointsman.promotion.reason", "value": "8 errors in a row"} in number["tags"]
