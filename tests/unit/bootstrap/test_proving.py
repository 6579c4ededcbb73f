"""A version is loaded as it was verified, or not at all, whatever is done to its files meanwhile."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from registry_client.backends.files import FilesBackend
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import FetchedBundle, RegistryClient
from registry_client.errors import ChangedMeanwhile, InvalidBundle
from serving.bootstrap.proving import GoldenFailed, open_proven
from serving.dataplane.engine import VersionEngine
from serving.dataplane.faults import LoadFailed
from serving.ports import Call, CallKind
from tests.unit.registry_client.sketches import Linear

GOOD = Linear()
OTHER = GOOD.but(bias=np.zeros(3))
ROW = GOOD.rows[0]
OUTSIDE = GOOD.but(nodes="outside", description={"weights": ["weights.bin"]})
SWAPPED_IN = {
    "model.onnx": OTHER.graph(),
    "weights.bin": np.zeros(3, np.float32).tobytes(),
    "golden.jsonl": b'{"name": "none", "request": {"x": [0, 0, 0, 0]}, "response": {"y": [1, 1, 1]}}\n',
}
MOMENTS = 5
"""More than there are of them while such a version is loaded."""


@pytest.fixture
def client(tmp_path: Path) -> RegistryClient:
    return RegistryClient(FilesBackend(tmp_path / "registry"), Cache(tmp_path / "cache"))


@pytest.fixture
def fetch(client: RegistryClient, tmp_path: Path) -> Callable[..., FetchedBundle]:
    """A version without golden examples, which would find the swap for another reason; fetched, and so verified."""

    def published(good: Linear = GOOD) -> FetchedBundle:
        client.publish(load_bundle(good.but(rows=()).write(tmp_path / "bundle", "1.0.0")))
        return client.fetch("sketch", "1.0.0")

    return published


def opened(fetched: FetchedBundle) -> VersionEngine:
    return open_proven(fetched, inflate_cap=2**20, python=None)


def answer(engine: VersionEngine) -> Any:
    [reply] = engine.run([Call(CallKind.PREDICT, "", msgspec.json.encode({"x": list(ROW)}))])
    return msgspec.json.decode(reply.body)["y"]


def put(path: Path, content: bytes) -> None:
    """Rename another file over it."""
    aside = path.with_name("aside")
    aside.write_bytes(content)
    aside.replace(path)


def rewrite(path: Path, content: bytes) -> None:
    """Write into it."""
    path.chmod(0o644)
    path.write_bytes(content)


def link(path: Path, content: bytes) -> None:
    """Put a link to another file in its place."""
    aside = path.parent.parent / "aside"
    aside.write_bytes(content)
    path.unlink()
    path.symlink_to(aside)


def put_and_back(path: Path, content: bytes) -> None:
    """Swap it, and swap it back: whoever looks afterwards finds the right bytes."""
    kept = path.with_name("kept")
    path.rename(kept)
    path.write_bytes(content)
    kept.replace(path)


@pytest.mark.parametrize("swap", [put, rewrite, link, put_and_back, lambda path, _: path.unlink()])
def test_a_file_that_was_touched_after_it_was_verified_is_not_loaded(
    fetch: Callable[..., FetchedBundle], swap: Callable[[Path, bytes], None]
) -> None:
    # given
    fetched = fetch()

    # when
    swap(fetched.path("model.onnx"), OTHER.graph())

    # then
    with pytest.raises(Exception, match=r"model\.onnx was touched while it was loaded|its file is not there"):
        opened(fetched)


def test_what_was_let_alone_is_loaded_and_a_second_look_puts_right_what_was_not(
    client: RegistryClient, fetch: Callable[..., FetchedBundle]
) -> None:
    # given
    fetched = fetch()
    [whole] = GOOD.but(rows=[ROW]).answers()
    assert answer(opened(fetched)) == pytest.approx(whole)
    put(fetched.path("model.onnx"), OTHER.graph())

    # when
    again = client.fetch("sketch", "1.0.0")

    # then
    assert answer(opened(again)) == pytest.approx(whole)


class Watched(FetchedBundle):
    """Whoever asks it for the so-maniest path finds a file swapped: the moment at which somebody is about to open one."""

    moment = 0
    name = ""
    swap: Callable[[Path, bytes], None] = put

    def path(self, name: str) -> Path:
        found = super().path(name)
        Watched.moment -= 1
        if Watched.moment < 0:
            with suppress(OSError):
                Watched.swap(super().path(Watched.name), SWAPPED_IN[Watched.name])
        return found


@pytest.mark.parametrize("swap", [put, rewrite, put_and_back])
@pytest.mark.parametrize("name", SWAPPED_IN)
def test_at_whatever_moment_a_file_is_swapped_a_version_is_loaded_as_it_was_verified_or_not_at_all(
    client: RegistryClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, swap: Callable[[Path, bytes], None]
) -> None:
    # given
    client.publish(load_bundle(OUTSIDE.write(tmp_path / "bundle", "1.0.0")))
    right = answer(opened(client.fetch("sketch", "1.0.0")))
    outcomes = list[object]()

    # when
    for moment in range(MOMENTS):
        fetched = client.fetch("sketch", "1.0.0")
        monkeypatch.setattr(Watched, "moment", moment)
        monkeypatch.setattr(Watched, "name", name)
        monkeypatch.setattr(Watched, "swap", staticmethod(swap))
        try:
            outcomes.append(answer(opened(Watched(fetched.manifest, fetched.digest, fetched.seal))))
        except (ChangedMeanwhile, LoadFailed, GoldenFailed, InvalidBundle) as error:
            outcomes.append(type(error).__name__)

    # then
    assert {str(outcome) for outcome in outcomes} <= {str(right), "ChangedMeanwhile", "LoadFailed", "GoldenFailed", "InvalidBundle"}
    assert outcomes[0] != right
    assert outcomes[-1] == right


def test_what_is_written_into_the_files_of_a_version_that_serves_changes_no_answer(fetch: Callable[..., FetchedBundle]) -> None:
    # given
    fetched = fetch(OUTSIDE)
    engine = opened(fetched)
    before = answer(engine)

    # when
    for name in ("weights.bin", "model.onnx"):
        rewrite(fetched.path(name), bytes(fetched.path(name).stat().st_size))

    # then
    assert answer(engine) == before != [0.0, 0.0, 0.0]


def test_a_version_that_fails_its_golden_examples_says_the_first_failure(client: RegistryClient, tmp_path: Path) -> None:
    # given
    directory = GOOD.write(tmp_path / "bundle", "1.0.0")
    (directory / "model.onnx").write_bytes(OTHER.graph())
    client.publish(load_bundle(directory))

    # when / then
    with pytest.raises(GoldenFailed, match=r"3 of 3 golden examples failed; the first: golden example 'row 0': "):
        opened(client.fetch("sketch", "1.0.0"))
