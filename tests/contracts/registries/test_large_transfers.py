"""What every registry promises of large files: in parts where it can, on from where it ended after kill -9; with their real servers."""

from pathlib import Path

import pytest

from registry_client.backends.base import Ranged
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import MissingBlob
from registry_client.manifest import Manifest
from registry_client.transfers import Moved
from tests.crashes import fetching
from tests.crashes.nursery import Nursery
from tests.fakes.bundles import write_files
from tests.fakes.sources import artifact_of
from tests.fixtures.registry_homes import FilesHome, RegistryHome, opened

WEIGHTS = "weights/model.onnx.data"
CONTENT = bytes(range(256)) * (20 * 2**20 // 256)
KILLED_AT = 8 * 2**20


@pytest.fixture
def manifest(home: RegistryHome, tmp_path: Path) -> Manifest:
    bundle = write_files(tmp_path / "bundle")
    (bundle / WEIGHTS).write_bytes(CONTENT)
    return RegistryClient(opened(home), Cache(tmp_path / "publisher")).publish(load_bundle(bundle)).manifest


def test_a_large_file_arrives_whole_and_tells_how_far_it_is(home: RegistryHome, manifest: Manifest, tmp_path: Path) -> None:
    # given
    told = list[Moved]()

    # when
    fetched = RegistryClient(opened(home), Cache(tmp_path / "cache")).fetch(manifest.family, manifest.version, told=told.append)

    # then
    assert fetched.path(WEIGHTS).read_bytes() == CONTENT
    done = [moved.done for moved in told if moved.what == WEIGHTS]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(CONTENT))


def test_after_kill_9_the_next_fetch_asks_for_the_rest(home: RegistryHome, manifest: Manifest, tmp_path: Path) -> None:
    # given
    access = home.plan.access
    who = {name: str(getattr(access, name) or "") for name in ("username", "password_file", "endpoint", "region")}
    with Nursery("tests.crashes.fetching") as nursery:
        address, cache = str(home.plan.address), str(tmp_path / "cache")
        ended = nursery.play(fetching.fetch_until, address=address, access=who, cache=cache, size=KILLED_AT)
    assert ended.is_killed, ended.said
    told = list[Moved]()

    # when
    fetched = RegistryClient(opened(home), Cache(tmp_path / "cache")).fetch(manifest.family, manifest.version, told=told.append)

    # then
    assert fetched.path(WEIGHTS).read_bytes() == CONTENT
    assert next(moved.done for moved in told if moved.what == WEIGHTS) >= KILLED_AT


def test_a_part_is_the_bytes_that_were_asked_for(home: RegistryHome, manifest: Manifest) -> None:
    # given
    backend = opened(home)
    if not isinstance(backend, Ranged):
        assert isinstance(home, FilesHome)  # which is read from anywhere
        return
    weights = next(artifact for artifact in manifest.artifacts if artifact.path == WEIGHTS)

    # when / then
    assert backend.read_span(manifest, weights, 1000, 3000) == CONTENT[1000:4000]
    assert backend.read_span(manifest, weights, len(CONTENT) - 1, 1) == CONTENT[-1:]
    with pytest.raises(MissingBlob):
        backend.read_span(manifest, artifact_of(b"never published", "never"), 0, 1)
