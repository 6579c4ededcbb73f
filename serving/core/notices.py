"""What people are told, whom, and when a failed try is made again. Pure: nothing here posts anything.

A notice is told after the deed and never in its way. Its id follows from the deed, so whoever hears it twice can tell.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

import rfc8785

from serving.core.policy import Tell


class Occasion(StrEnum):
    """What notices are about. A policy's `tell.on` chooses among all but the last two."""

    START = "start"
    STAGE = "stage"
    HOLD = "hold"
    HARM = "harm"
    ROLLBACK = "rollback"
    VERIFIED = "verified"
    LIVE = "live"
    DRILL = "drill"
    PAGE = "page"
    """Somebody must look now; told whatever the policy says."""
    TEST = "test"
    """Somebody wanted to see whether it arrives."""


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,159}")

ALWAYS = frozenset({Occasion.PAGE, Occasion.TEST})


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. `id` names the deed: the same notice again has the same id. `rollout` is empty where there is none."""

    id: str
    at: datetime
    occasion: Occasion
    family: str
    version: str
    sentence: str
    rollout: str = ""

    def __post_init__(self) -> None:
        """Refuse an id that is no name of a file."""
        if not _ID.fullmatch(self.id):
            msg = f"{self.id[:80]!r} is no id of a notice"
            raise ValueError(msg)


class Form(StrEnum):
    """How a webhook wants its notices."""

    JSON = "json"
    SLACK = "slack"


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice on its way to one webhook: how often it was tried, and when it is due next."""

    notice: Notice
    webhook: str
    due: datetime
    tried: int = 0

    @property
    def name(self) -> str:
        """What it is kept under; one for each notice and webhook."""
        return f"{self.notice.id}.{self.webhook}"


LADDER = tuple(timedelta(seconds=seconds) for seconds in (1, 5, 30, 120, 600, 3600, 10_800, 21_600))
"""Between a try and the next; ten hours in all, as https://www.standardwebhooks.com recommends. Then it is given up."""

GONE = 410
"""The receiver's word that it wants no more."""

_GOOD = range(200, 300)


def addressed(tell: Tell, webhooks: Iterable[str], notice: Notice) -> tuple[Letter, ...]:
    """The letters that a notice becomes: to the webhooks that the policy names, by default all, if it wants to tell of the occasion."""
    if notice.occasion not in ALWAYS and notice.occasion.value not in tell.on:
        return ()
    known = tuple(webhooks)
    return tuple(Letter(notice, name, notice.at) for name in known if not tell.webhooks or name in tell.webhooks)


def unheard(tell: Tell, webhooks: Iterable[str]) -> tuple[str, ...]:
    """The webhooks that a policy names and nobody has configured: they are told nothing."""
    known = frozenset(webhooks)
    return tuple(name for name in tell.webhooks if name not in known)


def after_try(letter: Letter, status: int | None, at: datetime) -> Letter | None:
    """The letter as it is due again; None when it need not be tried again, because it arrived or because it is given up.

    `status`: how the webhook answered, None when it did not. A redirect is a failure: where it leads nobody has configured.
    """
    if has_arrived(status) or status == GONE or letter.tried >= len(LADDER):
        return None
    return replace(letter, tried=letter.tried + 1, due=at + LADDER[letter.tried])


def has_arrived(status: int | None) -> bool:
    """Whether an answer means that the notice was taken."""
    return status in _GOOD


def body_of(notice: Notice, form: Form) -> bytes:
    """What is posted. The same notice has the same bytes at every try, so that signatures can be compared."""
    document: Mapping[str, object]
    match form:
        case Form.JSON:
            document = {
                "type": f"rollout.{notice.occasion.value}",
                "timestamp": notice.at.isoformat(),
                "data": {
                    "id": notice.id,
                    "family": notice.family,
                    "version": notice.version,
                    "rollout": notice.rollout,
                    "text": notice.sentence,
                },
            }
        case Form.SLACK:
            document = {"text": _slack(notice)}
    return rfc8785.dumps(cast("dict[str, Any]", document))


def _slack(notice: Notice) -> str:
    mark = {Occasion.PAGE: ":rotating_light: ", Occasion.ROLLBACK: ":leftwards_arrow_with_hook: "}.get(notice.occasion, "")
    # Slack's three special characters: a reason somebody typed must not become a link or a mention.
    text = notice.sentence.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{mark}*{notice.occasion.value}* {text}"
