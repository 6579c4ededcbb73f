"""What people do to aliases in MLflow, on a real one: moved, gone, and moved while nobody looked."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client.address import Access, MlflowAddress
from registry_client.backends.mlflow.aliases import AliasMoved, AliasVanished, AliasWatch
from registry_client.backends.mlflow.backend import MlflowBackend
from registry_client.bundle import load_bundle
from registry_client.errors import RegistryUnavailable
from tests.fakes.bundles import write_files
from tests.fixtures.mlflow_server import MlflowServer
from tests.integration.mlflow.registering import Publish, log_and_register

AT = datetime(2030, 1, 2, tzinfo=UTC)


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
