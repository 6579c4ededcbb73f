from pathlib import Path

import pytest

from registry_client.address import (
    Access,
    BadRegistryAddress,
    FilesAddress,
    MlflowAddress,
    OciAddress,
    RegistryAddress,
    RegistryPlan,
    S3Address,
    parse_registry,
)


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("/srv/models", FilesAddress(Path("/srv/models")), "/srv/models"),
        ("models", FilesAddress(Path("models")), "models"),
        ("files:models", FilesAddress(Path("models")), "models"),
        ("files:/srv/models", FilesAddress(Path("/srv/models")), "/srv/models"),
        ("files:///srv/models", FilesAddress(Path("/srv/models")), "/srv/models"),
        ("s3://models", S3Address("models"), "s3://models"),
        ("s3://models/team-a/prod/", S3Address("models", "team-a/prod"), "s3://models/team-a/prod"),
        ("oci://ghcr.io/acme/models", OciAddress("https://ghcr.io", "acme/models"), "oci://ghcr.io/acme/models"),
        ("oci+http://127.0.0.1:5000/m", OciAddress("http://127.0.0.1:5000", "m"), "oci+http://127.0.0.1:5000/m"),
        ("mlflow+https://ml.acme.io/a/", MlflowAddress("https://ml.acme.io/a"), "mlflow+https://ml.acme.io/a"),
        ("mlflow+http://[::1]:5000", MlflowAddress("http://[::1]:5000"), "mlflow+http://[::1]:5000"),
    ],
)
def test_one_setting_names_every_kind_of_registry(text: str, address: RegistryAddress, shown: str) -> None:
    assert parse_registry(text) == address
    assert str(address) == shown
    assert parse_registry(shown) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "files:",
        "s3://",
        "s3://Models",
        "s3://models:9000/x",
        "s3://models/../x",
        "s3://models/a b",
        "s3://key:hunter2@models",
        "oci://ghcr.io",
        "oci://ghcr.io/Acme",
        "oci://ghcr.io/a/../b",
        "oci://user:hunter2@ghcr.io/acme",
        "oci:///acme",
        "oci://ghcr.io:99999/acme",
        "mlflow+http://",
        "mlflow+http://ml?token=hunter2",
        "mlflow+ftp://ml",
        "http://ml",
        "https://bucket/x",
    ],
)
def test_what_names_no_registry_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadRegistryAddress, match="it is one of a folder, files:PATH") as refusal:
        parse_registry(text)

    assert "hunter2" not in str(refusal.value)


def test_a_password_is_read_from_its_file_and_shown_nowhere(tmp_path: Path) -> None:
    # given
    (tmp_path / "password").write_text("hunter2\n")

    # when
    access = Access("jane", tmp_path / "password")

    # then
    assert access.password() == "hunter2"
    assert "hunter2" not in repr(RegistryPlan(parse_registry("s3://models"), access))
    assert Access().password() == ""


def test_a_folder_is_found_again_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert RegistryPlan.at(Path("models")).absolute().folder == tmp_path / "models"
    remote = RegistryPlan(parse_registry("s3://models"))
    assert (remote.absolute(), remote.folder) == (remote, None)
