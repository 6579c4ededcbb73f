from pathlib import Path

import pytest

from serving.core.errors import HeadLogBroken
from serving.stores.head_log import HeadFile
from tests.contracts.test_head_log import signed


def size_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    await HeadFile(tmp_path / "heads.jsonl").append(signed(1))

    assert size_of(tmp_path / "heads.jsonl") == 0o600


async def test_half_a_line_that_a_power_cut_left_is_skipped_and_hides_nothing_that_follows(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    log = HeadFile(path)
    await log.append(signed(1))
    cut(path, by=20)

    await log.append(signed(2))

    assert list(await log.read()) == [signed(2)]


async def test_a_line_that_is_no_head_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    write(path, "{}\n")

    with pytest.raises(HeadLogBroken, match="line 1"):
        await HeadFile(path).read()


async def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(HeadLogBroken):
        await HeadFile(tmp_path / "nowhere" / "heads.jsonl").append(signed(1))


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def cut(path: Path, *, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])
