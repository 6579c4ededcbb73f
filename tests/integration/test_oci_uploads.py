"""Large files on their way to a registry of OCI artifacts: in pieces, and on from where they broke off; on a real `docker-registry`."""

import fcntl
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from registry_client.address import Access, OciAddress
from registry_client.backends.oci import OciBackend
from registry_client.backends.opening import open_registry
from registry_client.backends.uploads import PIECE
from registry_client.bundle import Bundle
from registry_client.cache import Cache
from registry_client.client import RegistryClient
from registry_client.errors import DigestMismatch, MissingBlob, RegistryUnavailable
from registry_client.manifest import Artifact
from registry_client.origins import PAUSES
from tests.crashes import publishing
from tests.crashes.nursery import Nursery
from tests.fakes.bundles import WEIGHTS
from tests.fixtures.oci_server import OciServer
from tests.fixtures.registry_homes import OciHome, behind
from tests.tools.killing_proxy import Killing, Moment
from tests.tools.meddling_proxy import Answered, Asked, Meddle, MeddlingProxy

SIZE = PIECE + PIECE // 4
CONTENT = b"".join(number.to_bytes(4, "big") for number in range(SIZE // 4))
"""Two pieces, and no four bytes of them twice."""


@pytest.fixture
def home(oci_server: OciServer) -> OciHome:
    return OciHome(oci_server)


@pytest.fixture
def weights(bundle: Bundle) -> Artifact:
    return next(artifact for artifact in bundle.manifest.artifacts if artifact.path == WEIGHTS)


@dataclass
class Registry:
    """The registry behind a proxy, which behaves as it is told to. `folder`: where the bundle is, and the cache of who publishes."""

    home: OciHome
    folder: Path
    nursery: Nursery
    meddle: Meddle = lambda _: None
    proxy: MeddlingProxy = field(init=False)

    def __post_init__(self) -> None:
        self.proxy = MeddlingProxy(self.home.server.url, lambda asked: self.meddle(asked))  # noqa: PLW0108 - it may be told otherwise later

    def client(self) -> RegistryClient:
        """One who publishes, through the proxy."""
        return open_registry(behind(self.home.plan, self.proxy.url), Cache(self.folder / "cache"))

    def fetched(self) -> bytes:
        """What somebody fetches who has nothing yet."""
        return open_registry(self.home.plan, Cache(self.folder / "fresh")).fetch("digits", "1.0.0").path(WEIGHTS).read_bytes()

    def kill_publisher(self, moment: Moment) -> None:
        """Kill one at his second piece, and forget what he asked for."""
        self.meddle = Killing(self.home.server.url, self.folder / "pid", 1, moment, lambda asked: asked.method == "PATCH")
        access = dict.fromkeys(("username", "password_file", "endpoint", "region"), "")
        address = str(behind(self.home.plan, self.proxy.url).address)
        ended = self.nursery.play(publishing.publish, address=address, access=access, folder=str(self.folder))
        assert ended.is_killed, ended.said
        self.meddle = lambda _: None
        self.proxy.asked.clear()

    def sent(self) -> list[tuple[str, int]]:
        """The pieces that came: where each belongs, and its size."""
        return [(asked.headers["content-range"], len(asked.body)) for asked in self.proxy.asked if asked.method == "PATCH"]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.crashes.publishing") as nursery:
        yield nursery


@pytest.fixture
def registry(home: OciHome, tmp_path: Path, nursery: Nursery) -> Iterator[Registry]:
    registry = Registry(home, tmp_path, nursery)
    with registry.proxy:
        yield registry


def pieces(start: int = 0) -> list[tuple[str, int]]:
    """The file from there on."""
    ends = [(first, min(first + PIECE, SIZE)) for first in range(start, SIZE, PIECE)]
    return [(f"{first}-{end - 1}", end - first) for first, end in ends]


def test_a_large_file_is_sent_in_pieces(registry: Registry, bundle: Bundle) -> None:
    registry.client().publish(bundle)

    assert registry.sent() == pieces()
    assert registry.fetched() == CONTENT
    assert list((registry.folder / "cache" / "uploads").iterdir()) == []


def test_after_kill_9_the_next_publisher_sends_the_rest(registry: Registry, bundle: Bundle) -> None:
    # given
    registry.kill_publisher(Moment.BEFORE)

    # when
    registry.client().publish(bundle)

    # then
    assert registry.sent() == pieces(PIECE)
    assert registry.fetched() == CONTENT


def test_where_the_registry_no_longer_knows_the_upload_it_begins_anew(registry: Registry, bundle: Bundle) -> None:
    """As docker-registry does not that has more than it said last: it takes nothing behind that."""
    # given
    registry.kill_publisher(Moment.AMID)

    # when
    registry.client().publish(bundle)

    # then
    assert registry.sent() == pieces()
    assert registry.fetched() == CONTENT


def test_where_a_connection_breaks_it_goes_on_at_the_byte_that_the_registry_says(registry: Registry, bundle: Bundle) -> None:
    # given
    breaking = Breaking(registry.home.server.url)
    registry.meddle = breaking

    # when
    registry.client().publish(bundle)

    # then
    middle = PIECE + (SIZE - PIECE) // 2
    assert registry.sent() == [*pieces()[:2], *pieces(middle)]
    assert registry.fetched() == CONTENT


def test_a_file_whose_last_answer_was_lost_is_not_sent_again(registry: Registry, bundle: Bundle, weights: Artifact) -> None:
    # given
    def lose(asked: Asked) -> Answered | None:
        return Answered(500, after=True) if asked.method == "PUT" and weights.sha256 in asked.path else None

    registry.meddle = lose

    # when
    registry.client().publish(bundle)

    # then
    assert registry.sent() == pieces()
    assert registry.fetched() == CONTENT


def test_a_registry_that_takes_nothing_is_given_up(registry: Registry, bundle: Bundle, weights: Artifact) -> None:
    # given
    registry.meddle = lambda asked: Answered(416) if asked.method == "PATCH" else None

    # when
    with bundle.path(WEIGHTS).open("rb") as file, pytest.raises(RegistryUnavailable, match="is answered 416 at byte 0"):
        OciBackend(OciAddress(registry.proxy.url, registry.home.repository), Access()).put_file(bundle.manifest, weights, file)

    # then
    assert len(registry.sent()) == 1 + len(PAUSES)


def test_a_file_that_changed_while_it_was_sent_never_arrives(registry: Registry, bundle: Bundle, weights: Artifact) -> None:
    # given
    other = registry.folder / "other"
    other.write_bytes(CONTENT[:-1] + b"?")
    client = OciBackend(OciAddress(registry.proxy.url, registry.home.repository), Access(), registry.folder / "uploads")

    # when
    with other.open("rb") as file, pytest.raises(DigestMismatch, match="a file that changed while it was published"):
        client.put_file(bundle.manifest, weights, file)

    # then
    assert [asked.method for asked in registry.proxy.asked][-1] == "DELETE"
    assert list((registry.folder / "uploads").iterdir()) == []
    with pytest.raises(MissingBlob):
        client.open_file(bundle.manifest, weights)


def test_of_two_who_send_one_file_at_once_neither_takes_the_others_upload(registry: Registry, bundle: Bundle) -> None:
    # given
    registry.kill_publisher(Moment.BEFORE)
    [note] = (registry.folder / "cache" / "uploads").iterdir()

    # when
    with note.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        registry.client().publish(bundle)

    # then
    assert registry.sent() == pieces()
    assert registry.fetched() == CONTENT


def test_however_large_a_file_is_little_of_it_is_in_memory(home: OciHome, bundle: Bundle, weights: Artifact) -> None:
    # given
    backend = OciBackend(OciAddress(home.server.url, home.repository), Access())

    # when
    with bundle.path(WEIGHTS).open("rb") as file:
        tracemalloc.start()
        backend.put_file(bundle.manifest, weights, file)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    # then
    assert most < PIECE // 2


@dataclass
class Breaking:
    """A registry that keeps half of the second piece, hangs up, and says how much it has when it is asked, as is specified."""

    target: str
    count: int = 0
    place: str = ""

    def __call__(self, asked: Asked) -> Answered | None:
        if asked.method == "PATCH":
            self.count += 1
            if self.count == 2:
                self.place = self._take(asked)
                return Answered(500)
        if asked.method == "GET" and "/blobs/uploads/" in asked.path:
            answer = httpx.get(self.place)
            place = httpx.URL(answer.headers["location"]).raw_path.decode()
            return Answered(answer.status_code, headers={"location": place, "range": answer.headers["range"]})
        return None

    def _take(self, asked: Asked) -> str:
        half = asked.body[: len(asked.body) // 2]
        answer = httpx.patch(f"{self.target}{asked.path}", content=half, headers={"Content-Type": "application/octet-stream"})
        return str(answer.raise_for_status().headers["location"])
