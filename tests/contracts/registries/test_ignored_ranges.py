"""What every registry behind a server promises when that server ignores `Range`, and answers with the whole file or with another part."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from registry_client.backends.opening import open_backend
from registry_client.blobs import Housekeeping
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.manifest import Manifest
from registry_client.origins import PART
from tests.fakes.bundles import write_files
from tests.fixtures.registry_homes import RegistryHome, behind, opened, server_of
from tests.tools.meddling_proxy import Answered, Asked, Meddle, MeddlingProxy

WEIGHTS = "weights/model.onnx.data"
CONTENT = b"".join(number.to_bytes(4, "big") for number in range((PART + 2**20) // 4))
"""More than one part, and no four bytes of it twice: whatever is shifted or doubled shows."""
KEEPING = Housekeeping(large=2**20)

Fetch = Callable[[MeddlingProxy], bytes]

pytestmark = pytest.mark.parametrize("home", ["s3", "oci", "mlflow"], indirect=True)


@pytest.fixture
def manifest(home: RegistryHome, tmp_path: Path) -> Manifest:
    bundle = write_files(tmp_path / "bundle")
    (bundle / WEIGHTS).write_bytes(CONTENT)
    return RegistryClient(opened(home), Cache(tmp_path / "publisher")).publish(load_bundle(bundle)).manifest


@pytest.fixture
def fetch(home: RegistryHome, manifest: Manifest, tmp_path: Path) -> Fetch:
    """Fetches the version through a proxy, whichever way the file comes."""

    def run(proxy: MeddlingProxy) -> bytes:
        client = RegistryClient(open_backend(behind(home.plan, proxy.url)), Cache(tmp_path / "cache", keeping=KEEPING))
        return client.fetch(manifest.family, manifest.version).path(WEIGHTS).read_bytes()

    return run


def without_ranges(home: RegistryHome, meddle: Meddle = lambda _: None) -> MeddlingProxy:
    """The registry's server as one that knows no `Range`."""
    return MeddlingProxy(server_of(home.plan), meddle, unsent=frozenset({"range", "if-range"}))


def of_parts(proxy: MeddlingProxy) -> list[str]:
    """The parts that were asked for."""
    return sorted(asked.headers["range"] for asked in proxy.asked if "range" in asked.headers)


def test_a_file_comes_as_one_stream_from_a_server_that_ignores_ranges(home: RegistryHome, fetch: Fetch) -> None:
    with without_ranges(home) as proxy:
        fetched = fetch(proxy)

    assert fetched == CONTENT
    assert of_parts(proxy) == [f"bytes=0-{PART - 1}", f"bytes={PART}-{len(CONTENT) - 1}"]


@pytest.mark.parametrize("begun", [1, 2**20 + 1, len(CONTENT) - 1])
def test_what_an_earlier_try_left_is_no_beginning_of_the_whole_that_comes(
    home: RegistryHome, fetch: Fetch, tmp_path: Path, begun: int
) -> None:
    # given
    partial = tmp_path / "cache" / "partial" / sha256(CONTENT).hexdigest()
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:begun])

    # when
    with without_ranges(home) as proxy:
        fetched = fetch(proxy)

    # then
    assert fetched == CONTENT
    assert [part for part in of_parts(proxy) if part.startswith(f"bytes={begun}-")]


def test_a_server_that_forgets_its_ranges_on_the_way_does_not_double_what_came(home: RegistryHome, fetch: Fetch) -> None:
    # given
    def second_part_is_everything(asked: Asked) -> Answered | None:
        return Answered(200, CONTENT) if asked.headers.get("range", "").startswith(f"bytes={PART}-") else None

    # when
    with MeddlingProxy(server_of(home.plan), second_part_is_everything) as proxy:
        fetched = fetch(proxy)

    # then
    assert fetched == CONTENT


def test_a_part_of_another_place_is_not_taken_for_the_one_that_was_asked_for(home: RegistryHome, fetch: Fetch) -> None:
    # given
    def always_the_first(asked: Asked) -> Answered | None:
        if "range" not in asked.headers:
            return None
        return Answered(206, CONTENT[:PART], {"Content-Range": f"bytes 0-{PART - 1}/{len(CONTENT)}"})

    # when
    with MeddlingProxy(server_of(home.plan), always_the_first) as proxy:
        fetched = fetch(proxy)

    # then
    assert fetched == CONTENT
