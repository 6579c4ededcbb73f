"""The files that disagreeing pairs lie in."""

import os
from pathlib import Path

from serving.stores.pair_files import KEPT_S, PairFiles


def test_they_are_the_owners_alone_and_never_half_there(tmp_path: Path) -> None:
    PairFiles(tmp_path / "pairs").put("r1", "g", b"[]")

    (file,) = (tmp_path / "pairs").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_they_are_forgotten_after_a_week(tmp_path: Path) -> None:
    files = PairFiles(tmp_path)
    files.put("r1", "g", b"[1]")
    (old,) = tmp_path.iterdir()
    made = old.stat().st_mtime
    os.utime(old, (made - KEPT_S - 60, made - KEPT_S - 60))

    files.put("r2", "g", b"[2]")

    assert files.read("r1") == []
    assert files.read("r2") == [b"[2]"]
