"""A whole rollout without a process or a socket: the real desk, operations and loop over fakes, and gateways that count made-up traffic."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

import numpy as np

from registry_client.versions import ModelVersion
from serving.control.operations import Author, Changed, Operations
from serving.control.policies.home import PolicyHome, Wanted
from serving.control.policies.parsing import parse_policy
from serving.control.records import Records
from serving.control.rollouts.desk import Grounds, Request, RolloutDesk
from serving.control.rollouts.following import Tools
from serving.control.rollouts.loop import Rollouts
from serving.control.rollouts.verifying import RollbackCheck
from serving.control.verification import Verification
from serving.core.authority import Operators
from serving.core.course import replay
from serving.core.effects import Page, Tell
from serving.core.happenings import Event
from serving.core.holdbacks import holdback_of
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Tell as Wishes
from serving.core.routing import Arm, Target
from serving.core.sketches import Baseline, Sketch, bucket_of
from serving.core.standing import Rollout, State
from serving.core.tables import table_of
from serving.core.totals import ArmTotals, Report, Totals
from serving.core.traffic import WHOLE
from serving.core.underway import Underway
from serving.ports import ArmCounts, Failure, GatewayAck, GatewayReport, LoadState, LoadStatus, Observations, Reports
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import MemoryControlRecorder
from tests.fakes.observations import FakeObservations, FakeReports
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.rollouts import FakeRollouts, RolloutState
from tests.fakes.store import FakeState, FakeStore

FAMILY = "digits"
V1, V2, V3 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0"))

POLICY = b"""
policy: 1
unit: {count: request}
stages:
  - {name: canary, weight: 0.05, need: {units: 100, time: 5s, safe: [errors]}}
  - {name: half, weight: 0.5, need: {time: 5s, safe: [errors]}}
  - {name: full, weight: 1.0, soak: 10s}
guards:
  - {id: errors, metric: error, worse: {ratio: 1.5, floor: 0.002}, ok: {below: 0.02}, on: {harm: rollback}}
