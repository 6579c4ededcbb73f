import hashlib
import io
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import DigestMismatch, MissingBlob, NotEnoughRoom, UnknownFamily, UnknownVersion
from registry_client.manifest import Manifest
from tests.fakes.bundles import MODEL

WriteBundle = Callable[..., Path]
CONTENT = b"content"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def manifest(backend: FilesBackend, write_bundle: WriteBundle) -> Manifest:
    """A manifest whose files are in the registry already."""
    bundle = load_bundle(write_bundle())
    for artifact in bundle.manifest.artifacts:
        with bundle.files[artifact.path].open("rb") as file:
            backend.put_blob(artifact.sha256, file)
    return bundle.manifest


def test_a_blob_is_stored_once_and_read_only(backend: FilesBackend, root: Path) -> None:
    # given / when
    created = [backend.put_blob(DIGEST, io.BytesIO(CONTENT)) for _ in range(2)]

    # then
    path = root / "blobs" / "sha256" / DIGEST[:2] / DIGEST
    assert created == [True, False]
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.stat().st_nlink == 1


def test_other_bytes_than_announced_are_not_stored(backend: FilesBackend, root: Path) -> None:
    # given / when
    with pytest.raises(DigestMismatch):
        backend.put_blob(DIGEST, io.BytesIO(b"other content"))

    # then
    with pytest.raises(MissingBlob):
        backend.open_blob(DIGEST)
    assert list((root / ".staging").iterdir()) == []


def test_a_damaged_blob_is_noticed_by_the_next_publisher(backend: FilesBackend, root: Path) -> None:
    # given
    backend.put_blob(DIGEST, io.BytesIO(CONTENT))
    path = root / "blobs" / "sha256" / DIGEST[:2] / DIGEST
    path.chmod(0o644)
    path.write_bytes(b"cOntent")

    # when / then
    with pytest.raises(DigestMismatch, match="damaged"):
        backend.put_blob(DIGEST, io.BytesIO(CONTENT))


def test_the_tree_can_be_read_by_a_person(backend: FilesBackend, root: Path, manifest: Manifest) -> None:
    # given / when
    backend.put_manifest(manifest)

    # then
    version = root / "families" / "digits" / "1.0.0"
    assert (version / "manifest.json").read_bytes() == manifest.canonical()
    assert (version / "bundle" / "weights" / "model.onnx.data").read_bytes() == b"weights"
    assert not (version / "bundle" / "model.onnx").readlink().is_absolute()
    assert "do not edit" in (root / "README.txt").read_text("utf-8")
    assert subprocess.run(["sha256sum", "-c", "manifest.sha256"], cwd=version, check=False, capture_output=True).returncode == 0


def test_the_tree_may_be_moved(backend: FilesBackend, root: Path, manifest: Manifest) -> None:
    # given
    backend.put_manifest(manifest)

    # when
    root.rename(root.parent / "moved")

    # then
    assert (root.parent / "moved/families/digits/1.0.0/bundle/model.onnx").read_bytes() == MODEL
    assert FilesBackend(root.parent / "moved").versions("digits") == ["1.0.0"]


def test_the_first_manifest_of_a_version_stays(backend: FilesBackend, manifest: Manifest) -> None:
    # given
    other = msgspec.structs.replace(manifest, docs="other")

    # when
    created = [backend.put_manifest(manifest), backend.put_manifest(other), backend.put_manifest(manifest)]

    # then
    assert created == [True, False, False]
    assert backend.read_manifest("digits", "1.0.0").document == manifest.canonical()


def test_a_version_does_not_appear_before_its_files(backend: FilesBackend, write_bundle: WriteBundle) -> None:
    # given
    manifest = load_bundle(write_bundle()).manifest

    # when
    with pytest.raises(MissingBlob):
        backend.put_manifest(manifest)

    # then
    assert backend.families() == []


def test_what_a_killed_publisher_left_counts_for_nothing(backend: FilesBackend, root: Path, manifest: Manifest) -> None:
    # given
    half = root / ".staging" / "tmpkilled" / "version"
    half.mkdir(parents=True)
    (half / "manifest.json").write_bytes(b"{")
    (root / "families" / "digits" / "1.0.0").mkdir(parents=True)

    # when / then
    assert backend.families() == []
    with pytest.raises(UnknownFamily):
        backend.versions("digits")
    with pytest.raises(UnknownVersion):
        backend.read_manifest("digits", "1.0.0")
    assert backend.put_manifest(manifest)
    assert backend.versions("digits") == ["1.0.0"]


@pytest.mark.parametrize("step", ["os.link", "pathlib.Path.rename", "os.fsync", "pathlib.Path.symlink_to"])
def test_a_publish_that_breaks_off_leaves_no_version(
    backend: FilesBackend, root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    # given
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def publish() -> None:
        backend.put_blob(DIGEST, io.BytesIO(CONTENT))
        backend.put_manifest(manifest)

    # when
    with monkeypatch.context() as broken:
        broken.setattr(step, fail)
        with pytest.raises(NotEnoughRoom, match="filled up"):
            publish()

    # then
    assert backend.families() == []
    assert list((root / ".staging").iterdir()) == []
    assert backend.put_manifest(manifest)


@pytest.mark.parametrize(
    ("family", "version"),
    [("../digits", "1.0.0"), ("digits", "../1.0.0"), ("digits", "1.0.0/../1.0.0"), ("", "1.0.0"), ("digits", "."), ("digits\n", "1.0.0")],
)
def test_a_name_never_climbs_out_of_the_tree(backend: FilesBackend, manifest: Manifest, family: str, version: str) -> None:
    # given
    backend.put_manifest(manifest)

    # when / then
    with pytest.raises((UnknownFamily, UnknownVersion)):
        backend.read_manifest(family, version)


@pytest.mark.parametrize("digest", ["", "../" + "a" * 61, "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_a_digest_never_climbs_out_of_the_tree(backend: FilesBackend, digest: str) -> None:
    with pytest.raises(MissingBlob):
        backend.open_blob(digest)


def test_two_ways_to_the_same_place_are_one_registry(backend: FilesBackend, root: Path) -> None:
    # given
    root.mkdir()
    (root.parent / "link").symlink_to(root)

    # when / then
    assert FilesBackend(root.parent / "link").name == backend.name
    assert FilesBackend(Path(os.path.relpath(root))).name == backend.name


def test_a_note_that_was_changed_on_the_disk_is_not_believed(tmp_path: Path, write_bundle: WriteBundle) -> None:
    # given
    client = RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))
    client.publish(load_bundle(write_bundle()))
    client.annotate("digits", "1.0.0", "not for the night shift", "ada")
    [note] = (tmp_path / "registry" / "notes" / "digits" / "1.0.0").rglob("*.json")
    assert "not for the night shift" in note.read_text("utf-8")

    # when
    note.chmod(0o644)
    note.write_text(note.read_text("utf-8").replace("not for", "fit for"), "utf-8")

    # then
    with pytest.raises(DigestMismatch):
        client.notes("digits", "1.0.0")
