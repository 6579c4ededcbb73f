"""Whether the guards have looked at a rollout as it is now: what was seen in another stage, or long ago, tells nothing."""

from datetime import datetime, timedelta

from serving.core.judging import lasting
from serving.core.policy import Policy
from serving.core.standing import State
from serving.core.underway import Underway
from serving.ports import Progress

LOOKED_LATELY = timedelta(minutes=1)
"""How old a look may be, where the policy does not allow more silence: the slowest looks are a quarter of that apart."""

CHECKED_LATELY = timedelta(seconds=30)
"""The same of a rollback, which is checked every second, and may be between two leaders."""

LOOK_HINT = "wait for their next look, a second or two; if none comes, see whether a controller leads: pointsman leader"


def blindness(underway: Underway, look: Progress | None, at: datetime, policy: Policy) -> str:
    """Why nothing is known of the rollout now, though something may have been seen earlier; empty where it is known."""
    if underway.rollout.state is State.ROLLING_BACK:
        return _unchecked(look, at)
    if look is None or not look.stage:
        return "its guards have not looked yet"
    if look.stage != policy.stages[underway.rollout.stage].name:
        return "its guards have not looked since the stage began"
    if at - look.at > max(policy.deadline.silence, LOOKED_LATELY):
        return f"its guards last looked {lasting(at - look.at)} ago"
    return ""


def _unchecked(look: Progress | None, at: datetime) -> str:
    if look is None:
        return "nobody has checked the rollback yet"
    return "" if at - look.at <= CHECKED_LATELY else f"nobody has checked the rollback for {lasting(at - look.at)}"
