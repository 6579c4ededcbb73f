"""What is said of one rollout: what became of it, whose word it waits for, what is in its way; each once, to whoever the policy names."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from serving.core.assessing import GuardVerdict
from serving.core.course import Course
from serving.core.effects import Effect, Page, Tell
from serving.core.judging import unheeded_harm
from serving.core.policy import Tell as Wishes
from serving.core.standing import Rollout
from serving.core.waiting import word_awaited
from serving.ports import Clock


class Herald(Protocol):
    """Whoever is told what became of rollouts, after the deed."""

    async def tell(self, key: str, at: datetime, rollout: Rollout, effect: Tell | Page, wishes: Wishes) -> None:
        """Have it told. Never raises, and waits for nobody; `key` names the deed, so that twice told is known as once."""
        ...


class Voice:
    """One rollout's. `trouble`: what is in its way now, and `troubled` since when."""

    def __init__(self, rollout: str, herald: Herald, clock: Clock, wishes: Wishes) -> None:
        self.trouble = ""
        self.troubled: datetime | None = None
        self._id = rollout
        self._herald = herald
        self._clock = clock
        self._wishes = wishes

    async def tell(self, effects: Sequence[Effect], course: Course) -> None:
        """Say what the effects of a step say."""
        for index, effect in enumerate(effects):
            if isinstance(effect, Tell | Page):
                await self._say(str(index), effect, course)

    async def await_word(self, before: Course, after: Course) -> None:
        """Say that a word is all that is still waited for, or decides on harm, at the look at which that began."""
        known = {verdict.guard for verdict in _unheeded(before)}
        for verdict in _unheeded(after):
            if verdict.guard not in known:
                family = after.rollout.family
                sentence = (
                    f"{_name(after.rollout)} is live, and {verdict.guard} finds harm: {verdict.sentence}; pointsman rollback {family}"
                )
                await self._say(f"harm-{verdict.guard}", Tell("harm", sentence), after)
        role, earlier = (word_awaited(one.pinned.policy, one.rollout, one.assessment) for one in (after, before))
        if role and not earlier:
            sentence = f"{_name(after.rollout)} waits for the word of {role}: pointsman approve {after.rollout.family}"
            await self._say("word", Tell("hold", sentence), after)

    def note(self, trouble: str) -> bool:
        """Keep what is in the way; whether it is something new."""
        is_new = bool(trouble) and trouble != self.trouble
        if bool(trouble) != bool(self.trouble):
            self.troubled = self._clock.now() if trouble else None
        self.trouble = trouble
        return is_new

    async def refuse(self, why: str, course: Course, *, to_go_back: bool) -> None:
        """Say that it cannot go on; that it cannot go back somebody must know at once."""
        if not to_go_back:
            await self._say("refused", Tell("hold", f"{_name(course.rollout)} cannot go on: {why}"), course)
        elif course.rollout.receipt is not None:
            sentence = f"{_name(course.rollout)} cannot be rolled back: {why}; {course.rollout.receipt.reason}"
            await self._say("0", Page(sentence), course)

    async def _say(self, word: str, effect: Tell | Page, course: Course) -> None:
        await self._herald.tell(f"{self._id}-{course.steps}-{word}", self._clock.now(), course.rollout, effect, self._wishes)


def _unheeded(course: Course) -> list[GuardVerdict]:
    return unheeded_harm(course.pinned.policy, course.rollout, course.assessment)


def _name(rollout: Rollout) -> str:
    return f"{rollout.family}@{rollout.version}"
