"""Named steps of this program at which a test makes the process die, fail or pause: exactly there, and not by luck.

    flip, promotion, rollback      decided ──> committed ──> settled        the use case, up to its answer
    commit                         begun ──> written ──> done               inside the store, whichever it is
    move                           decided ──> committed ──> settled        a step of a rollout
    course                         opened, heard, looked ──> moved, flipped, checked      the controller and the decision log
    auto                           judged ──> decided ──> committed ──> recorded     a guard's rollback
    lead, lease                    what a controller holds, and what it renews for canaries
    load, unload                   the fleet
    snapshot, reseed, override     what is kept on a node, and what an operator does when the store is gone

Nothing is armed unless the settings say so, and then `reach` is one look-up in an empty dict. There is one table for the process, since
a crash is the process's own.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NoReturn


class Failpoint(StrEnum):
    """The steps, each named for what is true when it is reached."""

    FLIP_DECIDED = "flip.decided"
    """A tag, canary, shadow or release is decided; nothing is written."""
    FLIP_COMMITTED = "flip.committed"
    """It is on the disk; no gateway was waited for."""
    FLIP_SETTLED = "flip.settled"
    """The gateways were waited for; the caller has no answer yet."""
    PROMOTION_DECIDED = "promotion.decided"
    """A promotion is decided; nothing is written."""
    PROMOTION_COMMITTED = "promotion.committed"
    """It is on the disk; no gateway was waited for."""
    PROMOTION_SETTLED = "promotion.settled"
    """The gateways were waited for; the caller has no answer yet."""
    ROLLBACK_DECIDED = "rollback.decided"
    """A rollback is decided, by whomever; nothing is written."""
    ROLLBACK_COMMITTED = "rollback.committed"
    """It is on the disk; no gateway was waited for."""
    ROLLBACK_SETTLED = "rollback.settled"
    """The gateways were waited for; the caller has no answer yet."""

    MOVE_DECIDED = "move.decided"
    """A step of a rollout is decided, by whomever; nothing is written to the store."""
    MOVE_COMMITTED = "move.committed"
    """It is on the disk with all that follows from it."""
    MOVE_SETTLED = "move.settled"
    """The gateways were waited for; the caller has no answer yet."""

    COURSE_OPENED = "course.opened"
    """A rollout's decision log has its first line; the controller has not looked yet."""
    COURSE_HEARD = "course.heard"
    """What somebody asked of a rollout is in its log; nobody was told."""
    COURSE_LOOKED = "course.looked"
    """A look is in the log, and with it what is to follow; nothing is written to the store."""
    COURSE_MOVED = "course.moved"
    """What followed from a look is written; nobody was told."""
    COURSE_FLIPPED = "course.flipped"
    """The log says that a rollback is written; the record does not yet."""
    COURSE_CHECKED = "course.checked"
    """The log says how far a rollback is; the record does not yet."""
    COURSE_KEPT = "course.kept"
    """A checkpoint of the log is kept; nothing has been written since."""

    COMMIT_BEGUN = "commit.begun"
    """A store's transaction is about to begin."""
    COMMIT_WRITTEN = "commit.written"
    """Record, audit entry and epoch are written inside the transaction, which is not committed. In Redis this is no step of ours."""
    COMMIT_DONE = "commit.done"
    """The transaction is committed; nobody has been told."""

    AUTO_JUDGED = "auto.judged"
    """A canary was found harmful; nothing is decided."""
    AUTO_DECIDED = "auto.decided"
    """The controller is about to roll back under an operation id of its own."""
    AUTO_COMMITTED = "auto.committed"
    """The rollback is made; neither counted nor logged."""
    AUTO_RECORDED = "auto.recorded"
    """It is counted and logged."""

    LEAD_TAKEN = "lead.taken"
    """The controller has become the leader and has done nothing as such."""
    LEAD_RENEWED = "lead.renewed"
    """The leader has renewed its lease."""
    LEASE_RENEWING = "lease.renewing"
    """A canary's lease is about to be renewed."""
    LEASE_RENEWED = "lease.renewed"
    """It is renewed; the controller has not noted it."""

    LOAD_DECIDED = "load.decided"
    """A version is about to be started."""
    LOAD_STARTED = "load.started"
    """The fleet has been told to start it; nobody knows yet."""
    UNLOAD_DECIDED = "unload.decided"
    """A version is about to be stopped."""
    UNLOAD_STARTED = "unload.started"
    """The fleet has been told to stop it."""
    BOARD_POSTING = "board.posting"
    """What runs is about to be posted."""

    SNAPSHOT_WRITTEN = "snapshot.written"
    """A node's snapshot is written aside, and may not be on the disk."""
    SNAPSHOT_SYNCED = "snapshot.synced"
    """It is on the disk under its aside name."""
    SNAPSHOT_RENAMED = "snapshot.renamed"
    """It is in its place; the folder is not synced."""
    RESEED_DECIDED = "reseed.decided"
    """A re-seed of the store is decided; nothing is written."""
    RESEED_COMMITTED = "reseed.committed"
    """The store is re-seeded; nobody has been told."""
    OVERRIDE_WRITTEN = "override.written"
    """An override is written aside, and in force nowhere."""
    OVERRIDE_PLACED = "override.placed"
    """It is in its place, where gateways find it."""
    OVERRIDE_RECONCILING = "override.reconciling"
    """The leader is about to write it to the store."""
    OVERRIDE_COMMITTED = "override.committed"
    """It is in the store; its file is still in force."""


