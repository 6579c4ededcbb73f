import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client.errors import DamagedLedger, ImmutabilityViolation
from registry_client.ledger import Ledger

ONE, OTHER, THIRD = "aa" * 32, "bb" * 32, "cc" * 32
SEEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


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
    assert [entry.digest for entry in Ledger(path).entries() if not entry.found] == [ONE]


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


def test_when_a_version_was_first_seen_is_kept(path: Path) -> None:
    # given
    ledger = Ledger(path, now=lambda: SEEN)

    # when
    ledger.check("file:///r", "digits", "1.0.0", ONE)

    # then
    assert [(entry.version, entry.digest, entry.at) for entry in Ledger(path).entries()] == [("1.0.0", ONE, "2026-01-02T03:04:05Z")]


def test_a_violation_is_written_down_once_for_each_content_that_is_found(path: Path) -> None:
    # given
    see(path, ONE)

    # when
    for found in (OTHER, OTHER, THIRD):
        with pytest.raises(ImmutabilityViolation):
            see(path, found)
    see(path, ONE)

    # then
    assert [(entry.digest, entry.found) for entry in Ledger(path).entries()] == [(ONE, ""), (ONE, OTHER), (ONE, THIRD)]


def test_what_is_only_compared_is_not_recorded(path: Path) -> None:
    # given
    ledger = Ledger(path)
    ledger.compare("file:///r", "digits", "1.0.0", ONE)
    see(path, OTHER)

    # when / then
    with pytest.raises(ImmutabilityViolation):
        ledger.compare("file:///r", "digits", "1.0.0", ONE)


def test_a_ledger_that_nobody_has_written_is_empty_and_makes_no_file(path: Path) -> None:
    assert list(Ledger(path).entries()) == []
    assert not path.parent.exists()


def test_lines_without_a_time_are_understood(path: Path) -> None:
    # given
    path.parent.mkdir()
    path.write_text(f'{{"registry":"file:///r","family":"digits","version":"1.0.0","digest":"{ONE}"}}\n')

    # when / then
    with pytest.raises(ImmutabilityViolation):
        see(path, OTHER)


WRITER = """
import sys
from pathlib import Path
from registry_client.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    ledger.check("file:///r", "digits", f"1.0.{number}", sys.argv[2] * 64)
"""


def test_processes_that_write_at_once_agree_on_every_first_sight(path: Path) -> None:
    # given
    pipe = subprocess.PIPE
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), "c"], stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()

    # when
    said = [writer.communicate("go\n", timeout=60) for writer in writers]

    # then
    assert [(writer.returncode, err) for writer, (_, err) in zip(writers, said, strict=True)] == [(0, "")] * 3
    assert sorted(entry.version for entry in Ledger(path).entries()) == sorted(f"1.0.{number}" for number in range(200))
