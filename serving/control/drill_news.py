"""Tells of drills that are over: of those that passed whoever wants to hear, of those that failed somebody who must look."""

from serving.control.families import ReadsFamilies
from serving.control.policies.holding import HeldPolicies
from serving.core.drills import DrillResult
from serving.core.errors import PointsmanError
from serving.core.notices import Notice, Occasion
from serving.core.policy import Tell
from serving.ports import Clock, Notifier


class DrillNews:
    """Called with a family and a result."""

    def __init__(self, notifier: Notifier, families: ReadsFamilies, policies: HeldPolicies, clock: Clock) -> None:
        self._notifier = notifier
        self._families = families
        self._policies = policies
        self._clock = clock

    async def __call__(self, family: str, result: DrillResult) -> None:
        """Tell it. Never raises: the drill is over, whoever hears of it."""
        occasion = Occasion.DRILL if result.passed else Occasion.PAGE
        notice = Notice(f"drill-{result.id}", self._clock.now(), occasion, family, str(result.version), sentence_of(family, result))
        await self._notifier.tell(notice, await self._wishes(family))

    async def _wishes(self, family: str) -> Tell:
        try:
            record = await self._families.read(family)
        except PointsmanError:
            return Tell()
        return await self._policies.wishes(record)


def sentence_of(family: str, result: DrillResult) -> str:
    """A result for people."""
    if result.injected:
        return _rehearsed(family, result)
    way = f"{family}: the drill from {result.version} to {result.to} and back"
    if not result.passed:
        back = "" if result.restored is not None else " Production was not restored by it."
        return f"{way} failed: {result.failure}.{back}"
    took = result.verified_seconds
    return f"{way} passed" + ("" if took is None else f": verified in {took:.2f} s")


def _rehearsed(family: str, result: DrillResult) -> str:
    what = f"{family}: the rehearsal of a version with {result.injected}"
    if not result.passed:
        return f"{what} failed: {result.failure}."
    took = result.caught_seconds
    return f"{what} passed" + ("" if took is None else f": {result.receipt.signal} saw it {took:.2f} s after its first bad answer")
