from pathlib import Path

import pytest

from serving.core.quiet import HOURS, Profile
from serving.stores.traffic_file import TrafficFile


async def test_what_was_learnt_is_read_back(tmp_path: Path) -> None:
    profiles = {"digits": Profile((1.5, *(None,) * (HOURS - 1)), 7, 3.0, is_whole=True)}
    await TrafficFile(tmp_path / "traffic.json").keep(profiles)

    assert await TrafficFile(tmp_path / "traffic.json").load() == profiles
    assert await TrafficFile(tmp_path / "traffic.json").profile("digits") == profiles["digits"]


async def test_of_a_family_that_was_never_seen_nothing_is_known(tmp_path: Path) -> None:
    assert await TrafficFile(tmp_path / "traffic.json").profile("digits") == Profile()


@pytest.mark.parametrize("content", [b"", b'{"digits": {"hours": [1.0]}}', b'{"digits": 7}', b"\xff"])
async def test_a_file_that_cannot_be_believed_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "traffic.json"
    path.write_bytes(content)

    assert await TrafficFile(path).load() == {}
