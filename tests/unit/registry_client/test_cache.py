import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import DigestMismatch
from registry_client.manifest import Artifact, Manifest
from registry_client.origins import Origin
from tests.fakes.bundles import DAMAGED, MODEL

WriteBundle = Callable[..., Path]


@pytest.fixture
def manifest(client: RegistryClient, write_bundle: WriteBundle) -> Manifest:
    return client.publish(load_bundle(write_bundle())).manifest


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def cached_blob(tmp_path: Path, manifest: Manifest) -> Path:
    digest = manifest.model.sha256
    return tmp_path / "cache" / "blobs" / "sha256" / digest[:2] / digest


def test_a_second_look_fetches_nothing(cache: Cache, backend: FilesBackend, manifest: Manifest, repairs: list[str]) -> None:
    # given
    first = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory

    def refuse(artifact: Artifact) -> BinaryIO:
        raise AssertionError(artifact.path)

    # when / then
    assert cache.bundle(manifest, Origin(refuse)).directory == first
    assert repairs == []


def test_a_bundle_shares_no_file_with_the_cached_blobs(cache: Cache, backend: FilesBackend, manifest: Manifest) -> None:
    directory = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory
    assert [(directory / artifact.path).stat().st_nlink for artifact in manifest.artifacts] == [1] * len(manifest.artifacts)


@pytest.mark.parametrize("content", [DAMAGED, b"", MODEL + b" and more"])
def test_a_damaged_bundle_file_is_put_right_and_reported(
    cache: Cache, backend: FilesBackend, manifest: Manifest, repairs: list[str], content: bytes
) -> None:
    # given
    directory = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory
    overwrite(directory / "model.onnx", content)

    # when
    cache.bundle(manifest, Origin(partial(backend.open_file, manifest)))

    # then
    assert (directory / "model.onnx").read_bytes() == MODEL
    assert repairs == [str(directory / "model.onnx")]


def test_a_damaged_blob_is_fetched_again_and_reported(
    cache: Cache, backend: FilesBackend, manifest: Manifest, repairs: list[str], tmp_path: Path
) -> None:
    # given
    directory = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory
    overwrite(cached_blob(tmp_path, manifest), DAMAGED)
    (directory / "model.onnx").unlink()

    # when
    cache.bundle(manifest, Origin(partial(backend.open_file, manifest)))

    # then
    assert (directory / "model.onnx").read_bytes() == MODEL
    assert repairs == [str(directory / "model.onnx"), str(cached_blob(tmp_path, manifest))]


def test_what_cannot_be_put_right_is_not_handed_out(cache: Cache, backend: FilesBackend, manifest: Manifest, tmp_path: Path) -> None:
    # given
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"wrong")

    # when
    with pytest.raises(DigestMismatch):
        cache.bundle(manifest, Origin(lambda _: wrong.open("rb")))

    # then
    assert not cached_blob(tmp_path, manifest).exists()
    assert (cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory / "model.onnx").read_bytes() == MODEL


def test_what_the_manifest_does_not_name_is_removed(
    cache: Cache, backend: FilesBackend, manifest: Manifest, repairs: list[str], tmp_path: Path
) -> None:
    # given
    directory = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory
    (directory / "__pycache__").mkdir()
    (directory / "__pycache__" / "post.cpython-311.pyc").write_bytes(b"other code")
    (directory / "weights" / "extra").write_bytes(b"x")
    (directory / "linked").symlink_to(tmp_path)

    # when
    cache.bundle(manifest, Origin(partial(backend.open_file, manifest)))

    # then
    assert sorted(path.name for path in directory.rglob("*")) == [
        "CARD.md",
        "golden.jsonl",
        "model.onnx",
        "model.onnx.data",
        "post.py",
        "requirements.lock",
        "weights",
    ]
    assert len(repairs) == 3
    assert tmp_path.is_dir()


@pytest.mark.parametrize("foreign", ["link", "directory", "file for a folder"])
def test_another_kind_of_entry_in_a_files_place_is_replaced(
    cache: Cache, backend: FilesBackend, manifest: Manifest, tmp_path: Path, foreign: str
) -> None:
    # given
    directory = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory
    (tmp_path / "same").write_bytes(MODEL)
    (directory / "model.onnx").unlink()
    match foreign:
        case "link":
            (directory / "model.onnx").symlink_to(tmp_path / "same")
        case "directory":
            (directory / "model.onnx" / "inner").mkdir(parents=True)
        case _:
            (directory / "weights" / "model.onnx.data").unlink()
            (directory / "weights").rmdir()
            (directory / "weights").write_bytes(b"x")

    # when
    cache.bundle(manifest, Origin(partial(backend.open_file, manifest)))

    # then
    assert (directory / "model.onnx").read_bytes() == MODEL
    assert not (directory / "model.onnx").is_symlink()
    assert (directory / "weights" / "model.onnx.data").read_bytes() == b"weights"


def test_a_manifest_is_remembered_by_its_digest(cache: Cache, backend: FilesBackend, manifest: Manifest) -> None:
    cache.bundle(manifest, Origin(partial(backend.open_file, manifest)))
    assert cache.manifest(manifest.digest) == manifest
    assert cache.manifest("ab" * 32) is None
    assert cache.manifest("../ledger") is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"jane"])
def test_a_damaged_manifest_is_forgotten(
    cache: Cache, backend: FilesBackend, manifest: Manifest, tmp_path: Path, repairs: list[str], damage: bytes
) -> None:
    # given
    cache.bundle(manifest, Origin(partial(backend.open_file, manifest)))
    path = tmp_path / "cache" / "manifests" / f"{manifest.digest}.json"
    path.write_bytes(manifest.canonical().replace(b"jane", b"kane") if damage == b"jane" else damage)

    # when / then
    assert cache.manifest(manifest.digest) is None
    assert repairs == [str(path)]
    assert not path.exists()


def test_what_a_killed_fetch_left_counts_for_nothing(cache: Cache, backend: FilesBackend, manifest: Manifest, tmp_path: Path) -> None:
    # given
    half = tmp_path / "cache" / ".staging" / "tmpkilled" / "bundle"
    half.mkdir(parents=True)
    (half / "model.onnx").write_bytes(b"\x08")

    # when
    directory = cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory

    # then
    assert (directory / "model.onnx").read_bytes() == MODEL


def test_several_who_fetch_at_once_all_get_it(backend: FilesBackend, manifest: Manifest, tmp_path: Path, repairs: list[str]) -> None:
    # given
    together = threading.Barrier(4)
    seen: list[bytes] = []

    def fetch() -> None:
        cache = Cache(tmp_path / "shared", repairs.append)
        together.wait()
        seen.append((cache.bundle(manifest, Origin(partial(backend.open_file, manifest))).directory / "model.onnx").read_bytes())

    # when
    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    assert seen == [MODEL] * 4
    assert repairs == []
