"""Answers on the route of a rehearsal: production's own version, whose answers in one arm are made bad here.

A request is led here only by naming the rehearsal's key in place of a version. What is asked here is no traffic: no tally, no metric, no
request id for feedback, no retry, no shadow; only the rehearsal's own counters hear of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest

from msgspec import structs

from serving.core.injections import Injection
from serving.core.rehearsals import BAD, PREFIX, key_digest
from serving.core.routing import RehearsalRoute, RouteTable
from serving.core.traffic import WHOLE
from serving.gateway.messages import Answer, Request, failed
from serving.gateway.watching import TRIPPING_ROW, WatchedArm, Watching, Watchings
from serving.ports import Call, Failure, Invoker, Reply, Sorting

FAILING = 0.5
"""The part of the bad arm's answers that fail, with `Injection.ERRORS`: more than any guard tolerates, and no row without an end."""

SLOWER = 1.5
"""Times the longest of the edges that latency guards go by: over all of them, whatever a timer is off."""

SLOWEST_S = 4.0
"""The most that an answer is delayed: whoever holds the rehearsal waits five seconds for one."""

ODD_FROM = 32
"""The same answer so often in a row is odd, as in the version's own process (`dataplane.sorting`)."""


def rehearsal_of(table: RouteTable, request: Request) -> RehearsalRoute | None:
    """The rehearsal that a request is led to: of its family, and by its key; None for every caller's."""
    if request.selector is None or not request.selector.startswith(PREFIX):
        return None
    route = table.families.get(request.family)
    found = None if route is None else route.rehearsal
    if found is None or not compare_digest(key_digest(request.selector.removeprefix(PREFIX)), found.key):
        return None
    return found


Later = Callable[[float, Callable[[], None]], object]
"""Calls something after so many seconds."""


def later(seconds: float, call: Callable[[], None]) -> object:
    """By the running loop."""
    return asyncio.get_running_loop().call_later(seconds, call)


@dataclass(slots=True)
class _Same:
    """The first good answer of a bad arm, and how often it has been given."""

    reply: Reply
    times: int = 0

    def again(self) -> Reply:
        """Once more; as the version's own process would say of answers that are all the same."""
        self.times += 1
        said = self.reply.said
        is_odd = said is not None and (said.is_odd or self.times >= ODD_FROM)
        return self.reply if said is None else structs.replace(self.reply, said=structs.replace(said, is_odd=is_odd))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was led here."""

    route: RehearsalRoute
    watching: Watching | None
    respond: Callable[[Answer], None]
    sent: float
    is_bad: bool

    @property
    def is_made_bad(self) -> bool:
        """Whether its answer is: nothing is slow before it is known what production takes."""
        return self.is_bad and (self.route.injection is not Injection.SLOW or bool(self.route.watch.edges))


class Rehearsals:
    """Asks the version and makes the bad arm's answers bad. `on_failing` is called when it failed several times in a row."""

    def __init__(self, invoker: Invoker, watchings: Watchings, monotonic: Callable[[], float], dice: Callable[[], float]) -> None:
        self.on_failing: Callable[[], None] = lambda: None
        self.wait: Later = later
        """What makes an answer late."""
        self._invoker = invoker
        self._watchings = watchings
        self._monotonic = monotonic
        self._dice = dice
        self._same: dict[str, _Same] = {}

    def answer(self, route: RehearsalRoute, request: Request, seconds: float, respond: Callable[[Answer], None]) -> None:
        """Answer a request that was led here, within so many seconds."""
        watching = self._watchings.of_rollout(route.watch.rollout)
        sorting = Sorting.NOTHING if watching is None else watching.sorting
        call = Call(request.kind, route.target.digest, request.body, request.json_length, request.encoding, sorting=sorting)
        asked = _Asked(route, watching, respond, self._monotonic(), self._dice() * WHOLE < route.weight)
        self._invoker.invoke(call, asked.sent + seconds, partial(self._replied, asked), patient=True)

    def _replied(self, asked: _Asked, reply: Reply) -> None:
        if not asked.is_bad:
            self._answered(asked, reply)
            return
        match asked.route.injection:
            case Injection.ERRORS:
                is_failing = self._dice() < FAILING
                self._answered(asked, failed(Failure.MODEL, "made to fail by a rehearsal") if is_failing else reply)
            case Injection.SLOW:
                late = min(SLOWER * max(asked.route.watch.edges, default=0.0), SLOWEST_S)
                self.wait(late, partial(self._answered, asked, reply))
            case Injection.CONSTANT:
                self._answered(asked, self._as_before(asked.route.watch.rollout, reply))

    def _as_before(self, rehearsal: str, reply: Reply) -> Reply:
        """The first good answer in place of every other."""
        if reply.failure is not None:
            return reply
        if rehearsal not in self._same:
            left = {known: same for known, same in self._same.items() if self._watchings.of_rollout(known) is not None}
            self._same = {**left, rehearsal: _Same(reply)}
        return self._same[rehearsal].again()

    def _answered(self, asked: _Asked, given: Reply) -> None:
        watching, now = asked.watching, self._monotonic()
        if watching is not None:
            counter = watching.canary if asked.is_bad else watching.production
            WatchedArm(watching, counter, is_candidate=asked.is_bad).answered(None, given, now - asked.sent, now)
            if asked.is_bad and watching.row >= TRIPPING_ROW:
                self.on_failing()
        reason = BAD if asked.is_made_bad else "rehearsal"
        headers = f"x-model-version: {asked.route.target.version}\r\nx-route-reason: {reason}\r\n".encode()
        asked.respond(Answer(given.status, given.body, given.json_length, headers))
