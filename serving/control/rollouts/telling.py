"""Telling of rollouts: an event in this installation's log, and a notice for whoever the policy names."""

from datetime import datetime

import structlog

from serving.core.effects import Page, Tell
from serving.core.notices import Notice, Occasion
from serving.core.policy import Tell as Wishes
from serving.core.standing import Rollout
from serving.ports import Notifier

log = structlog.get_logger()


class NoticeHerald:
    """The `Herald` that puts a notice on its way, under the deed's own name, so that twice told is heard as once."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    async def tell(self, key: str, at: datetime, rollout: Rollout, effect: Tell | Page, wishes: Wishes) -> None:
        """Log it, a page as an error; then tell."""
        say, occasion = (log.error, Occasion.PAGE) if isinstance(effect, Page) else (log.info, Occasion(effect.occasion))
        say("rollout_told", id=key, family=rollout.family, version=rollout.version, occasion=occasion.value, sentence=effect.sentence)
        named = key.rsplit("-", 2)[0]
        await self._notifier.tell(Notice(key, at, occasion, rollout.family, rollout.version, effect.sentence, named), wishes)
