"""Mirroring: copies of answered requests go to shadows, which compare; nothing here can slow or fail a caller.

Every offered copy ends in exactly one outcome, so offered = compared + shed + oversize + timeout + error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from serving.core.routing import Target
from serving.ports import Call, Failure, Invoker, Primary, Recorder, Reply

OK = 200


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """Bounds of one shadow on one gateway: copies in flight, seconds for each, bytes of request and answer together."""

    in_flight: int = 64
    timeout: float = 2.0
    max_bytes: int = 16 * 2**20


class Mirror:
    """Sends copies to shadows within their limits; the newest are shed when a shadow cannot keep up."""

    def __init__(self, invoker: Invoker, recorder: Recorder, monotonic: Callable[[], float], limits: MirrorLimits) -> None:
        self._invoker = invoker
        self._recorder = recorder
        self._monotonic = monotonic
        self._limits = limits
        self._in_flight: dict[str, int] = {}

    def offer(self, shadows: tuple[Target, ...], call: Call, reply: Reply) -> None:
        """Mirror one answered call to each of the shadows that sampled it."""
        for target in shadows:
            refusal = self._refusal(target, call, reply)
            if refusal is not None:
                self._recorder.shadowed(target, refusal)
                continue
            self._in_flight[target.digest] = self._in_flight.get(target.digest, 0) + 1
            copy = replace(call, digest=target.digest, mirror=Primary(reply.body, reply.json_length))
            deadline = self._monotonic() + self._limits.timeout
            self._invoker.invoke(copy, deadline, partial(self._compared, target), patient=False)

    def _refusal(self, target: Target, call: Call, reply: Reply) -> str | None:
        if self._in_flight.get(target.digest, 0) >= self._limits.in_flight:
            return "shed"
        if len(call.body) + len(reply.body) > self._limits.max_bytes:
            return "oversize"
        return None

    def _compared(self, target: Target, reply: Reply) -> None:
        self._in_flight[target.digest] -= 1
        self._recorder.shadowed(target, _outcome(reply))


def _outcome(reply: Reply) -> str:
    if reply.status == OK:
        return reply.body.decode("ascii")
    return "timeout" if reply.failure is Failure.TIMEOUT else "error"
