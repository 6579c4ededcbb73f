"""Mirroring: copies of answered requests go to shadows, which compare; nothing here can slow or fail a caller.

Every offered copy ends in exactly one outcome, so offered = compared + shed + yielded + oversize + timeout + error.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from serving.core.routing import Target
from serving.gateway.watching import TRIPPING_ROW, Watching, Watchings
from serving.gateway.yielding import Yielding
from serving.ports import Call, Failure, Invoker, Primary, Recorder, Reply, Sorting

OK = 200
AGREE, SHED, YIELDED, OVERSIZE, TIMEOUT, ERROR = "agree", "shed", "yielded", "oversize", "timeout", "error"


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """Bounds of one shadow on one gateway: copies in flight, seconds for each, bytes of request and answer together."""

    in_flight: int = 64
    timeout: float = 2.0
    max_bytes: int = 16 * 2**20


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The answer that the caller got: to which routing key, where that is looked at, and how long it took."""

    key: str | None
    seconds: float


class Mirror:
    """Sends copies to shadows within their limits; the newest are shed when a shadow cannot keep up, or callers need the core."""

    def __init__(
        self,
        invoker: Invoker,
        recorder: Recorder,
        monotonic: Callable[[], float],
        limits: MirrorLimits,
        watchings: Watchings,
        yielding: Yielding,
    ) -> None:
        self.invoker = invoker
        self.monotonic = monotonic
        self.on_failing = watchings.on_failing
        self._recorder = recorder
        self._limits = limits
        self._watchings = watchings
        self._yielding = yielding
        self._in_flight: dict[str, int] = {}

    def offer(self, shadows: tuple[Target, ...], call: Call, reply: Reply, primary: Answered) -> None:
        """Mirror one answered call to each of the shadows that sampled it."""
        for target in shadows:
            watching = self._watchings.of_candidate(target.digest)
            limits = self._limits if watching is None else _limits(watching)
            copy = Copy(self, target, watching, primary)
            if watching is not None and watching.sample is not None:
                copy.pair = call, reply
            if watching is not None:
                watching.pairs.offered += 1
            refusal = self._refusal(limits, copy, call, reply)
            if refusal is not None:
                copy.end(refusal)
                continue
            self._in_flight[target.digest] = self._in_flight.get(target.digest, 0) + 1
            copied = _copied(call, reply, target, watching)
            self.invoker.invoke(copied, copy.sent + limits.timeout, copy.answered, patient=False)

    def _refusal(self, limits: MirrorLimits, copy: "Copy", call: Call, reply: Reply) -> str | None:
        if self._in_flight.get(copy.target.digest, 0) >= limits.in_flight:
            return SHED
        if not self._yielding.allows(copy.sent):
            return YIELDED
        if len(call.body) + len(reply.body) > limits.max_bytes:
            return OVERSIZE
        return None

    def landed(self, target: Target) -> None:
        """A copy is no longer under way."""
        self._in_flight[target.digest] -= 1

    def record(self, target: Target, outcome: str) -> None:
        """Show what became of a copy."""
        self._recorder.shadowed(target, outcome)


class Copy:
    """One copy on its way."""

    __slots__ = ("mirror", "pair", "primary", "sent", "target", "watching")

    def __init__(self, mirror: Mirror, target: Target, watching: Watching | None, primary: Answered) -> None:
        self.mirror = mirror
        self.target = target
        self.watching = watching
        self.primary = primary
        self.pair: tuple[Call, Reply] | None = None
        """The request and the answer that the caller got, where pairs are kept."""
        self.sent = mirror.monotonic()

    def answered(self, reply: Reply) -> None:
        """Take the comparison, or what came in its place."""
        self.mirror.landed(self.target)
        outcome, own = _outcome(reply)
        self.end(outcome)
        if own and self.pair is not None and self.watching is not None and self.watching.sample is not None:
            self.watching.sample.offer(outcome, *self.pair, own)
        if self.watching is not None and self.watching.watch.is_shadow:
            self._count_trial(self.watching, outcome, reply)

    def end(self, outcome: str) -> None:
        """Count what became of it."""
        self.mirror.record(self.target, outcome)
        if self.watching is None:
            return
        pairs = self.watching.pairs
        match outcome:
            case "shed" | "yielded":
                pairs.shed += 1
            case "oversize":
                pairs.oversize += 1
            case "timeout":
                pairs.timed_out += 1
            case "error":
                pairs.failed += 1
            case _:
                pairs.agreed(agrees=outcome == AGREE, seconds=self.mirror.monotonic() - self.sent, primary=self.primary.seconds)

    def _count_trial(self, watching: Watching, outcome: str, reply: Reply) -> None:
        if outcome == SHED or (outcome == ERROR and not self.mirror.invoker.was_reached(self.target.digest)):
            return  # it never had the copy, or this gateway, or the candidate, is only just up: nobody is to blame
        failure = reply.failure
        if outcome == ERROR and failure is None:
            # It refused, or failed on, what production had answered: the request was good.
            failure = Failure.MODEL
        now = self.mirror.monotonic()
        watching.copied(self.primary.key, failure, now - self.sent, reply.said, now)
        if watching.row >= TRIPPING_ROW:
            self.mirror.on_failing()


def _copied(call: Call, reply: Reply, target: Target, watching: Watching | None) -> Call:
    if watching is None:
        return replace(call, digest=target.digest, mirror=Primary(reply.body, reply.json_length), sorting=Sorting.NOTHING)
    primary = Primary(reply.body, reply.json_length, watching.leeway, watching.sample is not None)
    return replace(call, digest=target.digest, mirror=primary, sorting=watching.sorting)


def _outcome(reply: Reply) -> tuple[str, bytes]:
    """What became of a copy, and the shadow's own answer where it shows it."""
    if reply.status == OK:
        word, _, own = reply.body.partition(b"\n")
        return word.decode("ascii"), own
    match reply.failure:
        case Failure.TIMEOUT:
            return TIMEOUT, b""
        case Failure.OVERLOAD:  # the version does not read as fast as copies come
            return SHED, b""
        case _:
            return ERROR, b""


def _limits(watching: Watching) -> MirrorLimits:
    limits = watching.watch.limits
    return MirrorLimits(limits.inflight, limits.timeout.total_seconds(), limits.max_body)
