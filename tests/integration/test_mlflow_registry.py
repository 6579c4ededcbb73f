"""What people do to MLflow behind our back, on a real one: overwritten files, numbers given anew, aliases moved and gone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from registry_client.address import Access, MlflowAddress
from registry_client.backends.mlflow.aliases import AliasMoved, AliasVanished, AliasWatch
from registry_client.backends.mlflow.backend import MlflowBackend
from registry_client.backends.mlflow.webhooks import SIGNATURE, UnbelievedWebhook, verify_webhook
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import Published, RegistryClient
from registry_client.errors import DigestMismatch, ImmutabilityViolation, QuarantinedVersion, RegistryUnavailable, UnknownFamily
from registry_client.manifest import Manifest
from tests.e2e.waiting import wait_for
from tests.fakes.bundles import MODEL_YAML, model_of, write_files
from tests.fixtures.mlflow_server import MlflowServer
from tests.fixtures.registry_homes import MlflowHome

AT = datetime(2030, 1, 2, tzinfo=UTC)
SECRET = b"correct horse"

Publish = Callable[..., Published]


@pytest.fixture
def home(mlflow_server: MlflowServer) -> MlflowHome:
    return MlflowHome(mlflow_server)


@pytest.fixture
def server(home: MlflowHome) -> MlflowServer:
    return home.server


@pytest.fixture
def backend(server: MlflowServer) -> MlflowBackend:
    return MlflowBackend(MlflowAddress(server.url), Access())


@pytest.fixture
def client(backend: MlflowBackend, tmp_path: Path) -> RegistryClient:
    """Has a ledger, so it remembers what it has seen."""
    return RegistryClient(backend, Cache(tmp_path / "cache"))


@pytest.fixture
def publish(client: RegistryClient, tmp_path: Path) -> Publish:
    def run(version: str = "1.0.0", word: str = "same", yaml: str = MODEL_YAML) -> Published:
        return client.publish(load_bundle(write_files(tmp_path / f"{version}-{word}", version=version, model=model_of(word), yaml=yaml)))

    return run


def log_and_register(server: MlflowServer, manifest: Manifest, folder: Path, tags: dict[str, str] | None = None) -> str:
    """What a person does with MLflow's own client: log a folder with a run, and register it. The number."""
    server.do("POST", "registered-models/create", name=manifest.family) if not server.numbers(manifest.family) else None
    run = server.do("POST", "runs/create", experiment_id="0", start_time=1)["run"]["info"]
    source = f"{run['artifact_uri']}/model"
    for artifact in manifest.artifacts:
        server.overwrite(source, artifact.path, (folder / artifact.path).read_bytes())
    server.overwrite(source, "manifest.json", manifest.canonical())
    pairs = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    made = server.do("POST", "model-versions/create", name=manifest.family, run_id=run["run_id"], source=source, tags=pairs)
    return str(made["model_version"]["version"])


# --- versions -------------------------------------------------------------------------------------------------------


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


# --- aliases --------------------------------------------------------------------------------------------------------


def watch(backend: MlflowBackend) -> AliasWatch:
    """A watch that has looked once."""
    watching = AliasWatch(backend, lambda: AT)
    assert list(watching.look()) == []
    return watching


def test_an_alias_that_was_moved_asks_for_a_promotion(server: MlflowServer, backend: MlflowBackend, publish: Publish) -> None:
    # given
    publish()
    publish("1.1.0", "better")
    server.move_alias("digits", "production", "1")
    watching = watch(backend)

    # when
    server.move_alias("digits", "production", "2")

    # then
    assert list(watching.look()) == [AliasMoved("digits", "production", "1.0.0", "1.1.0", "2", AT)]
    assert list(watching.look()) == []


def test_an_alias_that_is_new_asks_as_well_and_its_spelling_counts(server: MlflowServer, backend: MlflowBackend, publish: Publish) -> None:
    # given
    publish()
    server.move_alias("digits", "production", "1")
    watching = watch(backend)

    # when
    server.move_alias("digits", "Production", "1")

    # then
    assert list(watching.look()) == [AliasMoved("digits", "Production", None, "1.0.0", "1", AT)]


def test_an_alias_that_vanished_with_its_version_is_an_alarm(server: MlflowServer, backend: MlflowBackend, publish: Publish) -> None:
    # given
    publish()
    publish("1.1.0", "better")
    server.move_alias("digits", "production", "2")
    watching = watch(backend)

    # when
    server.do("DELETE", "model-versions/delete", name="digits", version="2")

    # then
    assert list(watching.look()) == [AliasVanished("digits", "production", "1.1.0", AT)]


def test_an_alias_at_the_same_number_of_a_model_that_was_made_anew_has_moved(
    server: MlflowServer, backend: MlflowBackend, publish: Publish, tmp_path: Path
) -> None:
    # given
    publish()
    server.move_alias("digits", "production", "1")
    watching = watch(backend)

    # when
    server.forget()
    bundle = load_bundle(write_files(tmp_path / "anew", version="9.0.0"))
    log_and_register(server, bundle.manifest, tmp_path / "anew")
    server.move_alias("digits", "production", "1")

    # then
    assert list(watching.look()) == [AliasMoved("digits", "production", "1.0.0", "9.0.0", "1", AT)]


def test_an_alias_that_moved_while_nobody_looked_is_noticed_by_who_kept_what_was_seen(
    server: MlflowServer, backend: MlflowBackend, publish: Publish
) -> None:
    # given
    publish()
    publish("1.1.0", "better")
    server.move_alias("digits", "production", "1")
    kept = watch(backend).known

    # when
    server.move_alias("digits", "production", "2")
    events = AliasWatch(backend, lambda: AT, kept).look()

    # then
    assert [(event.family, event.alias) for event in events] == [("digits", "production")]


def test_a_look_that_fails_forgets_nothing(server: MlflowServer, publish: Publish) -> None:
    # given
    publish()
    away = MlflowBackend(MlflowAddress(f"{server.url}/nowhere"), Access())
    watching = AliasWatch(away, lambda: AT, {})

    # when
    with pytest.raises(RegistryUnavailable):
        watching.look()

    # then
    assert watching.known == {}


# --- webhooks -------------------------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A URL, and what is posted to it."""
    posted = list[tuple[dict[str, str], bytes]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}/hook", posted
        finally:
            listener.shutdown()
            thread.join()


def test_a_webhook_that_mlflow_signed_is_believed_now_and_only_unchanged(server: MlflowServer, publish: Publish) -> None:
    # given
    publish()
    with listening() as (url, posted):
        events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
        server.do("POST", "webhooks", name="pointsman", url=url, events=events, secret=SECRET.decode())

        # when
        server.move_alias("digits", "production", "1")
        wait_for(lambda: posted, "MLflow tells of the alias", seconds=30)

    # then
    headers, body = posted[0]
    now = datetime.now(UTC)
    assert verify_webhook(headers, body, SECRET, now) == headers["x-mlflow-delivery-id"]
    for changed in (
        (headers, body + b" ", SECRET, now),
        (headers, body, b"another", now),
        (headers, body, SECRET, now + timedelta(hours=1)),
    ):
        with pytest.raises(UnbelievedWebhook):
            verify_webhook(*changed)
    with pytest.raises(UnbelievedWebhook):
        verify_webhook({**headers, SIGNATURE: "v1,***"}, body, SECRET, now)
