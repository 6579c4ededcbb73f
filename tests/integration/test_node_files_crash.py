"""Killed at every step of writing the node's own files: what is there afterwards is whole, old or new."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry_client.versions import ModelVersion
from serving.core.overrides import Override
from serving.ports import Kept, Snapshot
from serving.stores.credential import issue_credential
from serving.stores.override_files import OverrideFiles
from serving.stores.snapshot_file import SnapshotFile

KEEP = """
import sys
from pathlib import Path
from serving.failpoints import arm
from serving.ports import Kept, Snapshot
from serving.stores.snapshot_file import SnapshotFile
arm(f"{sys.argv[2]}=kill")
SnapshotFile(Path(sys.argv[1])).keep(Kept(Snapshot(epoch=2, head="2" * 64), {"a" * 64: ("/run/" + "x" * 5000,)}))
"""

PLACE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from registry_client.versions import ModelVersion
from serving.core.overrides import Override
from serving.failpoints import arm
from serving.stores.credential import read_credential
from serving.stores.override_files import OverrideFiles
folder, key = Path(sys.argv[1]), Path(sys.argv[1]).with_name("break-glass.key")
one, two = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")
arm(f"{sys.argv[2]}=kill")
override = Override("override-1", "digits", one, (two,), "ada", "errors", datetime(2030, 1, 1, tzinfo=UTC), 1)
OverrideFiles(folder, key).place(override, read_credential(key))
"""

OVERRIDE = Override(
    "override-1",
    "digits",
    ModelVersion.parse("1.0.0"),
    (ModelVersion.parse("1.1.0"),),
    "ada",
    "errors",
    datetime(2030, 1, 1, tzinfo=UTC),
    1,
)


def killed(program: str, path: Path, point: str) -> None:
    done = subprocess.run([sys.executable, "-c", program, str(path), point], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, point


@pytest.mark.parametrize(("point", "epoch"), [("snapshot.written", 1), ("snapshot.synced", 1), ("snapshot.renamed", 2)])
def test_a_snapshot_is_the_one_before_or_the_new_one(tmp_path: Path, point: str, epoch: int) -> None:
    # given
    path = tmp_path / "routes.snapshot"
    file = SnapshotFile(path)
    file.keep(Kept(Snapshot(epoch=1, head="1" * 64)))

    # when
    killed(KEEP, path, point)

    # then
    loaded = file.load()
    assert loaded is not None
    assert loaded.snapshot.epoch == epoch
    assert file.keep(Kept(Snapshot(epoch=3, head="3" * 64))), "who died over it has left no lock"
    assert {found.name for found in tmp_path.iterdir()} == {"routes.snapshot", "routes.snapshot.lock"}


@pytest.mark.parametrize(("point", "standing"), [("override.written", ()), ("override.placed", (OVERRIDE,))])
def test_an_override_is_there_or_not_and_never_half(tmp_path: Path, point: str, standing: tuple[Override, ...]) -> None:
    folder = tmp_path / "override"
    folder.mkdir()
    issue_credential(tmp_path / "break-glass.key")

    killed(PLACE, folder, point)

    placed = OverrideFiles(folder, tmp_path / "break-glass.key").read()
    assert (placed.standing, placed.refused) == (standing, {})
