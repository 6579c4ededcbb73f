"""How long a rollout has been at what it is at, measured from look to look: clocks that are put forward or back change nothing of it.

A look says how long ago the one before it was, by a clock that only goes on. A new leader cannot know that; it believes the wall clock,
but for no more than a change of leader takes.
"""

from datetime import datetime, timedelta

from serving.core.standing import Rollout

CHANGE = timedelta(seconds=30)
"""The most that is believed of the time between two leaders' looks: 15 s until a lease has lapsed, and 15 between two looks."""


def passed(before: datetime, at: datetime, measured: timedelta | None) -> timedelta:
    """How long it was between two moments, as far as can be believed; `measured` is, where it is known."""
    believed = min(at - before, CHANGE) if measured is None else measured
    return max(believed, timedelta())


def spent(before: Rollout, after: Rollout, so_far: timedelta) -> timedelta:
    """The time at what the rollout is at after a step: none where that has just begun."""
    return so_far if _milestones(before) == _milestones(after) and not _is_resumed(before, after) else timedelta()


def _milestones(rollout: Rollout) -> tuple[object, ...]:
    receipt = rollout.receipt
    return rollout.stage, rollout.entered, None if receipt is None else (receipt.decided, receipt.flipped)


def _is_resumed(before: Rollout, after: Rollout) -> bool:
    return before.held is not None and after.held is None
