"""Putting the admin API together: the use cases over the store, on a listener of its own."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

import uvicorn

from serving.api.admin import create_app
from serving.api.metrics import metrics_app
from serving.api.services import AdminServices, AdminSurface
from serving.bootstrap.admin_services import AdminPlan, Base, services_of
from serving.bootstrap.arming import arm_failpoints
from serving.bootstrap.background import Background
from serving.bootstrap.between import housed, resolved, settled, url
from serving.bootstrap.listening import Listening, bound_socket
from serving.bootstrap.registry import PublishedVersions
from serving.bootstrap.telling import DELIVERY_S, delivery_of
from serving.bootstrap.violating import VIOLATIONS_S, violation_watch
from serving.stores.opening import open_hints, open_rollouts, open_store
from serving.telemetry.clock import SystemClock
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, scrape, start_multiprocess


class AdminExposed(Exception):
    """The admin API would listen where others reach it, with no authentication."""

    def __init__(self, host: str) -> None:
        super().__init__(f"admin_host is this node's address, {host}, which is not on loopback")


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
        self._store, self._rollouts, self._hints = await open_store(plan.store, clock), open_rollouts(plan.store), open_hints(plan.store)
        base = Base(self._store, self._rollouts, self._hints, PublishedVersions(plan.layout, recorder), recorder, clock)
        services, public = services_of(plan, base), url(plan.public_host, plan.public_port)
        await self._open(services, AdminSurface(public, plan.release, environment=plan.environment))
        self._background.start("audit", services.auditing.run)
        self._background.step("violations", VIOLATIONS_S, violation_watch(plan, base).step)
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
        await self._hints.close()
        await self._store.close()


def open_admin(plan: AdminPlan) -> AdminService:
    """What Ray is given to make the admin replica."""
    layout = settled(plan.layout, clustered=plan.between is not None)
    host = resolved(plan.host)
    if plan.host != host and not ip_address(host).is_loopback:
        raise AdminExposed(host)
    return AdminService(replace(plan, layout=layout, store=housed(plan.store, plan.layout, layout), host=host))
