"""The gateways' reports without a socket: what a `FakeReports` sends, its `FakeObservations` hear."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from serving.ports import Clock, GatewayReport

SILENCE = 10.0
ROLLOUTS_MOST = 64


@dataclass
class FakeObservations:
    """Hears at once, and forgets gateways that are silent for as long as the real one does."""

    clock: Clock
    heard: dict[str, tuple[float, GatewayReport]] = field(default_factory=dict[str, tuple[float, GatewayReport]])
    wakes: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def latest(self) -> Mapping[str, GatewayReport]:
        oldest = self.clock.monotonic() - SILENCE
        return {gateway: report for gateway, (at, report) in self.heard.items() if at >= oldest}

    def subscribe(self, wake: Callable[[], None]) -> None:
        self.wakes.append(wake)

    def hear(self, report: GatewayReport) -> None:
        known = self.heard.get(report.gateway)
        if known is not None and known[1].started == report.started:
            earlier = known[1]
            rollouts, baselines = {**earlier.rollouts, **report.rollouts}, {**earlier.baselines, **report.baselines}
            unread = {rollout: why for rollout, why in earlier.unreadable.items() if rollout not in report.rollouts}
            unread |= report.unreadable
            report = replace(report, rollouts=dict([*rollouts.items()][-ROLLOUTS_MOST:]), baselines=baselines, unreadable=unread)
        self.heard[report.gateway] = (self.clock.monotonic(), report)
        for wake in self.wakes:
            wake()


@dataclass
class FakeReports:
    """The gateway's end."""

    observations: FakeObservations

    def send(self, report: GatewayReport) -> None:
        self.observations.hear(report)
