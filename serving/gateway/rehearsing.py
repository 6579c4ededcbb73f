"""Answers on the route of a rehearsal: production's own version, whose answers in one arm are made bad here.

A request is led here only by naming the rehearsal's key in place of a version. What is asked here is no traffic: no tally, no metric, no
request id for feedback, no retry, no shadow; only the rehearsal's own counters hear of it.
"""

from collections.abc import Callable
from functools import partial
from hmac import compare_digest

from serving.core.rehearsals import PREFIX, Injection, key_digest
from serving.core.routing import RehearsalRoute, RouteTable
from serving.core.traffic import WHOLE
from serving.gateway.messages import Answer, Request, failed
from serving.gateway.watching import TRIPPING_ROW, WatchedArm, Watching, Watchings
from serving.ports import Call, Failure, Invoker, Reply

FAILING = 0.5
"""The part of the bad arm's answers that fail, with `Injection.ERRORS`: more than any guard tolerates, and no row without an end."""


def rehearsal_of(table: RouteTable, request: Request) -> RehearsalRoute | None:
    """The rehearsal that a request is led to: of its family, and by its key; None for every caller's."""
    if request.selector is None or not request.selector.startswith(PREFIX):
        return None
    route = table.families.get(request.family)
    found = None if route is None else route.rehearsal
    if found is None or not compare_digest(key_digest(request.selector.removeprefix(PREFIX)), found.key):
        return None
    return found


class Rehearsals:
    """Asks the version and makes the bad arm's answers bad. `on_failing` is called when it failed several times in a row."""

    def __init__(self, invoker: Invoker, watchings: Watchings, monotonic: Callable[[], float], dice: Callable[[], float]) -> None:
        self.on_failing: Callable[[], None] = lambda: None
        self._invoker = invoker
        self._watchings = watchings
        self._monotonic = monotonic
        self._dice = dice

    def answer(self, route: RehearsalRoute, request: Request, seconds: float, respond: Callable[[Answer], None]) -> None:
        """Answer a request that was led here, within so many seconds."""
        watching = self._watchings.of_rollout(route.watch.rollout)
        is_bad = self._dice() * WHOLE < route.weight
        call = Call(request.kind, route.target.digest, request.body, request.json_length, request.encoding)
        sent = self._monotonic()
        self._invoker.invoke(call, sent + seconds, partial(self._replied, route, watching, sent, respond, is_bad), patient=True)

    def _replied(
        self,
        route: RehearsalRoute,
        watching: Watching | None,
        sent: float,
        respond: Callable[[Answer], None],
        is_bad: bool,  # noqa: FBT001 - filled in by name of place, as the callback is made
        reply: Reply,
    ) -> None:
        given = self._made_bad(route.injection, reply) if is_bad else reply
        if watching is not None:
            counter = watching.canary if is_bad else watching.production
            now = self._monotonic()
            WatchedArm(watching, counter, is_candidate=is_bad).answered(None, given, now - sent, now)
            if is_bad and watching.row >= TRIPPING_ROW:
                self.on_failing()
        headers = f"x-model-version: {route.target.version}\r\nx-route-reason: rehearsal\r\n".encode()
        respond(Answer(given.status, given.body, given.json_length, headers))

    def _made_bad(self, injection: Injection, reply: Reply) -> Reply:
        match injection:
            case Injection.ERRORS:
                return failed(Failure.MODEL, "made to fail by a rehearsal") if self._dice() < FAILING else reply