class UnknownFailpoint(ValueError):
    """A plan that names no step, or nothing that could happen there."""

    def __init__(self, item: str) -> None:
        super().__init__(f"{item[:80]!r} is no failpoint: write NAME=kill[@N], NAME=error[@N] or NAME=sleep:SECONDS, separated by commas")


class Injected(Exception):
    """What a failpoint that is armed with `error` raises: a fault that nothing in the program expects."""

    def __init__(self, point: Failpoint) -> None:
        super().__init__(f"the failpoint {point} is armed")


_ITEM = re.compile(r"([a-z]+\.[a-z]+)=(?:(kill|error)(?:@([1-9]\d{0,8}))?|sleep:(\d{1,3}(?:\.\d{1,3})?))")
_NAMES = frozenset(point.value for point in Failpoint)

Action = Callable[[Failpoint], None]

_armed: dict[Failpoint, Action] = {}


def reach(point: Failpoint) -> None:
    """Say that a step is reached: where it is armed this does not return, raises `Injected`, or keeps the thread waiting."""
    action = _armed.get(point)
    if action is not None:
        action(point)


def arm(plan: str, died: Path | None = None) -> None:
    """Arm what a plan such as `rollback.committed=kill@2,commit.written=sleep:0.5` says, and nothing else. Raises `UnknownFailpoint`.

    `@N` means at the N-th reach of this process only; without it, at each. `died` is a folder in which a process leaves a note before it
    kills itself: a step that somebody died at kills no more, so that what takes over can be seen to go on.
    """
    actions = parse(plan, died)
    _armed.clear()
    _armed.update(actions)


def parse(plan: str, died: Path | None = None) -> dict[Failpoint, Action]:
    """What a plan arms; empty for an empty one. Raises `UnknownFailpoint`."""
    return dict(_parsed(item.strip(), died) for item in plan.split(",") if item.strip())


def _parsed(item: str, died: Path | None) -> tuple[Failpoint, Action]:
    match = _ITEM.fullmatch(item)
    if match is None or match[1] not in _NAMES:
        raise UnknownFailpoint(item)
    name, deed, turn, seconds = match.groups()
    point = Failpoint(name)
    if seconds is not None:
        return point, partial(_pause, float(seconds))
    action: Action = _Kill(died) if deed == "kill" else _fail
    return point, action if turn is None else _AtTurn(int(turn), action)


class _AtTurn:
    """Acts at one of the reaches, counted over all threads."""

    def __init__(self, turn: int, action: Action) -> None:
        self._left = turn
        self._action = action
        self._counting = threading.Lock()

    def __call__(self, point: Failpoint) -> None:
        with self._counting:
            self._left -= 1
            is_turn = self._left == 0
        if is_turn:
            self._action(point)


class _Kill:
    """Kills this process as a crash would, unless another has died here before it."""

    def __init__(self, died: Path | None) -> None:
        self._died = died

    def __call__(self, point: Failpoint) -> None:
        if self._died is None or _is_first(self._died / point):
            os.kill(os.getpid(), signal.SIGKILL)
            while True:  # the signal may reach another thread first: this one goes no step further
                time.sleep(1)


def _pause(seconds: float, _point: Failpoint) -> None:
    """Hold the thread up, and with it an event loop: so a process fares that the system does not let run for a while."""
    time.sleep(seconds)


def _fail(point: Failpoint) -> NoReturn:
    raise Injected(point)


def _is_first(note: Path) -> bool:
    note.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
