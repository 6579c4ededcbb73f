"""The node's table of what was counted, shared by processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from serving.stores.claim_table import ClaimTables

PROCESSES = 4
NUMBERS = 5000

CLAIMANT = """
import sys
from pathlib import Path
from serving.stores.claim_table import ClaimTables
claims = ClaimTables(Path(sys.argv[1])).open("a", 0.0)
sys.stdin.read()
for number in range(int(sys.argv[2])):
    if claims.claim(number * 2654435761 * 2**32 % 2**64, 0):
        print(number)
"""


def test_processes_that_claim_the_same_numbers_at_once_never_both_get_one(tmp_path: Path) -> None:
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMANT, str(tmp_path), str(NUMBERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]
    for one in racing:
        assert one.stdin is not None
        one.stdin.close()

    claimed = list[str]()
    for one in racing:
        assert one.stdout is not None
        claimed += one.stdout.read().split()
        assert one.wait(30) == 0
        one.stdout.close()

    assert len(claimed) == len(set(claimed))
    assert len(claimed) > NUMBERS // 2


def test_where_there_is_no_room_something_goes_uncounted_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    claims = ClaimTables(tmp_path, buckets=2).open("a", 0.0)

    claimed = [[claims.claim(number << 48 | number, 0) for number in range(100)] for _ in range(2)]
    in_the_next_window = [claims.claim(number << 48 | number, 1) for number in range(100)]

    assert (sum(claimed[0]), sum(claimed[1]), sum(in_the_next_window)) == (16, 0, 16)
    claims.close()


def test_a_table_that_cannot_be_made_is_told_of_and_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("in the way")

    with structlog.testing.capture_logs() as logs:
        claims = ClaimTables(tmp_path / "claims").open("a", 0.0)

    assert [entry["event"] for entry in logs] == ["nothing_counted"]
    assert not claims.claim(1, 0)
    claims.close()


def test_a_table_has_all_its_memory_from_the_beginning_and_is_the_owners_alone(tmp_path: Path) -> None:
    ClaimTables(tmp_path / "claims").open("a", 0.0).close()

    found = (tmp_path / "claims" / "a").stat()

    assert found.st_blocks * 512 >= found.st_size > 4 * 2**20 - 1
    assert found.st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "claims") == ["a"]  # noqa: PTH208 - the names


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_table_that_is_no_table_counts_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    claims = ClaimTables(tmp_path).open("a", 0.0)

    assert not claims.claim(1, 0)
    claims.close()
