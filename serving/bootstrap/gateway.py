"""Putting a gateway replica together: listener, gateway, links, membership, routes and reports on one event loop."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random  # noqa: TID251 - here is where dice come from

import msgspec
import uvicorn

from serving.api.inference import InferenceApp
from serving.api.inference_http import ListenerLimits
from serving.api.listener import InferenceProtocol, protocol_for
from serving.bootstrap.arming import arm_failpoints
from serving.bootstrap.background import Background
from serving.bootstrap.between import Between, host_name, housed, resolved, settled
from serving.bootstrap.footing import dial_kept, footing_of, load_kept, reconciliation_of
from serving.bootstrap.layout import Layout
from serving.bootstrap.listening import Listening, bound_socket
from serving.bootstrap.ways import ways_of
from serving.core.errors import StoreUnavailable
from serving.core.routing import RouteTable
from serving.dataplane import nodes
from serving.dataplane.core_waits import CoreWaits
from serving.dataplane.link_pool import LinkPool
from serving.dataplane.membership import Membership
from serving.gateway.catalogue import Catalogue
from serving.gateway.departures import Departures
from serving.gateway.feedback import Feedback
from serving.gateway.predict import Gateway, GatewayLimits
from serving.gateway.request_ids import RequestIds
from serving.gateway.routes import RouteKeeper, RouteTimes
from serving.gateway.shadow import Mirror, MirrorLimits
from serving.gateway.watching import Around, Watchings
from serving.gateway.yielding import Yielding, never_waits
from serving.ports import GatewayReport
from serving.stores.claim_table import ClaimTables
from serving.stores.opening import StorePlan, open_store
from serving.stores.pair_files import PairFiles
from serving.telemetry.clock import SystemClock
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, start_multiprocess
from serving.telemetry.reports import DatagramReports

REPORT_S = 0.1
SIGN_OF_LIFE_S = 1.0
"""An idle gateway reports this often."""

PAIRS_S = 1.0
"""Between two looks at whether there are other disagreeing pairs to show."""

SWEEP_S = 0.5
FIRST_LOOK_S = 2.0
"""How long a gateway waits for the store before it starts by what its node has kept."""

RECONCILE_S = 2.0
"""Between two looks at overrides that nobody has written to the store: the controller, where it is on this node, does it sooner."""

BACKLOG = 2048

DRAIN_S = 10.0
"""How long a gateway that is told to stop answers what is under way; it takes nothing new meanwhile."""

LAST_S = DRAIN_S + 3.0
"""After so long it is killed."""


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """What a gateway replica is told."""

    layout: Layout
    between: Between | None
    store: StorePlan
    host: str
    port: int
    release: str
    environment: str
    log_json: bool
    failpoints: str
    listener: ListenerLimits
    gateway: GatewayLimits
    mirror: MirrorLimits
    mirror_yields: bool
    times: RouteTimes
    spin: float


class GatewayService:
    """One gateway replica, from start to stop."""

    def __init__(self, plan: GatewayPlan) -> None:
        self._plan = plan
        self._node = nodes.here()
        self._name = f"{host_name(plan.between)}-{os.getpid()}"
        self._clock = SystemClock()
        self._started = self._clock.monotonic()
        self._background = Background()
        self._reported, self._reported_at = 0, self._started
        self._shown: dict[str, int] = {}
        """How many disagreeing pairs of a rollout had been offered when they were last shown."""

    async def start(self) -> Mapping[str, str]:
        """Read the routes, reach the replicas, then open the port."""
        plan, loop = self._plan, asyncio.get_running_loop()
        configure_logs(json=plan.log_json, file=plan.layout.log)
        arm_failpoints(plan.failpoints, plan.layout)
        start_multiprocess(plan.layout.metrics)
        self._recorder = PrometheusRecorder(self._name)
        self._recorder.gateway_started(plan.release, plan.environment)
        self._store = await open_store(plan.store, self._clock)
        self._ways = ways_of(plan.layout, plan.between, loop, self._recorder)
        self._reports = DatagramReports(self._ways.outbox)
        self._pool = LinkPool(loop, self._clock.monotonic, plan.spin, self._ways.dialer)
        self._membership = Membership(self._pool, loop, self._node.ident)
        self._gateway = self._build_gateway()
        self._departures = Departures(self._gateway.tallies, self._clock)
        self._report()  # what was before the first report never counts, so it comes before the first request
        await self._keep_routes()
        await self._listen()
        return {}

    async def stop(self) -> None:
        """Finish what is under way and close the port."""
        await self._listening.stop()
        await self._background.stop()
        with suppress(StoreUnavailable):
            await self._store.leave(self._name)
        self._membership.close()
        self._pool.close()
        self._ways.close()
        self._reports.close()
        await self._store.close()

    def _build_gateway(self) -> Gateway:
        # Not the loop's own time: uvloop's stands still during a turn and counts whole milliseconds.
        monotonic = self._clock.monotonic
        dice: Callable[[], float] = Random().random  # noqa: S311 - sampling of traffic, no secret
        around = Around(ClaimTables(self._plan.layout.claims), monotonic, self._now, dice)
        watchings = Watchings(around, self._report)
        yielding = Yielding(CoreWaits() if self._plan.mirror_yields else never_waits)
        gateway = Gateway(
            invoker=self._pool,
            recorder=self._recorder,
            mirror=Mirror(self._pool, self._recorder, monotonic, self._plan.mirror, watchings, yielding),
            watchings=watchings,
            request_ids=RequestIds(self._ways.request_id_key, self._now()),
            monotonic=monotonic,
            dice=dice,
            limits=self._plan.gateway,
        )
        gateway.on_failing = gateway.rehearsals.on_failing = self._report
        return gateway

    async def _keep_routes(self) -> None:
        kept = await load_kept(self._plan.layout)
        footing = footing_of(self._plan.layout, kept, self._pool, self._recorder, self._node.address)
        keeper = RouteKeeper(
            store=self._store,
            acks=self._store,
            clock=self._clock,
            gateway=self._name,
            on_table=self._take_table,
            times=self._plan.times,
            footing=footing,
            departures=self._departures,
        )
        await keeper.begin(FIRST_LOOK_S)
        dial_kept(self._pool, self._gateway.table, kept)
        self._background.start("routes", keeper.run)
        self._background.start("overrides", keeper.watch_overrides)
        self._background.start("snapshot", footing.keeping.run)
        self._background.step("reconcile", RECONCILE_S, reconciliation_of(self._plan.layout, self._store).step)
        self._background.repeat("report", REPORT_S, self._tick)
        self._background.step("pairs", PAIRS_S, self._show_pairs)

    def _take_table(self, table: RouteTable) -> None:
        targets = [target for route in table.families.values() for target in route.served.values()]
        self._membership.watch(targets)
        begins = self._gateway.swap(table)
        self._departures.swapped(table)
        self._recorder.routed(table)
        if begins:
            self._report()  # as the first one of all: what it counts begins where it was first heard of

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _tick(self) -> None:
        self._gateway.request_ids.tell_time(self._now())
        self._recorder.linked(self._pool.transports())
        for tally in self._gateway.tallies:
            self._recorder.in_flight(tally.target, tally.arm, tally.in_flight)
        news = self._stamp() != self._reported
        if news or self._clock.monotonic() - self._reported_at >= SIGN_OF_LIFE_S:
            self._report()

    async def _show_pairs(self) -> None:
        shelf = PairFiles(self._plan.layout.pairs)
        for rollout, sample in self._gateway.watchings.samples().items():
            if sample.offered != self._shown.get(rollout, 0):
                self._shown[rollout] = sample.offered
                await asyncio.to_thread(shelf.put, rollout, self._name, msgspec.json.encode(sample.pairs))

    def _report(self) -> None:
        gateway, watchings = self._gateway, self._gateway.watchings
        counts = [tally.counts() for tally in gateway.tallies]
        rollouts = watchings.reports(self._name, self._started)
        self._reports.send(GatewayReport(self._name, self._started, counts, rollouts, watchings.baselines()))
        self._reported, self._reported_at = self._stamp(), self._clock.monotonic()

    def _stamp(self) -> int:
        return self._gateway.tallies.requests() + self._gateway.watchings.stamp

    async def _listen(self) -> None:
        plan = self._plan
        feedback = Feedback(self._gateway.request_ids, self._gateway.watchings, self._recorder, self._now)
        app = InferenceApp(Catalogue(self._gateway, self._pool.replicas), feedback, plan.release)
        self._protocol = protocol_for(self._gateway, plan.listener)
        config = uvicorn.Config(
            app,
            http=self._protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(DRAIN_S),
        )
        self._listening = Listening(config)
        await self._listening.start(bound_socket(plan.host, plan.port, shared=True))
        self._background.repeat("sweep", SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        self._protocol.held.relieve(now)
        for connection in list(self._listening.server.server_state.connections):
            if isinstance(connection, InferenceProtocol):
                connection.sweep(now)


def open_gateway(plan: GatewayPlan) -> GatewayService:
    """What Ray is given to make a gateway replica."""
    layout = settled(plan.layout, clustered=plan.between is not None)
    return GatewayService(replace(plan, layout=layout, store=housed(plan.store, plan.layout, layout), host=resolved(plan.host)))
