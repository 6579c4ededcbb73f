"""Whatever kills or refuses a change, all of it is written or nothing."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from serving.core.errors import StoreUnavailable
from serving.stores.sqlite import SqliteStore
from tests.unit.stores.sqlite.changes import CLOCK, transition

KILLED = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from serving.stores.sqlite import SqliteStore
from tests.unit.stores.sqlite.changes import CLOCK, transition

async def main():
    store = await SqliteStore.open(Path({path!r}), CLOCK)
    await store.commit(transition(1))
    {sabotage}
    await store.commit(transition(2))
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("sabotage", "epoch"),
    [("await store._changes.run(lambda connection: connection.set_commit_hook(lambda: os.kill(os.getpid(), 9)))", 1), ("", 2)],
    ids=["before the commit", "after the commit"],
)
async def test_a_process_killed_around_its_commit_leaves_all_of_the_change_or_nothing(path: Path, sabotage: str, epoch: int) -> None:
    program = KILLED.format(root=str(Path(__file__).parents[4]), path=str(path), sabotage=sabotage)

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, complaint = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == -signal.SIGKILL, complaint.decode()
    store = await SqliteStore.open(path, CLOCK)
    snapshot = await store.snapshot()
    assert (snapshot.epoch, snapshot.families["digits"].revision) == (epoch, epoch)
    assert [entry.epoch for entry in await store.history(None, limit=10)] == list(range(epoch, 0, -1))
    assert (await store.committed("digits-2") is not None) == (epoch == 2)
    assert (await store.commit(transition(2))).replayed == (epoch == 2)
    await store.close()


async def test_a_commit_that_fails_midway_writes_nothing_and_the_next_one_succeeds(store: SqliteStore) -> None:
    refuse = "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.audit BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
    await store._changes.run(lambda connection: connection.execute(refuse))
    with pytest.raises(StoreUnavailable, match="on purpose"):
        await store.commit(transition())
    await store._changes.run(lambda connection: connection.execute("DROP TRIGGER refuse"))

    assert (await store.snapshot()).families == {}
    assert (await store.commit(transition())).epoch == 1


@pytest.mark.parametrize("tampering", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
async def test_the_audit_can_only_be_added_to(store: SqliteStore, tampering: str) -> None:
    await store.commit(transition())

    with pytest.raises(StoreUnavailable, match="append-only"):
        await store._changes.run(lambda connection: connection.execute(tampering))
