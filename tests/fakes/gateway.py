"""A gateway with nothing real around it: its versions are answered by hand, its clock stands still until it is moved."""

from collections.abc import Callable
from dataclasses import dataclass, field

from registry_client.versions import ModelVersion
from serving.core.routing import CanaryRoute, FamilyRoute, HoldbackRoute, MissingKey, RouteTable, ShadowRoute, Target
from serving.core.traffic import End, Slice
from serving.core.watches import Watch
from serving.gateway.messages import Answer, Request
from serving.gateway.predict import Gateway, GatewayLimits
from serving.gateway.request_ids import RequestIds
from serving.gateway.shadow import Mirror, MirrorLimits
from serving.gateway.watching import Around, Watchings
from serving.gateway.yielding import Yielding
from serving.ports import CallKind
from tests.fakes.claims import MemoryRoom
from tests.fakes.request_path import HandInvoker, MemoryRecorder


def target(version: str) -> Target:
    return Target("digits", ModelVersion.parse(version), version.encode().hex().ljust(64, "0"))


ONE, TWO = target("1.0.0"), target("1.1.0")


def table(*, epoch: int = 3, canary: int = 0, shadow: int = 0, holdback: int = 0, watch: Watch | None = None) -> RouteTable:
    """1.0.0 is in production; with a holdback it is 1.1.0, and 1.0.0 is what some callers stay with."""
    return RouteTable(
        epoch,
        {
            "digits": FamilyRoute(
                family="digits",
                production=TWO if holdback else ONE,
                canaries=(CanaryRoute(TWO, Slice(End.LOW, canary)),) if canary else (),
                holdback=HoldbackRoute(ONE, holdback) if holdback else None,
                shadows=(ShadowRoute(TWO, shadow),) if shadow else (),
                served={ONE.version: ONE, TWO.version: TWO},
                live=frozenset({ONE.version}),
                key_headers=("x-user-id",),
                missing_key=MissingKey.RANDOM,
                watch=watch,
            )
        },
    )


@dataclass
class Bench:
    """A gateway with nothing real around it."""

    invoker: HandInvoker = field(default_factory=HandInvoker)
    recorder: MemoryRecorder = field(default_factory=MemoryRecorder)
    answers: list[Answer] = field(default_factory=list)
    now: float = 100.0
    dice: float = 0.0
    alarms: int = 0
    room: MemoryRoom = field(default_factory=MemoryRoom)
    request_ids: RequestIds = field(default_factory=lambda: RequestIds(b"secret"))
    crowding: float = 0.0
    """The share of the time that the gateway waits for a core."""

    def __post_init__(self) -> None:
        monotonic: Callable[[], float] = lambda: self.now  # noqa: E731 - a clock
        around = Around(self.room, monotonic, monotonic, lambda: self.dice)
        watchings = Watchings(around, self._alarm)
        mirror = Mirror(
            self.invoker,
            self.recorder,
            monotonic,
            MirrorLimits(in_flight=2, max_bytes=100),
            watchings,
            Yielding(lambda: self.now * self.crowding),
        )
        self.gateway = Gateway(
            invoker=self.invoker,
            recorder=self.recorder,
            mirror=mirror,
            watchings=watchings,
            request_ids=self.request_ids,
            monotonic=monotonic,
            dice=lambda: self.dice,
            limits=GatewayLimits(timeout=10.0, longest_timeout=20.0, in_flight=3),
        )
        self.gateway.on_failing = self._alarm

    def _alarm(self) -> None:
        self.alarms += 1

    def ask(
        self,
        *,
        family: str = "digits",
        selector: str | None = None,
        timeout: float | None = None,
        body: bytes = b"{}",
        user: str = "",
        consumer: bytes = b"",
    ) -> None:
        headers = ({b"x-user-id": user.encode()} if user else {}) | ({b"x-consumer": consumer} if consumer else {})
        self.gateway.handle(Request(CallKind.INFER, family, selector, body, headers, timeout=timeout), self.answers.append)
