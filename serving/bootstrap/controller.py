"""Putting the controller together: the store, the fleet on Ray Serve, the gateways' reports and the policies it goes by."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from serving.api.probing import PublicListener
from serving.bootstrap.aliases import Parts, alias_loop
from serving.bootstrap.arming import arm_failpoints
from serving.bootstrap.background import Background
from serving.bootstrap.between import Between, host_name, housed, settled, url
from serving.bootstrap.footing import reconciliation_of
from serving.bootstrap.layout import Layout
from serving.bootstrap.registry import PublishedVersions
from serving.bootstrap.version import VersionPlan, open_version
from serving.bootstrap.ways import inbox_of
from serving.control import rehearsing
from serving.control.cold import ColdLoads
from serving.control.controller import Chore, Controller, Policies, RolloutParts, Surroundings
from serving.control.drill_news import DrillNews
from serving.control.drill_schedule import DrillSchedule, ScheduleParts
from serving.control.following_aliases import Following
from serving.control.leading import Lead, Leading
from serving.control.operations import Operations
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.practising import Drills, Means
from serving.control.reconciler import aspired
from serving.control.records import Records
from serving.control.rollouts.telling import NoticeHerald
from serving.control.rollouts.verifying import RollbackCheck
from serving.control.seen import SeenStore
from serving.control.telling import Telling
from serving.control.verification import Verification
from serving.core.authority import Operators
from serving.core.errors import StoreUnavailable
from serving.core.routing import Target
from serving.dataplane.fleet import ServeFleet
from serving.dataplane.placement import Placement
from serving.dataplane.replicas import Service
from serving.stores.opening import StorePlan, open_hints, open_rollouts, open_store
from serving.stores.outbox import OutboxFiles
from serving.stores.progress_notes import ProgressNotes
from serving.stores.snapshot_file import SnapshotFile
from serving.stores.traffic_file import TrafficFile
from serving.telemetry.clock import SystemClock
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, start_multiprocess
from serving.telemetry.reports import DatagramObservations

COLD_S = 0.5
"""Between two looks at whether the store is away and something that was served is not loaded."""

RECONCILE_S = 0.25
"""Between two looks at the overrides of this node; a look that finds nothing new is one system call."""


@dataclass(frozen=True, slots=True)
class ControllerPlan:
    """What the controller replica is told."""

    layout: Layout
    between: Between | None
    placement: Placement
    store: StorePlan
    policies: Policies
    log_json: bool
    failpoints: str
    lease: float
    """Seconds that a leader leads without renewing."""
    body_bytes: int
    spin: float
    public_host: str
    public_port: int
    webhooks: tuple[str, ...]
    """The names of those who are told of rollouts."""
    operators: Operators
    following: Following | None
    """The alias that is followed, where the registry has some."""
    takes_hints: bool
    """Whether somebody may say that it has moved."""
    policy_folder: Path | None
    """Where the installation's own policies are."""


class ControllerService:
    """A controller that leads or stands by, from start to stop."""

    def __init__(self, plan: ControllerPlan, home: Layout) -> None:
        self._plan = plan
        self._home = home
        """The layout that versions are told, which may run on other nodes."""
        self._background = Background()

    async def start(self) -> Mapping[str, str]:
        """Stand for election."""
        plan, clock = self._plan, SystemClock()
        configure_logs(json=plan.log_json, file=plan.layout.log)
        arm_failpoints(plan.failpoints, plan.layout)
        start_multiprocess(plan.layout.metrics)
        self._store = await open_store(plan.store, clock)
        self._rollouts, self._hints = open_rollouts(plan.store), open_hints(plan.store)
        self._clock, self._recorder = clock, PrometheusRecorder("controller")
        self._inbox, told = inbox_of(plan.layout, plan.between)
        self._seen = SeenStore(self._store, SnapshotFile(plan.layout.snapshot))
        self._fleet = ServeFleet(self._opener, plan.placement, ProgressNotes(plan.layout.progress).read)
        self._fleet.adopt([*aspired(await self._seen.last_seen()), *await self._posted()])
        self._lead = Lead(self._store, f"{host_name(plan.between)}-{os.getpid()}", clock, plan.lease)
        self._background.start("leading", Leading(self._lead, self._recorder, self._act).run)
        # Without the store nobody leads, and an override is a person's decision: these two wait for no leader.
        self._background.step("cold", COLD_S, ColdLoads(self._seen, self._fleet).step)
        self._background.step("overrides", RECONCILE_S, reconciliation_of(plan.layout, self._store).step)
        return told

    async def stop(self) -> None:
        """Let another lead; what runs goes on running."""
        await self._background.stop()
        await self._rollouts.close()
        await self._hints.close()
        await self._store.close()

    def _following(self) -> Following | None:
        following = self._plan.following
        return following and replace(following, hints=self._hints if self._plan.takes_hints else None)

    async def _act(self) -> None:
        """One term: take over what runs, hear the gateways, and act until it ends."""
        plan, store, clock = self._plan, self._store, self._clock
        self._fleet.adopt(await self._posted())
        observations = DatagramObservations(self._inbox, clock)
        registry = PublishedVersions(plan.layout, self._recorder)
        public = PublicListener(url(plan.public_host, plan.public_port))
        verification = Verification(self._seen, store, registry, public, clock)
        operations = Operations(self._seen, store, store, registry, clock, self._lead.token)
        telling = Telling(OutboxFiles(plan.layout.outbox), plan.webhooks)
        around = Surroundings(
            store=self._seen,
            fleet=self._fleet,
            board=store,
            observations=observations,
            operations=operations,
            recorder=self._recorder,
            clock=clock,
            lead=self._lead,
            rollouts=RolloutParts(
                home=self._rollouts,
                acks=store,
                herald=NoticeHerald(telling),
                check=RollbackCheck(verification, self._seen, observations, clock),
                term=self._lead.token,
            ),
        )
        held = HeldPolicies(PolicyHome(plan.policy_folder))
        news = DrillNews(telling, operations, held, clock)
        parts = ScheduleParts(Records(self._seen), observations, TrafficFile(plan.layout.traffic), held, clock)
        practising = rehearsing.Means(operations, self._seen, held, registry, public, clock, news)
        schedule = DrillSchedule(parts, Drills(Means(operations, verification, clock, news)), rehearsing.Rehearsing(practising))
        asking = Parts(operations, PolicyHome(plan.policy_folder), self._seen, store, self._rollouts, registry, plan.operators, clock)
        await observations.start()
        try:
            also = {"drills": Chore(schedule.step), **alias_loop(plan.layout, self._following(), asking)}
            await Controller(around, plan.policies, also).run()
        finally:
            await observations.stop()

    async def _posted(self) -> list[Target]:
        """What ran when the board was last written, if it can be read."""
        try:
            return [status.target for status in await self._store.read()]
        except StoreUnavailable:
            return []

    def _opener(self, target: Target) -> Callable[[], Service]:
        plan = self._plan
        return partial(open_version, VersionPlan(self._home, plan.between, target, plan.log_json, plan.body_bytes, plan.spin))


def open_controller(plan: ControllerPlan) -> ControllerService:
    """What Ray is given to make the controller replica."""
    layout = settled(plan.layout, clustered=plan.between is not None)
    return ControllerService(replace(plan, layout=layout, store=housed(plan.store, plan.layout, layout)), plan.layout)
