import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.errors import DigestMismatch, NotEnoughRoom, RegistryUnavailable
from registry_client.origins import Origin
from registry_client.partials import Partials, take_turn
from registry_client.transfers import Moved
from tests.fakes.sources import Source, artifact_of

CONTENT = bytes(range(251)) * 400
ARTIFACT = artifact_of(CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "partial"


@pytest.fixture
def wrong() -> list[str]:
    """What was thrown away."""
    return []


@pytest.fixture
def partials(folder: Path, wrong: list[str]) -> Partials:
    return Partials(folder, wrong.append, patience_s=0.2)


def fetched(partials: Partials, origin: Origin, aside: Path) -> bytes | None:
    """Fetch it, and take it away."""
    with partials.whole(ARTIFACT, origin, aside) as whole:
        if whole is None:
            return None
        whole.path.rename(aside.with_suffix(".taken"))
    return aside.with_suffix(".taken").read_bytes()


def begun(folder: Path, content: bytes) -> Path:
    """What an earlier try left."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ARTIFACT.sha256
    path.write_bytes(content)
    return path


@given(breaks=st.lists(st.integers(0, len(CONTENT)), max_size=6), has_parts=st.booleans(), at_once=st.integers(1, 5))
def test_wherever_it_breaks_off_the_same_bytes_arrive(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[int], at_once: int, *, has_parts: bool
) -> None:
    # given
    folder = tmp_path_factory.mktemp("partial")
    wrong = list[str]()
    partials = Partials(folder, wrong.append)
    source = Source((CONTENT,), breaks=breaks, has_parts=has_parts)

    # when
    arrived = None
    for _ in range(len(breaks) + 1):
        try:
            arrived = fetched(partials, source.origin(at_once=at_once), folder / "aside")
        except RegistryUnavailable:
            source.breaks = source.breaks[1:] if has_parts else source.breaks
            continue
        break

    # then
    assert arrived == CONTENT
    assert wrong == []


@given(cut=st.integers(0, len(CONTENT)), tail=st.binary(max_size=300))
def test_whatever_an_earlier_try_left_the_right_bytes_arrive(tmp_path_factory: pytest.TempPathFactory, cut: int, tail: bytes) -> None:
    # given
    folder = tmp_path_factory.mktemp("partial")
    begun(folder, CONTENT[:cut] + tail)

    # when / then
    assert fetched(Partials(folder, list[str]().append), Source((CONTENT,)).origin(), folder / "aside") == CONTENT


def test_a_fetch_goes_on_where_an_earlier_one_ended(partials: Partials, folder: Path) -> None:
    # given
    begun(folder, CONTENT[:60_000])
    source = Source((CONTENT,))

    # when
    arrived = fetched(partials, source.origin(), folder / "aside")

    # then
    assert arrived == CONTENT
    assert min(start for start, _ in source.parts) == 60_000
    assert source.streams == 0


def test_a_file_that_was_all_there_is_not_asked_for(partials: Partials, folder: Path) -> None:
    # given
    begun(folder, CONTENT)
    source = Source((CONTENT,))

    # when / then
    assert fetched(partials, source.origin(), folder / "aside") == CONTENT
    assert (source.parts, source.streams) == ([], 0)


def test_what_began_as_another_file_is_thrown_away_and_told(partials: Partials, folder: Path, wrong: list[str]) -> None:
    # given
    path = begun(folder, b"another" * 1_000)

    # when / then
    assert fetched(partials, Source((CONTENT,)).origin(), folder / "aside") == CONTENT
    assert wrong == [str(path)]


def test_where_no_parts_are_handed_out_it_begins_anew(partials: Partials, folder: Path, wrong: list[str]) -> None:
    # given
    begun(folder, CONTENT[:60_000])
    source = Source((CONTENT,), has_parts=False)

    # when / then
    assert fetched(partials, source.origin(), folder / "aside") == CONTENT
    assert (source.streams, wrong) == (1, [])


def test_other_bytes_than_were_named_are_not_handed_out(partials: Partials, folder: Path) -> None:
    # given
    other = Source((CONTENT,), lie=CONTENT[:-1] + b"?")

    # when / then
    with pytest.raises(DigestMismatch):
        fetched(partials, other.origin(), folder / "aside")
    assert not (folder / ARTIFACT.sha256).exists()


def test_parts_are_asked_for_together_and_no_more_than_are_allowed(partials: Partials, folder: Path) -> None:
    # given
    inside, most, turn = 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def before() -> None:
        nonlocal inside, most
        with turn:
            inside += 1
            most = max(most, inside)
        if not together.broken:
            with suppress(threading.BrokenBarrierError):
                together.wait(5)
            together.abort()
        with turn:
            inside -= 1

    # when
    arrived = fetched(partials, Source((CONTENT,), before=before).origin(at_once=3), folder / "aside")

    # then
    assert arrived == CONTENT
    assert most == 3


def test_how_far_it_is_is_told_from_where_it_began(partials: Partials, folder: Path) -> None:
    # given
    begun(folder, CONTENT[:60_000])
    told = list[Moved]()

    # when
    fetched(partials, Source((CONTENT,)).origin(told=told.append), folder / "aside")

    # then
    assert told[0] == Moved(ARTIFACT.path, 60_000, len(CONTENT))
    assert told[-1] == Moved(ARTIFACT.path, len(CONTENT), len(CONTENT))
    assert [moved.done for moved in told] == sorted(moved.done for moved in told)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """As another process that fetches it, and stands still."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab"), path.parent.with_suffix(".turns").open("ab") as turns:
        assert take_turn(turns, ARTIFACT.sha256)
        yield


