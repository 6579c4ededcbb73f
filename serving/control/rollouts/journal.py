"""A rollout's decision log as its leader reads and writes it: every line, and a checkpoint now and then, so that the next leader is quick.

A checkpoint holds for a line of the log, by its number and its digest; what fits no line of it is left aside and all lines are decided
again. `replay` uses none: it proves the log from its first line.
"""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256

import structlog

from serving.core.checkpoints import UnreadableCheckpoint, course_of, state_of
from serving.core.course import Course, Turn, resumed
from serving.core.decisions import UnreadableLine
from serving.core.errors import PointsmanError, StoreUnavailable
from serving.core.policy import Pinned
from serving.core.rollout import EventRefused
from serving.failpoints import Failpoint, reach
from serving.ports import Checkpoint, DecisionLog, Tail

CHECKPOINT_LINES = 120
"""Lines that a new leader decides again at most: about an eighth of a second."""

log = structlog.get_logger()


class UnreadableLog(PointsmanError):
    """A rollout whose decision log does not lead to it any more: nobody can say what was seen of it."""

    hint = "its candidate gets no more traffic once its lease has lapsed; roll it back, keep the log, and start it again"

    def __init__(self, rollout: str, why: str) -> None:
        self.rollout = rollout
        super().__init__(f"the decision log of rollout {rollout} cannot be followed: {why}")


class Journal:
    """One rollout's. `term` gives the fencing token, or raises `NotLeader`; `every`: lines between two checkpoints."""

    def __init__(self, rollout: str, decisions: DecisionLog, term: Callable[[], int], *, every: int = CHECKPOINT_LINES) -> None:
        self._rollout = rollout
        self._log = decisions
        self._term = term
        self._every = every
        self._lines = 0
        self._last = b""
        self._kept = 0

    async def resume(self, pinned: Pinned) -> Turn | None:
        """The last turn, with the course at its end; None where nothing was logged. Raises `UnreadableLog` or `StoreUnavailable`."""
        begun = await asyncio.to_thread(_begun, self._rollout, pinned, await self._log.tail(self._rollout))
        before, since, lines = begun or (0, None, await self._log.read(self._rollout))
        turn = await asyncio.to_thread(_decided, self._rollout, pinned, since, lines)
        self._lines, self._kept = before + len(lines), before
        self._last = lines[-1] if lines else b""
        log.info("rollout_resumed", rollout=self._rollout, lines=self._lines, decided_again=len(lines))
        return turn

    async def write(self, turn: Turn) -> None:
        """Add its line. Raises `NotLeader` or `StoreUnavailable`."""
        await self._log.append(self._rollout, self._term(), turn.line)
        self._lines, self._last = self._lines + 1, turn.line

    async def keep(self, course: Course) -> None:
        """Keep a checkpoint, where one is due: `course` is the one at the end of the log, and all that followed from it is done.

        Raises `NotLeader`. That none can be kept costs the next leader time and nobody else anything.
        """
        if self._lines - self._kept < self._every:
            return
        checkpoint = Checkpoint(self._lines, _digest(self._last), state_of(course))
        try:
            await self._log.keep(self._rollout, self._term(), checkpoint)
        except StoreUnavailable as error:
            log.warning("rollout_checkpoint_not_kept", rollout=self._rollout, why=str(error))
            return
        self._kept = self._lines
        reach(Failpoint.COURSE_KEPT)


Begun = tuple[int, Course | None, Sequence[bytes]]
"""How many lines need not be decided again, what they came to, and the lines behind them."""


def _begun(rollout: str, pinned: Pinned, tail: Tail) -> Begun | None:
    """What is left to do; None where the checkpoint does not hold for this log, policy and program."""
    checkpoint = tail.checkpoint
    if checkpoint is None:
        return 0, None, tail.lines
    why = f"line {checkpoint.lines} of the log is another one"
    if tail.lines and _digest(tail.lines[0]) == checkpoint.last:
        try:
            return checkpoint.lines, course_of(pinned, checkpoint.state), tail.lines[1:]
        except UnreadableCheckpoint as error:
            why = str(error)
    log.warning("rollout_checkpoint_left_aside", rollout=rollout, why=why)
    return None


def _decided(rollout: str, pinned: Pinned, since: Course | None, lines: Sequence[bytes]) -> Turn | None:
    try:
        turn = resumed(pinned, lines, since=since)
    except (UnreadableLine, EventRefused) as error:
        raise UnreadableLog(rollout, str(error)) from error
    # All that followed from the checkpoint's own line was done before it was kept.
    return turn if turn is not None or since is None else Turn(since, (), b"")


def _digest(line: bytes) -> str:
    return sha256(line).hexdigest()
