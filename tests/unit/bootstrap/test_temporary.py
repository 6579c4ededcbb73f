import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.bootstrap.temporary import OWNER, FolderTaken, clear_dead, owning

HOLD = """
import sys
from pathlib import Path
from serving.bootstrap.temporary import owning
with owning([Path(sys.argv[1])]):
    print("held", flush=True)
    sys.stdin.read()
"""


def named(place: Path, mark: str) -> Path:
    return place / f"pointsman-{os.getuid()}-{mark * 8}"


@contextmanager
def another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_what_a_killed_installation_left_is_cleared_by_the_next_start_of_another(tmp_path: Path) -> None:
    # given
    dead = named(tmp_path, "d")
    with another(dead) as process:
        (dead / "metrics").mkdir()
        (dead / "metrics" / "counter.db").write_bytes(b"1")
        process.kill()
        process.wait()

    # when
    with owning([named(tmp_path, "a")]):
        there = {path.name for path in tmp_path.iterdir()}

    # then
    assert there == {named(tmp_path, "a").name}


def test_what_a_live_installation_has_is_left_alone(tmp_path: Path) -> None:
    live = named(tmp_path, "b")
    with another(live):
        (live / "metrics").mkdir()

        cleared = clear_dead(tmp_path)

        assert (cleared, sorted(path.name for path in live.iterdir())) == ([], [OWNER, "metrics"])


def test_what_nobody_is_known_to_have_had_is_left_alone(tmp_path: Path) -> None:
    # given: another program's name, a link to a folder elsewhere, one open to others, one without an owner's file
    strange, link, shared, ownerless = tmp_path / "pointsman-x", named(tmp_path, "1"), named(tmp_path, "2"), named(tmp_path, "3")
    elsewhere = tmp_path / "elsewhere"
    for folder in (strange, shared, ownerless, elsewhere):
        folder.mkdir(mode=0o700)
    link.symlink_to(elsewhere)
    for folder in (strange, shared, elsewhere):
        (folder / OWNER).touch()
    shared.chmod(0o777)

    # when / then
    assert clear_dead(tmp_path) == []
    assert all((folder / OWNER).exists() for folder in (strange, shared, elsewhere))
    assert ownerless.is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder to somebody else")
def test_what_another_user_left_is_left_alone(tmp_path: Path) -> None:
    foreign = named(tmp_path, "f")
    foreign.mkdir(mode=0o700)
    (foreign / OWNER).touch()
    os.chown(foreign, 65534, 65534)

    assert clear_dead(tmp_path) == []


def test_what_whoever_cleared_was_killed_over_is_cleared_next_time(tmp_path: Path) -> None:
    half = tmp_path / f"{named(tmp_path, 'c').name}.cleared-123"
    half.mkdir(mode=0o700)

    assert clear_dead(tmp_path) == [half]
    assert not half.exists()


def test_an_installation_that_ends_leaves_no_empty_folder(tmp_path: Path) -> None:
    with owning([named(tmp_path, "e")]):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_had_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.bootstrap.temporary.PATIENCE_S", 0.05)
    folder = named(tmp_path, "a")

    with another(folder), pytest.raises(FolderTaken, match="another pointsman has"), owning([folder]):
        pass


def test_whoever_starts_while_others_clear_away_has_a_whole_folder(tmp_path: Path) -> None:
    # given: a dead one's folder that is made anew and cleared away at the same time, many times
    folder = named(tmp_path, "a")

    def start(number: int) -> bool:
        with owning([folder]):
            (folder / "metrics").mkdir(exist_ok=True)
            (folder / "metrics" / str(number)).touch()
            clear_dead(tmp_path)
            return (folder / "metrics" / str(number)).exists()

    # when
    with ThreadPoolExecutor(4) as others:
        sweeping = [others.submit(clear_dead, tmp_path) for _ in range(100)]
        kept = [start(number) for number in range(50)]

    # then
    assert all(kept)
    assert all(each.exception() is None for each in sweeping)