def test_several_who_want_one_file_fetch_it_once(partials: Partials, folder: Path) -> None:
    # given
    source = Source((CONTENT,))
    arrived = list[bytes | None]()
    together = threading.Barrier(4)

    def fetch() -> None:
        together.wait()
        arrived.append(fetched(partials, source.origin(), folder / f"aside{threading.get_ident()}"))

    # when
    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    assert arrived.count(CONTENT) >= 1
    assert {content for content in arrived if content is not None} == {CONTENT}
    assert len(source.parts) == arrived.count(CONTENT) * 11


def test_one_who_stands_still_is_not_waited_for(partials: Partials, folder: Path) -> None:
    with held(folder / ARTIFACT.sha256):
        assert fetched(partials, Source((CONTENT,)).origin(), folder / "aside") == CONTENT


def test_what_another_one_moved_away_meanwhile_is_looked_for_again(folder: Path) -> None:
    # given
    path = folder / ARTIFACT.sha256
    waits = threading.Event()
    found = list[bytes | None]()
    patient = Partials(folder, list[str]().append, patience_s=30)

    def fetch() -> None:
        origin = Source((CONTENT,)).origin(told=lambda _: waits.set())
        found.append(fetched(patient, origin, folder / "aside"))

    # when
    thread = threading.Thread(target=fetch)
    with held(path):
        thread.start()
        assert waits.wait(10)
        path.rename(folder.parent / "taken")
    thread.join()

    # then
    assert found == [None]


def test_a_disk_that_fills_up_is_told_with_what_is_free(folder: Path) -> None:
    # given
    def full(_moved: Moved) -> None:
        raise OSError(28, "No space left on device")

    partials = Partials(folder, list[str]().append, free=lambda _: 4096)

    # when / then
    with pytest.raises(NotEnoughRoom, match="filled up, and 4 KiB are free"):
        fetched(partials, Source((CONTENT,)).origin(told=full), folder / "aside")


def test_the_digest_of_what_arrived_is_that_of_what_was_written(partials: Partials, folder: Path) -> None:
    with partials.whole(ARTIFACT, Source((CONTENT,)).origin(), folder / "aside") as whole:
        assert whole is not None
        assert sha256(whole.path.read_bytes()).hexdigest() == ARTIFACT.sha256
