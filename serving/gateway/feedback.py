"""Feedback of callers: what an answer turned out to be worth, by the id that came with it. It counts once, for the arm that answered."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from serving.core.errors import PointsmanError
from serving.core.watches import Rewards
from serving.gateway.request_ids import Origin, RequestIds
from serving.gateway.watching import DRAWN, Watching, Watchings


class Rated(StrEnum):
    """What became of feedback; a metric label."""

    COUNTED = "counted"
    UNASKED = "unasked"
    """No rollout of the family looks at feedback, or the answer is no trial of it."""
    REPEATED = "repeated"
    """The request was rated before."""
    LATE = "late"


class FeedbackRefused(PointsmanError):
    """Feedback that is no feedback."""


class UnknownRequest(FeedbackRefused):
    """An id that was not given here."""

    hint = "send the X-Request-Id of an answer as it came"

    def __init__(self) -> None:
        super().__init__("request_id is none that was given here")


class ScoreOutOfBounds(FeedbackRefused):
    """A score that the rollout's policy has no room for."""

    hint = "scale it, or change `bounds` of the guard for the next rollout"

    def __init__(self, family: str, score: float, rewards: Rewards) -> None:
        super().__init__(f"score {score:g} is outside of {rewards.low:g} to {rewards.high:g}, the bounds of feedback on {family}")


class FeedbackRecorder(Protocol):
    """Where it is left what became of feedback, for the dashboards."""

    def rated(self, family: str, outcome: str) -> None:
        """Count a rating."""
        ...


class Feedback:
    """Takes feedback on any gateway's answers; `now` gives seconds since 1970."""

    def __init__(self, request_ids: RequestIds, watchings: Watchings, recorder: FeedbackRecorder, now: Callable[[], float]) -> None:
        self._request_ids = request_ids
        self._watchings = watchings
        self._recorder = recorder
        self._now = now

    def take(self, request_id: str, score: float) -> Rated:
        """Take one rating. Raises `UnknownRequest` or `ScoreOutOfBounds`."""
        origin = self._request_ids.read(request_id)
        if origin is None:
            raise UnknownRequest
        outcome = self._rated(origin, score)
        self._recorder.rated(origin.family, outcome.value)
        return outcome

    def _rated(self, origin: Origin, score: float) -> Rated:
        watching = self._watchings.of_family(origin.family)
        if watching is None or watching.watch.rewards is None:
            return Rated.UNASKED
        rewards = watching.watch.rewards
        if not rewards.low <= score <= rewards.high:
            raise ScoreOutOfBounds(origin.family, score, rewards)
        if not _is_of(origin, watching):
            return Rated.UNASKED
        if rewards.delay and self._now() - origin.at > rewards.delay.total_seconds():
            return Rated.LATE
        counted = watching.rate(origin.digest, origin.nonce, score)
        if counted is None:
            return Rated.UNASKED
        return Rated.COUNTED if counted else Rated.REPEATED


def _is_of(origin: Origin, watching: Watching) -> bool:
    """Whether the answer was a trial of the rollout, and not from before it began."""
    return origin.is_drawn and origin.reason in DRAWN and origin.epoch >= watching.epoch
