"""P13: whoever can write to the store's file changes its past, in every way there is; the chain, or the head kept elsewhere, tells."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import apsw

from benchmarks.chaos import Figure
from serving.core.audit import AuditEntry, Mark, entry_hash, verify_chain
from serving.core.errors import StoreUnavailable
from tests.chaos.homes import opened
from tests.chaos.scenario import Full, Scenario, Stage
from tests.tools.flipping import Flipper, audit_of

ENTRIES = 60
COLUMNS = (
    "family",
    "revision",
    "at",
    "actor",
    "action",
    "reason",
    "before",
    "after",
    "operation_id",
    "signal",
    "record",
    "previous",
    "hash",
)
FORGED = {"revision": 4711, "before": b'{"value":"another"}', "after": b'{"value":"another"}', "record": b"{}"}

Tampering = Callable[[apsw.Connection, Random], None]


def _edit(connection: apsw.Connection, dice: Random) -> None:
    column = dice.choice(COLUMNS)
    value = "2030-01-02T03:04:05.000006+00:00" if column == "at" else FORGED.get(column, f"forged {dice.random()}")
    connection.execute(f"UPDATE audit SET {column} = ? WHERE epoch = ?", (value, _any(dice)))  # noqa: S608 - one of COLUMNS


def _delete(connection: apsw.Connection, dice: Random) -> None:
    connection.execute("DELETE FROM audit WHERE epoch = ?", (_any(dice),))


def _reorder(connection: apsw.Connection, dice: Random) -> None:
    first, second = dice.sample(range(1, ENTRIES + 1), 2)
    for to, of in ((-1, first), (first, second), (second, -1)):
        connection.execute("UPDATE audit SET epoch = ? WHERE epoch = ?", (to, of))


def _truncate(connection: apsw.Connection, dice: Random) -> None:
    """Cut the end off, and have the store say that it was never longer."""
    last = _any(dice) - 1
    connection.execute("DELETE FROM audit WHERE epoch > ?", (last,))
    head = connection.execute("SELECT hash FROM audit WHERE epoch = ?", (last,)).fetchall()
    connection.execute("UPDATE epochs SET epoch = ?, head = ?", (last, head[0][0] if head else "0" * 64))


def _rewrite(connection: apsw.Connection, dice: Random) -> None:
    """Edit an entry, and give it and all that follow the hashes that they would have had."""
    epoch = _any(dice)
    connection.execute("UPDATE audit SET reason = 'it was always so' WHERE epoch = ?", (epoch,))
    _chain_anew(connection, epoch)


def _any(dice: Random) -> int:
    return dice.randint(1, ENTRIES)


WAYS: dict[str, Tampering] = {"edited": _edit, "deleted": _delete, "reordered": _reorder, "truncated": _truncate, "written anew": _rewrite}


def _chain_anew(connection: apsw.Connection, epoch: int) -> None:
    held = asyncio.run(_audit(Path(connection.db_filename("main"))))
    previous = held[epoch - 1].previous
    for entry in held[epoch - 1 :]:
        forged = replace(entry, previous=previous)
        previous = entry_hash(forged)
        connection.execute("UPDATE audit SET previous = ?, hash = ? WHERE epoch = ?", (forged.previous, previous, entry.epoch))


def tamper(path: Path, way: Tampering, dice: Random) -> None:
    """Change the past of a store's file, whatever it has against that."""
    connection = apsw.Connection(str(path))
    for trigger in ("audit_is_never_edited", "audit_is_never_cut"):
        connection.execute(f"DROP TRIGGER {trigger}")
    way(connection, dice)
    connection.close()


def is_found_out(path: Path, head: Mark) -> bool:
    """Whether the audit of a store does not hold, given a head of it that was kept elsewhere."""
    try:
        return not verify_chain(asyncio.run(_audit(path)), heads=[head]).holds
    except StoreUnavailable:
        return True


async def _audit(path: Path) -> list[AuditEntry]:
    async with opened(f"sqlite:{path}") as store:
        return await audit_of(store)


async def write_history(path: Path, dice: Random) -> Mark:
    """A store with so many changes; where it stands."""
    async with opened(f"sqlite:{path}") as store:
        flipper = Flipper("clerk", store, ["digits", "intent"], dice, lambda _: None)
        while flipper.flips < ENTRIES:
            await flipper.flip()
        return (await store.snapshot()).mark


def _tampered(stage: Stage) -> Sequence[Figure]:
    dice, path = stage.dice, stage.folder / "state.db"
    head = asyncio.run(write_history(path, dice))
    tried, missed = Counter[str](), Counter[str]()
    for number in range(stage.size(Full.TAMPERINGS, 50)):
        name, copy = dice.choice(list(WAYS)), stage.folder / f"{number}.db"
        shutil.copy(path, copy)
        tamper(copy, WAYS[name], dice)
        tried[name] += 1
        missed[name] += not is_found_out(copy, head)
    honest = int(is_found_out(path, head))
    return [
        Figure("not found out", missed.total(), at_most=0),
        Figure("honest audits accused", honest, at_most=0),
        *(Figure(name, count) for name, count in sorted(tried.items())),
    ]


TAMPERING = (Scenario("P13", "tampering with the SQLite file", _tampered),)
