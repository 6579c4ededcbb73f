"""Whether the guards have looked at a rollout as it is now: what was seen in another stage, or long ago, tells nothing."""

from datetime import datetime, timedelta

from serving.core.judging import lasting
from serving.core.policy import Policy
from serving.core.underway import Underway
from serving.ports import Progress

LOOKED_LATELY = timedelta(minutes=1)
"""How old a look may be, where the policy does not allow more silence: the slowest looks are a quarter of that apart."""

LOOK_HINT = "wait for their next look, a second or two; if none comes, see whether a controller leads: pointsman leader"


def blindness(underway: Underway, look: Progress | None, at: datetime, policy: Policy) -> str:
    """Why nothing is known of the rollout now, though something may have been seen earlier; empty where it is known."""
    if look is None or not look.stage:
        return "its guards have not looked yet"
    if look.stage != policy.stages[underway.rollout.stage].name:
        return "its guards have not looked since the stage began"
    if at - look.at > max(policy.deadline.silence, LOOKED_LATELY):
        return f"its guards last looked {lasting(at - look.at)} ago"
    return ""
