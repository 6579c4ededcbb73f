"""What every registry promises, whatever keeps it: a name reaches what it names, and nothing beside it."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry_client.backends.base import Backend
from registry_client.errors import MissingBlob, UnknownFamily, UnknownVersion
from registry_client.manifest import Artifact
from tests.contracts.registries.desk import Desk
from tests.fixtures.registry_homes import RegistryHome, opened


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
