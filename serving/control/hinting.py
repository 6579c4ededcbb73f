"""Webhooks of the registry, taken as what they are: somebody who knows the secret says that it is worth while to look now.

Nothing else of one is read. What it leads to is one look, a little sooner than it would have been; whoever looks keeps his own measure.
"""

from collections.abc import Mapping

import structlog

from registry_client.backends.mlflow.webhooks import REMEMBERED, UnbelievedWebhook, verify_webhook
from serving.core.errors import PointsmanError, StoreUnavailable
from serving.ports import Clock, HintRecorder, Hints

MOST_REMEMBERED = 4096
"""Deliveries that are remembered at once: seven a second, for as long as they can be believed."""

log = structlog.get_logger()


class NoHintsTaken(PointsmanError):
    """An installation that was given no secret to tell hints by, or that follows nothing."""

    hint = "registry_access.follow_alias says what is followed, registry_access.webhook_secret_file how MLflow is known"

    def __init__(self) -> None:
        super().__init__("no hints of the registry are taken here")


class RepeatedHint(PointsmanError):
    """A webhook that was taken before."""

    hint = "nothing to do: it was heard the first time"

    def __init__(self, delivery: str) -> None:
        super().__init__(f"the delivery {delivery[:80]!r} was taken before")


class TooManyHints(PointsmanError):
    """More than can be told apart from repeated ones."""

    hint = "nothing to do: the registry is looked at anyway, every registry_access.follow_every seconds"

    def __init__(self) -> None:
        super().__init__("too many hints are coming in")


class HintsTaken:
    """Believes webhooks of one secret, each once, and leaves hints. `secret` is None where none are taken."""

    def __init__(self, secret: bytes | None, hints: Hints, recorder: HintRecorder, clock: Clock) -> None:
        self._secret = secret
        self._hints, self._recorder, self._clock = hints, recorder, clock
        self._taken: dict[str, float] = {}
        """When each delivery was taken, in monotonic seconds, the first in front."""

    async def take(self, headers: Mapping[str, str], body: bytes) -> str:
        """The id of a delivery that is believed. `headers`: by their names in small letters.

        Raises `NoHintsTaken`, `UnbelievedWebhook`, `RepeatedHint`, `TooManyHints` or `StoreUnavailable`.
        """
        if self._secret is None:
            raise NoHintsTaken
        try:
            delivery = verify_webhook(headers, body, self._secret, self._clock.now())
        except UnbelievedWebhook:
            self._recorder.hinted("unbelieved")
            raise
        self._remember(delivery)
        try:
            await self._hints.leave()
        except StoreUnavailable:
            del self._taken[delivery]  # the sender tries again, under the same id
            raise
        self._recorder.hinted("believed")
        log.info("registry_hinted", delivery=delivery[:80])
        return delivery

    def _remember(self, delivery: str) -> None:
        now = self._clock.monotonic()
        while self._taken and now - next(iter(self._taken.values())) > REMEMBERED.total_seconds():
            del self._taken[next(iter(self._taken))]
        if delivery in self._taken:
            self._recorder.hinted("repeated")
            raise RepeatedHint(delivery)
        if len(self._taken) >= MOST_REMEMBERED:
            self._recorder.hinted("too_many")
            raise TooManyHints
        self._taken[delivery] = now
