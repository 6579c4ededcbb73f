"""Putting the controller together: the store, the fleet on Ray Serve, the gateways' reports and the policies it goes by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from serving.bootstrap.arming import arm_failpoints
from serving.bootstrap.background import Background
from serving.bootstrap.layout import Layout
from serving.bootstrap.registry import PublishedVersions
from serving.bootstrap.version import VersionPlan, open_version
from serving.control.controller import Controller, Policies, Surroundings
from serving.control.operations import Operations
from serving.core.routing import Target
from serving.dataplane.fleet import ServeFleet
from serving.dataplane.replicas import Service
from serving.stores.opening import StorePlan, open_store
from serving.telemetry.clock import SystemClock
from serving.telemetry.logs import configure_logs
from serving.telemetry.prometheus import PrometheusRecorder, start_multiprocess
from serving.telemetry.reports import DatagramObservations


@dataclass(frozen=True, slots=True)
class ControllerPlan:
    """What the controller replica is told."""

    layout: Layout
    store: StorePlan
    policies: Policies
    log_json: bool
    failpoints: str
    body_bytes: int
    spin: float


class ControllerService:
    """The control loop, from start to stop."""

    def __init__(self, plan: ControllerPlan) -> None:
        self._plan = plan
        self._background = Background()

    async def start(self) -> Mapping[str, str]:
        """Take over what runs already, then begin to look."""
        plan, clock = self._plan, SystemClock()
        configure_logs(json=plan.log_json, file=plan.layout.log)
        arm_failpoints(plan.failpoints, plan.layout)
        start_multiprocess(plan.layout.metrics)
        self._store = store = await open_store(plan.store, clock)
        self._observations = DatagramObservations(plan.layout.observations, clock)
        await self._observations.start()
        fleet = ServeFleet(self._opener)
        fleet.adopt([status.target for status in await store.read()])
        around = Surroundings(
            store=store,
            fleet=fleet,
            board=store,
            observations=self._observations,
            operations=Operations(store, store, store, PublishedVersions(plan.layout), clock),
            recorder=PrometheusRecorder("controller"),
            clock=clock,
        )
        self._background.start("controller", Controller(around, plan.policies).run)
        return {}

    async def stop(self) -> None:
        """Stop looking; what runs goes on running."""
        await self._background.stop()
        await self._observations.stop()
        await self._store.close()

    def _opener(self, target: Target) -> Callable[[], Service]:
        plan = self._plan
        return partial(open_version, VersionPlan(plan.layout, target, plan.log_json, plan.body_bytes, plan.spin))


def open_controller(plan: ControllerPlan) -> ControllerService:
    """What Ray is given to make the controller replica."""
    return ControllerService(plan)
