"""A made-up world for rollouts: gateways that count what a candidate and production do, and dice that can be thrown again."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from serving.control.policies.parsing import parse_policy
from serving.core.assessing import edges
from serving.core.course import Course, Turn, happened, looked, opened
from serving.core.decisions import Look, as_written
from serving.core.effects import Effect
from serving.core.happenings import Actor, Advance, Checked, Event, Observed, Start
from serving.core.policy import Pinned, Stage
from serving.core.rollout import Step
from serving.core.rollout import step as taken
from serving.core.standing import Rollout, State
from serving.core.totals import ArmTotals, PairTotals, Report, Totals
from serving.core.traffic import WHOLE

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
OWNER = Actor("ada", ("owner", "release", "oncall"))
OTHER = Actor("grace", ("release",))


def track(name: str, **changes: str) -> Pinned:
    """A ready-made track, with texts replaced."""
    text = (ROOT / "configs" / "policies" / f"{name}.yaml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text.encode())


def step(pinned: Pinned, rollout: Rollout, event: Event) -> Step:
    """The rollout's step, in a world in which no clock is ever put elsewhere."""
    receipt = rollout.receipt
    match event:
        case Observed() | Advance():
            spent = event.at - (rollout.entered or event.at)
            event = replace(event, assessment=replace(event.assessment, spent=spent))
        case Checked() if receipt is not None:
            event = replace(event, spent=event.at - (receipt.flipped or receipt.decided))
        case _:
            pass
    return taken(pinned, rollout, event)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a version behaves: chances of one trial. `slower` multiplies the chance to exceed an edge of the latency."""

    errors: float = 0.001
    slower: float = 1.0
    odd: float = 0.0
    classes: tuple[float, ...] = (0.5, 0.3, 0.2)
    disagreeing: float = 0.002


GOOD = Behaviour()


@dataclass
class World:
    """Gateways in front of a candidate; `advance` lets time pass and traffic flow, and lets the rollout look."""

    pinned: Pinned
    candidate: Behaviour = GOOD
    production: Behaviour = GOOD
    trials: int = 10_000
    gateways: tuple[str, ...] = ("g1", "g2")
    seed: int = 1
    at: datetime = BEGIN
    log: list[bytes] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        rollout = Rollout("digits", "1.1.0", "c" * 64, self.pinned.digest, author="ada")
        self.dice = np.random.default_rng(self.seed)
        self.totals = dict.fromkeys(self.gateways, Totals())
        self.sequence = 0
        self.course: Course = self._taken(opened(self.pinned, rollout, at=self.at, classes=3))

    @property
    def rollout(self) -> Rollout:
        return self.course.rollout

    @property
    def state(self) -> State:
        return self.rollout.state

    @property
    def stage(self) -> Stage:
        return self.pinned.policy.stages[self.rollout.stage]

    def start(self) -> None:
        self.happen(Start(self.at, OWNER))
        self.look(self.reports())  # where counting begins

    def happen(self, event: Event) -> None:
        self.course = self._taken(happened(self.course, event))

    def look(self, reports: tuple[Report, ...]) -> None:
        since = self.course.at or self.at
        self.look_at(Look(self.at, reports, self.gateways, passed=self.at - since))

    def look_at(self, look: Look) -> None:
        self.course = self._taken(looked(self.course, as_written(look)))

    def advance(self, span: timedelta = timedelta(minutes=1)) -> None:
        self.pass_time(span)
        self.look(self.reports())

    def pass_time(self, span: timedelta) -> None:
        """Let traffic flow without a look."""
        self.at += span
        for gateway in self.gateways:
            self.totals[gateway] += self.traffic(self.trials // len(self.gateways))

    def reports(self) -> tuple[Report, ...]:
        self.sequence += 1
        return tuple(Report(gateway, 1.0, self.sequence, totals) for gateway, totals in self.totals.items())

    def traffic(self, trials: int) -> Totals:
        if self.stage.is_shadow:
            pairs = int(self.dice.binomial(trials, self.stage.mirror / WHOLE))
            disagreed = int(self.dice.binomial(pairs, self.candidate.disagreeing))
            seen = PairTotals(offered=pairs, compared=pairs, disagreed=disagreed)
            return Totals(self._arm(self.candidate, pairs), self._arm(self.production, trials), seen)
        mine = int(self.dice.binomial(trials, self.stage.weight / WHOLE))
        return Totals(self._arm(self.candidate, mine), self._arm(self.production, trials - mine))

    def _arm(self, behaviour: Behaviour, trials: int) -> ArmTotals:
        slow = tuple(int(count) for edge in self._over(behaviour) for count in [self.dice.binomial(trials, edge)])
        return ArmTotals(
            trials=trials,
            failures=int(self.dice.binomial(trials, behaviour.errors)),
            mistakes=int(self.dice.binomial(trials, 0.05)),
            odd=int(self.dice.binomial(trials, behaviour.odd)),
            slow=slow,
            classes=tuple(int(count) for count in self.dice.multinomial(trials, behaviour.classes)),
        )

    def _over(self, behaviour: Behaviour) -> list[float]:
        """The chance of exceeding production's quantile, and `ratio` times it, where latencies fall off as 1 / x^4."""
        over = []
        for quantile, ratio in edges(self.pinned.policy).values():
            over += [min((1 - quantile) * behaviour.slower**4, 1.0), min((1 - quantile) * (behaviour.slower / ratio) ** 4, 1.0)]
        return over

    def _taken(self, turn: Turn) -> Course:
        self.log.append(turn.line)
        self.effects += turn.effects
        return turn.course
