"""The failpoints of a change, by the kind that it is: promotions and rollbacks have steps of their own, all else is a flip."""

from dataclasses import dataclass

from serving.core.changes import Change, ClearTag, Promote, Release, RollBack, SetCanary, SetShadow, SetTag
from serving.core.consumers import ClearConsumer, SetConsumer
from serving.core.drilling import BeginDrill, EndDrill, FailDrill
from serving.core.rehearsing import BeginRehearsal, CatchRehearsal, EndRehearsal, MeasureRehearsal
from serving.failpoints import Failpoint


@dataclass(frozen=True, slots=True)
class Steps:
    """What is reached on the way of one change, in this order."""

    decided: Failpoint
    committed: Failpoint
    settled: Failpoint


FLIP = Steps(Failpoint.FLIP_DECIDED, Failpoint.FLIP_COMMITTED, Failpoint.FLIP_SETTLED)
PROMOTION = Steps(Failpoint.PROMOTION_DECIDED, Failpoint.PROMOTION_COMMITTED, Failpoint.PROMOTION_SETTLED)
ROLLBACK = Steps(Failpoint.ROLLBACK_DECIDED, Failpoint.ROLLBACK_COMMITTED, Failpoint.ROLLBACK_SETTLED)
MOVE = Steps(Failpoint.MOVE_DECIDED, Failpoint.MOVE_COMMITTED, Failpoint.MOVE_SETTLED)
"""A step of a rollout, whoever asked for it."""


def steps_of(change: Change) -> Steps:
    """The steps of a change."""
    match change:
        case Promote():
            return PROMOTION
        case RollBack() | BeginDrill():
            return ROLLBACK
        case EndDrill():
            return PROMOTION
        case SetTag() | ClearTag() | SetCanary() | SetShadow() | Release() | FailDrill() | SetConsumer() | ClearConsumer():
            return FLIP
        case BeginRehearsal() | MeasureRehearsal() | CatchRehearsal() | EndRehearsal():
            return FLIP
