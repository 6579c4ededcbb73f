"""One inference request from its arrival to its answer: route, call, fall back once if a canary fails, count, mirror.

The path is made of callbacks, not of tasks and futures: at this size a task costs as much as all the rest of the gateway's work.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from registry_client.errors import InvalidReference
from registry_client.references import AnyVersion, Selector, parse_selector
from serving.core.deprecation import header_lines
from serving.core.errors import NoRoutesYet, Refusal
from serving.core.routing import Arm, Decision, Facts, FamilyRoute, Reason, RouteTable, Target, decide
from serving.gateway.callers import Callers
from serving.gateway.messages import RETRY_AFTER_S, Answer, Request, failed, refused
from serving.gateway.rehearsing import Rehearsals, rehearsal_of
from serving.gateway.request_ids import RequestIds
from serving.gateway.shadow import OK, Answered, Mirror
from serving.gateway.tallies import Tallies, Tally
from serving.gateway.watching import TRIPPING_ROW, WatchedArm, Watchings
from serving.ports import Call, Failure, Invoker, Recorder, Reply

ANY = AnyVersion()
SERVICE_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Seconds a request may take (by default, and at most), and how many may be under way for one version here."""

    timeout: float = 10.0
    longest_timeout: float = 120.0
    in_flight: int = 2048


@dataclass(slots=True)
class Lane:
    """What all requests share that one table sends to one target in one arm for one reason."""

    target: Target
    arm: Arm
    tally: Tally
    headers: bytes
    id_prefix: str
    undrawn_prefix: str = ""
    """Of answers that are no trial of the rollout, for want of a routing key."""
    watched: WatchedArm | None = None
    """The arm of a rollout whose trials these are."""
    callers: Callers | None = None
    """Who calls is counted, for the target is deprecated."""