deadline: {per_stage: 10m, then: hold, silence: 20s}
rollback: {verify: {stray: 0 in 2s, probes: 3, recovered: errors in 1m}, cooldown: 30s, keep_warm: 60s}
authority: {rollback: [oncall, auto], advance: [release], override: [release], start: [release]}
tell: {on: [start, stage, hold, harm, rollback, verified, live]}
"""


@dataclass
class Told:
    """The herald: remembers what was told, once each, as whoever is told can tell by the key."""

    words: dict[str, Tell | Page] = field(default_factory=dict[str, Tell | Page])

    async def tell(self, key: str, at: datetime, rollout: Rollout, effect: Tell | Page, wishes: Wishes) -> None:
        del at, rollout, wishes
        self.words[key] = effect

    @property
    def occasions(self) -> list[str]:
        """What was told, in order."""
        return [word.occasion if isinstance(word, Tell) else "page" for word in self.words.values()]


@dataclass
class Gateway:
    """Counts as a gateway does: for the rollout in its routes, from when it first had it."""

    name: str
    totals: Totals = field(default_factory=Totals)
    row: int = 0
    sequence: int = 0
    rollout: str = ""
    is_mute: bool = False
    answers: dict[Target, int] = field(default_factory=dict[Target, int])
    failures: dict[Target, int] = field(default_factory=dict[Target, int])
    latencies: dict[int, int] = field(default_factory=dict[int, int])


class Plant:
    """One family with production 1.0.0 and the candidates 1.1.0 and 1.2.0, all ready."""

    def __init__(self, policy: bytes = POLICY, *, seed: int = 1, a_second: int = 1000) -> None:
        self.clock = FakeClock()
        self.state, self.written = FakeState(), RolloutState()
        self.registry = FakeRegistry(**{FAMILY: ["1.0.0", "1.1.0", "1.2.0"]})
        self.policy, self.a_second = policy, a_second
        self.observations = FakeObservations(self.clock)
        self.reports, self.heard = self.line()
        self.told, self.recorder = Told(), MemoryControlRecorder()
        self.gateways = [Gateway("g1"), Gateway("g2")]
        self.sends_keys = True
        """Whether callers do; who sends none is in no arm, as `missing: production` has it."""
        self.errors = {V1: 0.001, V2: 0.001, V3: 0.001}
        self.dice = np.random.default_rng(seed)
        self.token = 0
        self.checkpoint_every = 3
        self.operators = Operators()
        self._ids = count()
        self.restart()

    def line(self) -> tuple[Reports, Observations]:
        """The way of the gateways' reports to the controller, both ends of it."""
        return FakeReports(self.observations), self.observations

    # --- processes

    def restart(self) -> None:
        """A controller that has just begun to lead, and an admin process."""
        self.token += 1
        store = FakeStore(self.clock, self.state)
        self.store, self.rollouts = store, FakeRollouts(self.written)
        token = self.token
        self.records = Records(store)
        self.state.leader = ("controller", token, float("inf"))
        mine = Operations(store, store, store, self.registry, self.clock, lambda: token)
        public = FakePublicSide(store, self.registry)
        verification = Verification(store, store, self.registry, public, self.clock)
        check = RollbackCheck(verification, store, self.heard, self.clock)
        tools = Tools(mine, self.rollouts, self.told, check, self.recorder, self.clock, lambda: token, self.checkpoint_every)
        self.loop = Rollouts(self.records, self.heard, store, self.rollouts, tools)
        self.operations = Operations(store, store, store, self.registry, self.clock)
        grounds = Grounds(PolicyHome(), store, self.rollouts, self.registry, self.operators)
        self.desk = RolloutDesk(self.operations, grounds, self.clock)

    async def begin(self) -> None:
        """Have everything ready, and 1.0.0 in production."""
        targets = [Target(FAMILY, version, digest_of(FAMILY, str(version))) for version in (V1, V2, V3)]
        await self.store.post([LoadStatus(target, LoadState.READY, replicas=1) for target in targets])
        await self.operations.promote(FAMILY, V1, self.author())
        await self.follow()

    async def start(self, version: ModelVersion = V2, *, override: str = "", by: str = "ada") -> Changed:
        """Somebody starts a rollout."""
        changed = await self.desk.start(FAMILY, version, Wanted(document=self.policy), self.author(by), override=override)
        await self.follow()
        return changed

    async def ask(self, word: str, event_of: Callable[[Request], Event], by: str = "ada") -> Changed:
        """Somebody asks something of the rollout."""
        changed = await self.desk.happen(FAMILY, word, event_of, self.author(by))
        await self.follow()
        return changed

    def author(self, name: str = "ada", reason: str = "because") -> Author:
        """Somebody, with an operation of their own."""
        return Author(name, reason, f"op-{next(self._ids)}")

    # --- how it stands

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families[FAMILY]

    async def underway(self) -> Underway:
        underway = (await self.record()).rollout
        assert underway is not None
        return underway

    async def stands(self) -> State:
        return (await self.underway()).rollout.state

    async def weight(self, version: ModelVersion = V2) -> int:
        """The version's share of the callers."""
        record = await self.record()
        canary = record.canary_of(version)
        return WHOLE if record.production == version else 0 if canary is None else canary.slice.weight

    async def log(self) -> list[bytes]:
        return list(await self.rollouts.read((await self.underway()).id))

    # --- time

    async def follow(self) -> None:
        """Let the gateways take the newest routes, and say so."""
        snapshot = await self.store.snapshot()
        route = table_of(snapshot.epoch, snapshot.families.values()).families.get(FAMILY)
        watch = None if route is None else route.watch
        for gateway in self.gateways:
            if watch is None or watch.rollout != gateway.rollout:
                gateway.rollout = "" if watch is None else watch.rollout
                gateway.totals, gateway.row = Totals(), 0
            await self.store.ack(GatewayAck(gateway.name, snapshot.epoch, self.clock.now(), since=self.clock.now()))
        self._report()

    async def second(self) -> None:
        """Let a second pass: traffic, reports, and a step of the loop."""
        self.clock.advance(1.0)
        await self.traffic()
        await self.follow()
        await self.loop.step()
        await self.follow()

    async def until(self, claim: Callable[[], Awaitable[bool]], seconds: int = 600) -> None:
        """Let time pass until something is so."""
        for _ in range(seconds):
            if await claim():
                return
            await self.second()
        raise AssertionError(await self.underway())

    async def until_state(self, *states: State, seconds: int = 600) -> State:
        """Let time pass until the rollout is in one of these states."""

        async def is_in() -> bool:
            return await self.stands() in states

        await self.until(is_in, seconds)
        return await self.stands()

    async def traffic(self) -> None:
        """A second's answers on every gateway."""
        record = await self.record()
        shares = {canary.version: canary.slice.weight / WHOLE for canary in record.canaries if self.sends_keys}
        held = holdback_of(record)
        if held is not None:
            shares[held.version] = held.weight / WHOLE
        for gateway in self.gateways:
            left = self.a_second // len(self.gateways)
            for version, share in shares.items():
                mine = int(self.dice.binomial(left, share))
                self._answer(gateway, record, version, mine)
                left -= mine
            if record.production is not None:
                self._answer(gateway, record, record.production, left)

    def _answer(self, gateway: Gateway, record: FamilyRecord, version: ModelVersion, trials: int) -> None:
        failures = int(self.dice.binomial(trials, self.errors[version]))
        target = Target(FAMILY, version, record.digests[version])
        gateway.answers[target] = gateway.answers.get(target, 0) + trials
        gateway.failures[target] = gateway.failures.get(target, 0) + failures
        arm = ArmTotals(trials, failures) if self.sends_keys else ArmTotals(keyless=trials)
        if record.rollout is None:
            return
        if str(version) == record.rollout.rollout.version:
            gateway.totals += Totals(canary=arm)
            gateway.row = gateway.row + trials if failures == trials else 0
        else:
            gateway.totals += Totals(production=arm)
            if not self.sends_keys:
                return
            gateway.latencies[bucket_of(0.01)] = gateway.latencies.get(bucket_of(0.01), 0) + trials

    def _report(self) -> None:
        for gateway in self.gateways:
            if gateway.is_mute:
                continue
            gateway.sequence += 1
            counts = tuple(
                ArmCounts(target, Arm.PRODUCTION, answers, {Failure.MODEL: gateway.failures[target]}, 0)
                for target, answers in gateway.answers.items()
            )
            rollouts: dict[str, Report] = {}
            baselines: dict[str, Baseline] = {}
            if gateway.rollout:
                rollouts[gateway.rollout] = Report(gateway.name, 1.0, gateway.sequence, gateway.totals, gateway.row)
                baselines[gateway.rollout] = Baseline(Sketch(dict(gateway.latencies)))
            self.reports.send(GatewayReport(gateway.name, 1.0, counts, rollouts, baselines))


@contextmanager
def silent(plant: Plant, name: str) -> Iterator[None]:
    """One gateway lives, says which routes it has, and sends no reports."""
    gateway = next(each for each in plant.gateways if each.name == name)
    gateway.is_mute = True
    yield
    gateway.is_mute = False


def replays(lines: list[bytes], document: bytes) -> bool:
    """Whether a log gives the same bytes again."""
    return list(replay(parse_policy(document), lines)) == lines
