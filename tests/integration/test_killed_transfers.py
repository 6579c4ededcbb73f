"""A process that is killed with -9 at any step of fetching or publishing leaves nothing that anybody takes for whole."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_client.bundle import load_bundle
from registry_client.errors import UnknownFamily
from tests.crashes import fetching
from tests.crashes.fetching import FAMILY, VERSION, registry_of
from tests.crashes.nursery import Nursery
from tests.fakes.bundles import write_files

WEIGHTS = "weights/model.onnx.data"
CONTENT = bytes(range(256)) * 80
FEWEST_STEPS = 40


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crashes.fetching") as nursery:
        yield nursery


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: kill -9 loses nothing that was written, so no disk need be waited for."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    with tempfile.TemporaryDirectory(prefix="pm-killed-", dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        write_files(folder / "bundle")
        (folder / "bundle" / WEIGHTS).write_bytes(CONTENT)
        yield folder


def is_whole_or_absent(folder: Path) -> bool:
    """Whether every bundle that the cache has has all its files."""
    bundles = folder / "cache" / "bundles"
    return not bundles.exists() or all((bundle / WEIGHTS).read_bytes() == CONTENT for bundle in bundles.iterdir())


def test_wherever_a_fetch_is_killed_the_next_one_brings_the_same_bytes(nursery: Nursery, folder: Path) -> None:
    # given
    registry_of(folder).publish(load_bundle(folder / "bundle"))
    steps = 0

    # when
    while (ended := nursery.play(fetching.fetch, folder=str(folder), at=steps)).is_killed:
        assert is_whole_or_absent(folder)
        fetched = registry_of(folder).fetch(FAMILY, VERSION)
        assert fetched.path(WEIGHTS).read_bytes() == CONTENT
        shutil.rmtree(folder / "cache")
        steps += 1

    # then
    assert ended.code == 0, ended.said
    assert steps > FEWEST_STEPS


def test_a_fetch_that_is_killed_again_and_again_gets_there(nursery: Nursery, folder: Path) -> None:
    # given
    registry_of(folder).publish(load_bundle(folder / "bundle"))
    steps = 0

    # when
    while nursery.play(fetching.fetch, folder=str(folder), at=steps).is_killed:
        assert is_whole_or_absent(folder)
        steps += 1

    # then
    assert registry_of(folder).fetch(FAMILY, VERSION).path(WEIGHTS).read_bytes() == CONTENT


def test_wherever_a_publication_is_killed_the_version_is_there_whole_or_not_at_all(nursery: Nursery, folder: Path) -> None:
    # given
    bundle, steps = load_bundle(folder / "bundle"), 0

    # when
    while (ended := nursery.play(fetching.publish, folder=str(folder), at=steps)).is_killed:
        client = registry_of(folder)
        try:
            client.versions(FAMILY)
        except UnknownFamily:
            client.publish(bundle)
        assert client.fetch(FAMILY, VERSION).path(WEIGHTS).read_bytes() == CONTENT
        shutil.rmtree(folder / "cache", ignore_errors=True)
        shutil.rmtree(folder / "registry")
        steps += 1

    # then
    assert ended.code == 0, ended.said
    assert steps > FEWEST_STEPS
