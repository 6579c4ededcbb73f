"""Putting the admin API together: the use cases over the store, on a listener of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import uvicorn

from serving.api.admin import create_app
from serving.api.probing import PublicListener
from serving.api.services import AdminServices, AdminSurface
from serving.bootstrap.arming import arm_failpoints
from serving.bootstrap.background import Background
from serving.bootstrap.layout import Layout
from serving.bootstrap.listening import Listening, bound_socket
from serving.bootstrap.registry import PublishedVersions
from serving.control.auditing import Auditing, Publishing
from serving.control.operations import Operations
from serving.control.reseeding import Reseeding
from serving.control.seen import SeenStore
from serving.control.verification import Verification
from serving.control.views import Views
from serving.stores.head_log import HeadFile
from serving.stores.opening import StorePlan, open_store
from serving.stores.signing import Ed25519Signer
from serving.stores.snapshot_file import SnapshotFile
from serving.telemetry.clock import SystemClock
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, scrape, start_multiprocess


@dataclass(frozen=True, slots=True)
class AdminPlan:
    """What the admin replica is told."""

    layout: Layout
    store: StorePlan
    host: str
    port: int
    public_url: str
    release: str
    log_json: bool
    failpoints: str


class AdminService:
    """The admin listener, from start to stop."""

    def __init__(self, plan: AdminPlan) -> None:
        self._plan = plan
        self._background = Background()

    async def start(self) -> Mapping[str, str]:
        """Open the store, then the port."""
        plan = self._plan
        configure_logs(json=plan.log_json, file=plan.layout.log)
        arm_failpoints(plan.failpoints, plan.layout)
        start_multiprocess(plan.layout.metrics)
        clock = SystemClock()
        registry = PublishedVersions(plan.layout)
        self._store = store = await open_store(plan.store, clock)
        seen = SeenStore(store, SnapshotFile(plan.layout.snapshot))
        publishing = Publishing(Ed25519Signer(plan.layout.read_audit_key()), HeadFile(plan.layout.heads), PrometheusRecorder("admin"))
        auditing = Auditing(seen, publishing, clock)
        services = AdminServices(
            operations=Operations(seen, store, store, registry, clock),
            views=Views(seen, store, registry, seen.last_kept),
            manifests=registry,
            reseeding=Reseeding(seen, store, clock, kind=plan.store.kind),
            verification=Verification(seen, store, registry, PublicListener(plan.public_url), clock),
            store=seen,
            acks=store,
            leadership=store,
            board=store,
            metrics=partial(scrape, plan.layout.metrics),
            auditing=auditing,
            clock=clock,
        )
        app = create_app(services, AdminSurface(plan.public_url, plan.release))
        config = uvicorn.Config(
            app, ws="none", lifespan="off", access_log=False, log_level="warning", server_header=False, timeout_graceful_shutdown=3
        )
        self._listening = Listening(config)
        await self._listening.start(bound_socket(plan.host, plan.port, shared=False))
        self._background.start("audit", auditing.run)
        return {}

    async def stop(self) -> None:
        """Finish what is under way and close the port."""
        await self._listening.stop()
        await self._background.stop()
        await self._store.close()


def open_admin(plan: AdminPlan) -> AdminService:
    """What Ray is given to make the admin replica."""
    return AdminService(plan)
