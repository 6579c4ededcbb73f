"""What every library behind a server promises of a component's large files: they come in parts, and go on where an earlier try ended."""

from hashlib import sha256
from pathlib import Path

import pytest

from registry_client.backends.opening import open_library
from registry_client.blobs import Housekeeping
from registry_client.cache import Cache
from registry_client.library import Library, load_component
from registry_client.origins import PART
from tests.fixtures.registry_homes import RegistryHome, behind, server_of
from tests.tools.meddling_proxy import MeddlingProxy

CONTENT = b"".join(number.to_bytes(4, "big") for number in range((PART + 2**20) // 4))
BEGUN = 2**19
DESCRIBED = """\
component: {name: words, version: 1.0.0, kind: python, entry: "words:build", files: [words.py, table.bin], config: {}}
created_by: ada
"""

pytestmark = pytest.mark.parametrize("home", ["s3", "oci"], indirect=True)


@pytest.fixture
def published(home: RegistryHome, tmp_path: Path) -> RegistryHome:
    """A registry that has the component."""
    folder = tmp_path / "component"
    folder.mkdir()
    (folder / "component.yaml").write_text(DESCRIBED, "utf-8")
    (folder / "words.py").write_text("def build(config): ...\n", "utf-8")
    (folder / "table.bin").write_bytes(CONTENT)
    library = open_library(home.plan, Cache(tmp_path / "publisher"))
    assert library is not None
    library.publish(load_component(folder))
    return home


def through(home: RegistryHome, proxy: MeddlingProxy, cache: Path) -> Library:
    library = open_library(behind(home.plan, proxy.url), Cache(cache, keeping=Housekeeping(large=2**20)))
    assert library is not None
    return library


def test_a_large_file_of_a_component_goes_on_where_an_earlier_try_ended_in_parts(published: RegistryHome, tmp_path: Path) -> None:
    # given
    partial = tmp_path / "cache" / "partial" / sha256(CONTENT).hexdigest()
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:BEGUN])

    # when
    with MeddlingProxy(server_of(published.plan), lambda _: None) as proxy:
        directory = through(published, proxy, tmp_path / "cache").fetch("words", "1.0.0").directory

    # then
    assert (directory / "components" / "words-1.0.0" / "table.bin").read_bytes() == CONTENT
    parts = sorted(asked.headers["range"] for asked in proxy.asked if "range" in asked.headers)
    assert parts == [f"bytes={BEGUN}-{BEGUN + PART - 1}", f"bytes={BEGUN + PART}-{len(CONTENT) - 1}"]
