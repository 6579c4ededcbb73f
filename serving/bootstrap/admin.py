"""Putting the admin API together: the use cases over the store, on a listener of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from serving.api.admin import create_app
from serving.api.metrics import metrics_app
from serving.api.probing import PublicListener
from serving.api.services import AdminServices, AdminSurface
from serving.bootstrap.arming import arm_failpoints
from serving.bootstrap.background import Background
from serving.bootstrap.between import Between, housed, resolved, settled, url
from serving.bootstrap.layout import Layout
from serving.bootstrap.listening import Listening, bound_socket
from serving.bootstrap.registry import PublishedVersions
from serving.bootstrap.telling import DELIVERY_S, WebhookPlan, delivery_of
from serving.control.auditing import Auditing, Publishing
from serving.control.drill_book import DrillBook
from serving.control.drill_news import DrillNews
from serving.control.entitlement import Entitlement
from serving.control.keeping import Keeping
from serving.control.operations import Operations
from serving.control.policies.holding import FamilyAuthorities, HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.practising import Drills, Means
from serving.control.reseeding import Reseeding
from serving.control.rollouts.authorities import PolicyAuthorities
from serving.control.rollouts.desk import Grounds, RolloutDesk
from serving.control.rollouts.looking import RolloutViews
from serving.control.rollouts.sampling import PairSamples
from serving.control.seen import SeenStore
from serving.control.telling import Correspondence, Telling
from serving.control.verification import Verification
from serving.control.views import Views
from serving.core.authority import Operators
from serving.stores.head_log import HeadFile
from serving.stores.opening import StorePlan, open_rollouts, open_store
from serving.stores.outbox import OutboxFiles
from serving.stores.pair_files import PairFiles
from serving.stores.signing import Ed25519Signer
from serving.stores.snapshot_file import SnapshotFile
from serving.stores.traffic_file import TrafficFile
from serving.telemetry.callers import callers_of
from serving.telemetry.clock import SystemClock
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, scrape, start_multiprocess


class AdminExposed(Exception):
    """The admin API would listen where others reach it, with no authentication."""

    def __init__(self, host: str) -> None:
        super().__init__(f"admin_host is this node's address, {host}, which is not on loopback")


@dataclass(frozen=True, slots=True)
class AdminPlan:
    """What the admin replica is told."""

    layout: Layout
    between: Between | None
    metrics_port: int | None
    """Where the node's metrics are read from other nodes."""
    store: StorePlan
    host: str
    port: int
    public_host: str
    public_port: int
    release: str
    environment: str
    log_json: bool
    failpoints: str
    operators: Operators
    webhooks: Mapping[str, WebhookPlan]
    policies: Path | None
    """A folder with policies of this installation."""


class AdminService:
    """The admin listener, from start to stop."""

    def __init__(self, plan: AdminPlan) -> None:
        self._plan = plan
        self._background = Background()

    async def start(self) -> Mapping[str, str]:
        """Open the store, then the port."""
        plan = self._plan
        self._prepare()
        clock, recorder = SystemClock(), PrometheusRecorder("admin")
        registry, public = PublishedVersions(plan.layout, recorder), url(plan.public_host, plan.public_port)
        self._store = store = await open_store(plan.store, clock)
        seen = SeenStore(store, SnapshotFile(plan.layout.snapshot))
        publishing = Publishing(Ed25519Signer(plan.layout.read_audit_key()), HeadFile(plan.layout.heads), recorder)
        auditing = Auditing(seen, publishing, clock)
        operations, policies = Operations(seen, store, store, registry, clock), PolicyHome(plan.policies)
        self._rollouts = rollouts = open_rollouts(plan.store)
        verification = Verification(seen, store, registry, PublicListener(public), clock)
        telling = Telling(OutboxFiles(plan.layout.outbox), tuple(plan.webhooks))
        held = HeldPolicies(policies)
        drill_book = DrillBook(operations, held, TrafficFile(plan.layout.traffic), clock)
        services = AdminServices(
            operations=operations,
            views=Views(seen, store, registry, seen.last_kept),
            keeping=Keeping(seen, store),
            manifests=registry,
            notes=registry,
            reseeding=Reseeding(seen, store, clock, kind=plan.store.kind),
            verification=verification,
            store=seen,
            acks=store,
            leadership=store,
            board=store,
            metrics=partial(scrape, plan.layout.metrics),
            auditing=auditing,
            entitlement=Entitlement(plan.operators, PolicyAuthorities(seen, policies)),
            correspondence=Correspondence(OutboxFiles(plan.layout.outbox), tuple(plan.webhooks), clock),
            desk=RolloutDesk(operations, Grounds(policies, store, rollouts, registry, plan.operators, drill_book.hindrances), clock),
            rollouts=RolloutViews(seen, rollouts, rollouts, policies, clock),
            drills=Drills(Means(operations, verification, clock, DrillNews(telling, operations, held, clock))),
            drill_book=drill_book,
            samples=PairSamples(seen, PairFiles(plan.layout.pairs)),
            clock=clock,
            callers=partial(callers_of, plan.layout.metrics),
        )
        await self._open(services, AdminSurface(public, plan.release, environment=plan.environment))
        self._background.start("audit", auditing.run)
        self._deliver(recorder)
        self._metrics = await self._open_metrics()
        return {}

    def _prepare(self) -> None:
        plan = self._plan
        configure_logs(json=plan.log_json, file=plan.layout.log)
        arm_failpoints(plan.failpoints, plan.layout)
        start_multiprocess(plan.layout.metrics)

    def _deliver(self, recorder: PrometheusRecorder) -> None:
        self._delivery = delivery_of(self._plan.layout, self._plan.webhooks, recorder, SystemClock())
        self._background.step("notices", DELIVERY_S, self._delivery.step)

    async def _open(self, services: AdminServices, surface: AdminSurface) -> None:
        config = uvicorn.Config(
            create_app(services, surface),
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
        self._listening = Listening(config)
        await self._listening.start(bound_socket(self._plan.host, self._plan.port, shared=False))

    async def _open_metrics(self) -> Listening | None:
        between, port = self._plan.between, self._plan.metrics_port
        if between is None or port is None:
            return None
        app = metrics_app(partial(scrape, self._plan.layout.metrics))
        config = uvicorn.Config(app, ws="none", lifespan="off", access_log=False, log_level="warning", server_header=False)
        listening = Listening(config)
        await listening.start(bound_socket(between.bound, port, shared=False))
        return listening

    async def stop(self) -> None:
        """Finish what is under way and close the port."""
        await self._listening.stop()
        await self._background.stop()
        await self._delivery.stop()
        if self._metrics is not None:
            await self._metrics.stop()
        await self._rollouts.close()
        await self._store.close()


def open_admin(plan: AdminPlan) -> AdminService:
    """What Ray is given to make the admin replica."""
    layout = settled(plan.layout, clustered=plan.between is not None)
    host = resolved(plan.host)
    if plan.host != host and not ip_address(host).is_loopback:
        raise AdminExposed(host)
    return AdminService(replace(plan, layout=layout, store=housed(plan.store, plan.layout, layout), host=host))
