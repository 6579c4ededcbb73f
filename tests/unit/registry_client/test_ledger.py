import threading
from pathlib import Path

import pytest

from registry_client.errors import DamagedLedger, ImmutabilityViolation
from registry_client.ledger import Ledger

ONE, OTHER = "aa" * 32, "bb" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "ledger.jsonl"


def see(path: Path, digest: str, *, registry: str = "file:///r", version: str = "1.0.0") -> None:
    Ledger(path).check(registry, "digits", version, digest)


def test_the_first_sight_is_kept_across_processes(path: Path) -> None:
    # given
    see(path, ONE)
    see(path, ONE)

    # when
    with pytest.raises(ImmutabilityViolation) as violation:
        see(path, OTHER)

    # then
    assert (violation.value.recorded, violation.value.found) == (ONE, OTHER)
    assert len(path.read_bytes().splitlines()) == 1


def test_other_versions_and_registries_are_others(path: Path) -> None:
    see(path, ONE)
    see(path, OTHER, version="1.0.1")
    see(path, OTHER, registry="file:///s")


def test_what_another_process_saw_meanwhile_counts(path: Path) -> None:
    # given
    ledger = Ledger(path)
    ledger.check("file:///r", "digits", "1.0.0", ONE)
    see(path, ONE, version="2.0.0")

    # when / then
    with pytest.raises(ImmutabilityViolation):
        ledger.check("file:///r", "digits", "2.0.0", OTHER)


def test_a_line_that_a_killed_writer_left_half_is_dropped(path: Path) -> None:
    # given
    see(path, ONE)
    with path.open("ab") as file:
        file.write(b'{"registry":"file:///r","fam')

    # when
    see(path, OTHER, version="2.0.0")

    # then
    assert len(path.read_bytes().splitlines()) == 2
    see(path, ONE)
    see(path, OTHER, version="2.0.0")


def test_a_whole_line_that_cannot_be_read_is_an_alarm(path: Path) -> None:
    # given
    path.parent.mkdir()
    path.write_bytes(b"not a line\n")

    # when / then
    with pytest.raises(DamagedLedger):
        see(path, ONE)


def test_of_several_at_once_one_is_first(path: Path) -> None:
    # given
    together = threading.Barrier(6)
    violations: list[ImmutabilityViolation] = []

    def look(number: int) -> None:
        together.wait()
        try:
            see(path, f"{number:064x}")
        except ImmutabilityViolation as violation:
            violations.append(violation)

    # when
    threads = [threading.Thread(target=look, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # then
    assert len(violations) == 5
    assert len({violation.recorded for violation in violations}) == 1
