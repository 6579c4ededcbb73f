"""Telling people what happened. `Telling` puts letters into the outbox of the node; `Delivery` posts them, again and again if need be."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from serving.core.errors import OutboxBroken
from serving.core.notices import Letter, Notice, Occasion, addressed, after_try, has_arrived, unheard
from serving.core.policy import Tell
from serving.ports import Clock, NoticeRecorder, Outbox, Posted, Poster

log = structlog.get_logger()

AT_ONCE = 8
"""Letters posted at the same time; a webhook that hangs holds up its own letter and no other."""


LOOK_SECONDS = 0.05
"""Between two looks at whether a test has arrived."""


class Telling:
    """The `Notifier`: as quick as a file is written, whatever becomes of those who are told."""

    def __init__(self, outbox: Outbox, webhooks: Sequence[str]) -> None:
        self._outbox = outbox
        self._webhooks = tuple(webhooks)

    async def tell(self, notice: Notice, tell: Tell) -> None:
        """Put a letter for each webhook into the outbox. Never raises: the deed is done, whoever hears of it."""
        for name in unheard(tell, self._webhooks):
            log.warning("webhook_not_configured", webhook=name, notice=notice.id)
        for letter in addressed(tell, self._webhooks, notice):
            try:
                await self._outbox.put(letter)
            except OutboxBroken as error:
                log.error("notice_not_kept", notice=notice.id, webhook=letter.webhook, error=str(error), text=notice.sentence)  # noqa: TRY400 - no trace is wanted


class Delivery:
    """Posts what is due."""

    def __init__(self, outbox: Outbox, poster: Poster, recorder: NoticeRecorder, clock: Clock) -> None:
        self._outbox = outbox
        self._poster = poster
        self._recorder = recorder
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def step(self) -> None:
        """Begin to post every letter that is due, as far as there is room; does not wait for the answers. Raises `OutboxBroken`."""
        known = frozenset(self._poster.webhooks)
        for letter in await self._outbox.waiting():
            if letter.due > self._clock.now() or len(self._under_way) >= AT_ONCE:
                break
            if letter.name in self._under_way:
                continue
            if letter.webhook not in known:
                await self._given_up(letter, "no webhook of that name is configured any more")
                continue
            self._under_way[letter.name] = asyncio.create_task(self._try(letter))

    async def settle(self) -> None:
        """Wait for the answers to what is under way."""
        while self._under_way:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Leave what is under way in the outbox, for whoever comes after."""
        for task in self._under_way.values():
            task.cancel()
        await self.settle()

    async def _try(self, letter: Letter) -> None:
        try:
            await self._settled(letter, await self._poster.post(letter))
        except OutboxBroken as error:
            # It stays in the outbox as it was, and is posted once more: its id tells the receiver.
            log.error("outbox_broken", error=str(error))  # noqa: TRY400 - no trace is wanted
        finally:
            self._under_way.pop(letter.name, None)

    async def _settled(self, letter: Letter, posted: Posted) -> None:
        if has_arrived(posted.status):
            self._recorder.posted(letter.webhook, "arrived")
            await self._outbox.done(letter)
            return
        why = f"answered with {posted.status}" if posted.status is not None else posted.trouble
        again = after_try(letter, posted.status, self._clock.now())
        if again is None:
            await self._given_up(letter, why)
            return
        self._recorder.posted(letter.webhook, "failed")
        log.warning("notice_not_taken", notice=letter.notice.id, webhook=letter.webhook, why=why, due=again.due.isoformat())
        await self._outbox.put(again)

    async def _given_up(self, letter: Letter, why: str) -> None:
        self._recorder.posted(letter.webhook, "given_up")
        log.error("notice_given_up", notice=letter.notice.id, webhook=letter.webhook, why=why, text=letter.notice.sentence)
        await self._outbox.give_up(letter)


@dataclass(frozen=True, slots=True)
class Line:
    """How things stand with one webhook."""

    webhook: str
    waiting: tuple[Letter, ...]
    given_up: tuple[Letter, ...]
    """Of those that never arrived, the newest first."""


class Correspondence:
    """Who is told, what is on its way to them, and whether it arrives at all."""

    def __init__(self, outbox: Outbox, webhooks: Sequence[str], clock: Clock) -> None:
        self._outbox = outbox
        self._webhooks = tuple(webhooks)
        self._clock = clock

    @property
    def webhooks(self) -> tuple[str, ...]:
        """Whoever is told, by name."""
        return self._webhooks

    async def standing(self) -> tuple[Line, ...]:
        """Every webhook. Raises `OutboxBroken`."""
        return _lines(self._webhooks, await self._outbox.waiting(), await self._outbox.given_up())

    async def test(self, actor: str, operation_id: str, wait: float) -> tuple[Line, ...]:
        """Tell every webhook that this is a test; what has not arrived after `wait` seconds is waiting. Raises `OutboxBroken`."""
        now = self._clock.now()
        notice = Notice(f"test-{operation_id}", now, Occasion.TEST, "", "", f"a test of the notices, asked for by {actor}")
        for letter in addressed(Tell(), self._webhooks, notice):
            await self._outbox.put(letter)
        until = self._clock.monotonic() + wait
        while True:
            lines = _lines(self._webhooks, await self._outbox.waiting(), await self._outbox.given_up(), only=notice.id)
            if not any(line.waiting for line in lines) or self._clock.monotonic() >= until:
                return lines
            await asyncio.sleep(LOOK_SECONDS)


def _lines(webhooks: Sequence[str], waiting: Sequence[Letter], given_up: Sequence[Letter], only: str = "") -> tuple[Line, ...]:
    def of(name: str, letters: Sequence[Letter]) -> tuple[Letter, ...]:
        return tuple(letter for letter in letters if letter.webhook == name and only in {"", letter.notice.id})

    return tuple(Line(name, of(name, waiting), of(name, given_up)) for name in webhooks)