class Gateway:
    """Answers requests by the route table it holds; `swap` replaces the table whole."""

    def __init__(  # noqa: PLR0913 - the ports it stands on
        self,
        *,
        invoker: Invoker,
        recorder: Recorder,
        mirror: Mirror,
        watchings: Watchings,
        request_ids: RequestIds,
        monotonic: Callable[[], float],
        dice: Callable[[], float],
        limits: GatewayLimits,
    ) -> None:
        self.tallies = Tallies()
        self.table = RouteTable()
        self.has_table = False
        self.on_failing: Callable[[], None] = lambda: None
        """Called when a canary fails several times in a row, so that the controller hears of it at once."""
        self.invoker = invoker
        self.recorder = recorder
        self.mirror = mirror
        self.watchings = watchings
        self.request_ids = request_ids
        self.monotonic = monotonic
        self.dice = dice
        self.limits = limits
        self.rehearsals = Rehearsals(invoker, watchings, monotonic, dice)
        self._lanes: dict[tuple[str, Arm, Reason], Lane] = {}
        self._undivided: dict[str, Lane] = {}
        """The lane of all requests to a family that name no version, where nothing is left to decide."""

    def swap(self, table: RouteTable) -> bool:
        """Serve by a new table from the next request on; those under way end as they began.

        Whether it holds a rollout that the one before did not: a report should tell of it before its first answer is counted.
        """
        self.table = table
        self.has_table = True
        self._lanes, self._undivided = {}, {}
        return self.watchings.swap(table)

    def handle(self, request: Request, respond: Callable[[Answer], None]) -> None:
        """Answer a request: `respond` is called exactly once, now or later."""
        lane = self._undivided.get(request.family) if request.selector is None else None
        if lane is None:
            self._route(request, respond)
        else:
            Exchange(self, request, respond, lane).start()

    def _route(self, request: Request, respond: Callable[[Answer], None]) -> None:
        rehearsal = rehearsal_of(self.table, request)
        if rehearsal is not None:
            self.rehearsals.answer(rehearsal, request, self.limits.timeout, respond)
            return
        try:
            decision = self.decide(request)
        except (Refusal, InvalidReference) as error:
            self.recorder.refused(request.family, type(error).__name__)
            respond(refused(error))
            return
        if decision.fallback is not None and not self.invoker.was_reached(decision.target.digest):
            # This gateway, or the canary, is only just up: production answers, and nobody is to blame.
            decision = Decision(decision.fallback, Arm.PRODUCTION, Reason.FALLBACK, decision.shadows)
        lane = self.lane(decision.target, decision.arm, decision.reason)
        if lane.callers is not None:
            lane.callers.count(request.headers)
        elif request.selector is None and self.table.families[request.family].is_undivided:
            self._undivided[request.family] = lane
        Exchange(self, request, respond, lane, decision).start()

    def decide(self, request: Request) -> Decision:
        """Route a request by the table in force. Raises `Refusal` or `InvalidReference`."""
        if not self.has_table:
            raise NoRoutesYet
        selector: Selector = ANY if request.selector is None else parse_selector(request.selector)
        route = self.table.families.get(request.family)
        key = routing_key(route, request.headers) if route is not None and route.is_split else None
        return decide(self.table, Facts(request.family, selector, key, self.dice(), self.dice()))

    def lane(self, target: Target, arm: Arm, reason: Reason) -> Lane:
        """The lane of a decision under the table in force."""
        key = (target.digest, arm, reason)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._open_lane(target, arm, reason)
        return lane

    def _open_lane(self, target: Target, arm: Arm, reason: Reason) -> Lane:
        epoch = self.table.epoch
        headers = f"x-model-version: {target.version}\r\nx-route-epoch: {epoch}\r\nx-route-reason: {reason.value}\r\n"
        route = self.table.families.get(target.family)
        if route is not None and route.override:
            headers += f"x-route-override: {route.override}\r\n"
        callers = None
        if route is not None and target.version in route.deprecated:
            deprecation = route.deprecated[target.version]
            headers += "" if deprecation is None else header_lines(deprecation)
            callers = Callers(target, route.consumers, self.recorder)
        ids = self.request_ids
        return Lane(
            target,
            arm,
            self.tallies.of(target, arm),
            headers.encode(),
            ids.prefix(target, reason, epoch),
            ids.prefix(target, reason, epoch, is_drawn=False),
            self.watchings.arm(target, reason),
            callers,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """What a canary says is the caller's own mistake: whether it is, production shows."""

    lane: Lane
    reply: Reply
    seconds: float

    def judged(self, verdict: Reply) -> Reply:
        """The canary's reply as it counts, given production's to the same request."""
        return self.reply if verdict.failure is not None else replace(self.reply, failure=Failure.MODEL)


class Exchange:
    """One request under way. A canary that gives no good answer, or refuses what production answers, is blamed for it.

    Production is asked once instead.
    """

    __slots__ = ("arrived", "call", "deadline", "fallback_lane", "gateway", "key", "lane", "refused", "respond", "sent", "shadows")

    def __init__(
        self, gateway: Gateway, request: Request, respond: Callable[[Answer], None], lane: Lane, decision: Decision | None = None
    ) -> None:
        self.gateway = gateway
        self.respond = respond
        self.lane = lane
        self.key: str | None = None
        self.shadows: tuple[Target, ...] = ()
        self.fallback_lane: Lane | None = None
        self.refused: Refused | None = None
        if decision is not None:
            self.shadows = decision.shadows
            if decision.fallback is not None:
                # Taken now, not at the fallback: an answer names one epoch, the one it was routed under.
                self.fallback_lane = gateway.lane(decision.fallback, Arm.PRODUCTION, Reason.FALLBACK)
        self.arrived = self.sent = gateway.monotonic()
        limits = gateway.limits
        timeout = limits.timeout if request.timeout is None else min(request.timeout, limits.longest_timeout)
        self.deadline = self.arrived + timeout
        if lane.watched is None:
            self.call = Call(request.kind, lane.target.digest, request.body, request.json_length, request.encoding)
        else:
            self.key = routing_key(gateway.table.families[request.family], request.headers)
            sorting = lane.watched.sorting
            self.call = Call(request.kind, lane.target.digest, request.body, request.json_length, request.encoding, sorting=sorting)

    def start(self) -> None:
        """Ask the target; a canary gets half of the time, so that production can still answer in the other half."""
        tally = self.lane.tally
        if tally.in_flight >= self.gateway.limits.in_flight:
            sentence = f"{self._name()} has {tally.in_flight} requests under way, which is its limit; try again"
            self._settle(failed(Failure.OVERLOAD, sentence))
            return
        tally.in_flight += 1
        patient = self.fallback_lane is None
        deadline = self.deadline if patient else self.arrived + (self.deadline - self.arrived) / 2
        self.gateway.invoker.invoke(self.call, deadline, self._replied, patient=patient)

    def _replied(self, reply: Reply) -> None:
        self.lane.tally.in_flight -= 1
        self._settle(reply)

    def _settle(self, reply: Reply) -> None:
        now = self.gateway.monotonic()
        if self.fallback_lane is not None and reply.failure is not None:
            if reply.failure is Failure.CLIENT:
                self.refused = Refused(self.lane, reply, now - self.sent)
            else:
                self._count(self.lane, reply, now - self.sent, now)
            self._fall_back(self.fallback_lane)
            return
        self._count(self.lane, reply, now - self.sent, now)
        if self.refused is not None:
            self._count(self.refused.lane, self.refused.judged(reply), self.refused.seconds, now)
        self._answer(reply)

    def _count(self, lane: Lane, reply: Reply, seconds: float, now: float) -> None:
        failure, gateway, watched = reply.failure, self.gateway, lane.watched
        lane.tally.answered(failure, now)
        gateway.recorder.answered(lane.target, lane.arm, seconds, failure)
        if watched is not None:
            watched.answered(self.key, reply, seconds, now)
        if failure is not None and failure is not Failure.CLIENT:
            is_candidate = lane.arm is Arm.CANARY or (watched is not None and watched.is_candidate)
            if is_candidate and lane.tally.failures_in_a_row >= TRIPPING_ROW:
                gateway.on_failing()

    def _fall_back(self, lane: Lane) -> None:
        self.lane, self.fallback_lane = lane, None
        self.sent = self.gateway.monotonic()
        call = self.call
        self.call = Call(call.kind, lane.target.digest, call.body, call.json_length, call.encoding)
        self.start()

    def _answer(self, reply: Reply) -> None:
        lane = self.lane
        is_drawn = lane.watched is None or lane.watched.draws(self.key)
        request_id = self.gateway.request_ids.mint(lane.id_prefix if is_drawn else lane.undrawn_prefix)
        retry_after = RETRY_AFTER_S if reply.failure in (Failure.UNAVAILABLE, Failure.OVERLOAD) else 0
        self.respond(Answer(reply.status, reply.body, reply.json_length, lane.headers, request_id, retry_after))
        if self.shadows and reply.status == OK:
            primary = Answered(self.key, self.gateway.monotonic() - self.sent)
            self.gateway.mirror.offer(self.shadows, self.call, reply, primary)

    def _name(self) -> str:
        return f"{self.lane.target.family}@{self.lane.target.version}"


def routing_key(route: FamilyRoute, headers: dict[bytes, bytes]) -> str | None:
    """What a caller is told apart from others by; None where the request does not say."""
    for name in route.key_headers:
        value = headers.get(name.encode())
        if value:
            return value.decode("latin-1")
    return None
