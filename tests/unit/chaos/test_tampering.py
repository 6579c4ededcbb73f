"""Whatever is done to the past of a store's file is found out."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from tests.chaos.tampering import WAYS, is_found_out, tamper, write_history


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(3))
def test_a_past_that_was_changed_is_found_out(way: str, seed: int, tmp_path: Path) -> None:
    path, dice = tmp_path / "state.db", Random(seed)
    head = asyncio.run(write_history(path, dice))
    assert not is_found_out(path, head)

    tamper(path, WAYS[way], dice)

    assert is_found_out(path, head)
