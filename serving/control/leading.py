"""Which of several controllers acts: the one that holds the lease, and only while its own clock says that nobody else can.

A controller that was held up for longer than its lease does not know yet that another leads. Whatever it commits then carries the
fencing token of its term, which the store no longer takes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import structlog

from serving.core.errors import NotLeader, StoreUnavailable
from serving.failpoints import Failpoint, reach
from serving.ports import Clock, ControlRecorder, Leadership

RENEWALS = 3
"""Tries inside one lease, so that a lost one costs nothing."""

STANDBY_S = 0.5
"""How often a controller that does not lead asks, at the latest: it takes over so long after a lease has run out."""

AGAIN_S = 1.0
"""Before a term's work that failed is begun again."""

log = structlog.get_logger()


class Standing(Protocol):
    """Whether this controller leads at this moment."""

    @property
    def is_held(self) -> bool:
        """Whether the lease is held, and cannot be another's yet."""
        ...


class Lead:
    """This controller's hold on the lease. A term is the time under one fencing token."""

    def __init__(self, leadership: Leadership, holder: str, clock: Clock, seconds: float) -> None:
        self.holder = holder
        self.seconds = seconds
        self._leadership = leadership
        self._clock = clock
        self._term: int | None = None
        self._until = float("-inf")

    @property
    def term(self) -> int | None:
        """The fencing token that was given last; None before the first, and when another was found to hold the lease."""
        return self._term

    @property
    def is_held(self) -> bool:
        """Whether the lease cannot be another's yet."""
        return self._term is not None and self._clock.monotonic() < self._until

    def token(self) -> int:
        """The token to commit under. Raises `NotLeader` when the lease is not held, or may not be any more."""
        if self._term is None or not self.is_held:
            raise NotLeader(self._term or 0)
        return self._term

    async def ask(self) -> None:
        """Take the lease or renew it. Raises `StoreUnavailable`; the lease then runs on until its end."""
        # Counted from before the question: however late the answer comes, the store's own count ends later.
        asked = self._clock.monotonic()
        before, self._term = self._term, await self._leadership.lead(self.holder, self.seconds)
        if self._term is not None:
            self._until = asked + self.seconds
            reach(Failpoint.LEAD_RENEWED if self._term == before else Failpoint.LEAD_TAKEN)

    async def resign(self) -> None:
        """Let another lead at once."""
        self._term = None
        with suppress(StoreUnavailable):
            await self._leadership.resign(self.holder)


class Leading:
    """Stands for election for as long as it runs, and has `act` run during each of its terms."""

    def __init__(self, lead: Lead, recorder: ControlRecorder, act: Callable[[], Awaitable[None]]) -> None:
        self._lead = lead
        self._recorder = recorder
        self._act = act
        self._acting: asyncio.Task[None] | None = None
        self._term: int | None = None
        self._store_is_down = False

    async def run(self) -> None:
        """Run until cancelled; then end the term, and resign."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(self._pause())
        finally:
            await self._end()
            await self._lead.resign()
            self._recorder.leads(self._lead.holder, leads=False)

    async def step(self) -> None:
        """Ask for the lease once, and begin or end a term accordingly."""
        try:
            await self._lead.ask()
        except StoreUnavailable as error:
            # The term goes on, though nothing is done in it once the lease has run out: if nobody else can lead meanwhile, what is
            # known of canaries and of failed loads need not be found out again.
            if not self._store_is_down:
                log.warning("lease_not_renewed", why=str(error), leads=self._lead.is_held)
            self._store_is_down = True
        else:
            self._store_is_down = False
            if self._lead.term != self._term:
                await self._end()
                self._begin()
        self._recorder.leads(self._lead.holder, leads=self._lead.is_held)

    def _begin(self) -> None:
        self._term = self._lead.term
        if self._term is not None:
            log.info("leading", controller=self._lead.holder, token=self._term)
            self._acting = asyncio.create_task(self._run_term(), name="term")

    async def _run_term(self) -> None:
        while True:
            try:
                await self._act()
            except Exception:
                log.exception("term_failed", controller=self._lead.holder)
            await asyncio.sleep(AGAIN_S)

    async def _end(self) -> None:
        acting, self._acting = self._acting, None
        if acting is None:
            return
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        log.info("leads_no_more", controller=self._lead.holder, token=self._term)
        self._term = None

    def _pause(self) -> float:
        every = self._lead.seconds / RENEWALS
        return every if self._lead.is_held else min(every, STANDBY_S)
