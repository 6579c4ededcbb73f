"""The fleet on Ray Serve: one application for each loaded version, started and stopped by the controller, never redeployed."""

import asyncio
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray import serve
from ray.serve.api import RunTarget
from ray.serve.config import RequestRouterConfig
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeStatus

from serving.core.routing import Target
from serving.dataplane.membership import DEPLOYMENT, application_of
from serving.dataplane.nodes import pinned_to_any
from serving.dataplane.placement import Placement
from serving.dataplane.replicas import Replica, Service
from serving.ports import LoadState, LoadStatus

HEALTH_PERIOD_S = 0.5
"""Serve finds a killed replica at the next health check. At 0.2 s the checks alone cost each replica 2 % of a core."""

STOP_S = 5.0
"""How long a replica may take to stop, unless its deployment says otherwise."""

RUNNING = "RUNNING"
"""Ray's name of the state of a replica that is up."""

CONSTRUCTOR_TRIES = 1
"""Loading is deterministic; trying again is the controller's decision, with its own backoff."""

_STATES = {
    ApplicationStatus.NOT_STARTED: LoadState.LOADING,
    ApplicationStatus.DEPLOYING: LoadState.LOADING,
    ApplicationStatus.RUNNING: LoadState.READY,
    ApplicationStatus.UNHEALTHY: LoadState.LOADING,
    ApplicationStatus.DEPLOY_FAILED: LoadState.FAILED,
    ApplicationStatus.DELETING: LoadState.UNLOADING,
}

ROUTER: Any = "serving.dataplane.discovery_router:DiscoveryRouter"  # Ray takes an import path, and says so nowhere in its types

_ANSI = re.compile(r"\x1b\[[0-9;]*m")

_deployment: Any = serve.deployment(Replica)  # Ray's decorator is typed as returning the class

# Ray registers and unregisters modules on a global while an application is built: 380 errors in 800 builds from four threads.
_building = threading.Lock()


def deployment_options(name: str, replicas: int, pins: Mapping[str, float] | None = None, *, last_s: float = STOP_S) -> dict[str, object]:
    """How every deployment of ours is kept: checked often, stopped fast, never restarted by a redeploy of the same.

    `pins` are resources of nodes that keep its replicas there, `last_s` the seconds that a replica may go on once it is told to stop.
    """
    return {
        "name": name,
        "num_replicas": replicas,
        "ray_actor_options": {"num_cpus": 0, "resources": dict(pins or {})},
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": 60.0,
        "graceful_shutdown_timeout_s": last_s,
        "graceful_shutdown_wait_loop_s": 0.05,
    }


def run_application(name: str, options: dict[str, object], open_service: Callable[[], Service]) -> None:
    """Hand an application to Serve; returns at once."""
    with _building:
        application = _deployment.options(**options).bind(open_service)
        target = RunTarget(application, name=name, route_prefix=None)
        serve.run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)


def watched() -> dict[str, object]:
    """The option of a deployment whose replicas tell others where they are."""
    with _building:
        return {"request_router_config": RequestRouterConfig(request_router_class=ROUTER)}


class ServeFleet:
    """Loads and unloads versions; the `Fleet` of the controller. `progress`: what a version that loads says of it, by its digest."""

    def __init__(self, opener: Callable[[Target], Callable[[], Service]], placement: Placement, progress: Callable[[str], str]) -> None:
        self._opener = opener
        self._placement = placement
        self._progress = progress
        self._targets: dict[str, Target] = {}

    async def load(self, target: Target) -> None:
        """Start a version's application, unless it runs or is on its way; `states` tells how far it is."""
        application = application_of(target.digest)
        self._targets[application] = target
        # Handing Serve an application that it has would restart its replicas.
        if any(status.target == target and status.state is not LoadState.FAILED for status in await self.states()):
            return
        await asyncio.to_thread(self._run, application, target)

    async def unload(self, target: Target) -> None:
        """Stop a version's application."""
        await asyncio.to_thread(serve.delete, application_of(target.digest), _blocking=False)

    async def states(self) -> Sequence[LoadStatus]:
        """What Serve says of every version's application that this controller knows."""
        status = await asyncio.to_thread(_status_of_all)
        known = ((application, overview) for application, overview in status.applications.items() if application in self._targets)
        return [self._status(application, overview) for application, overview in known]

    def adopt(self, targets: Sequence[Target]) -> None:
        """Know versions that were loaded before this controller started."""
        self._targets.update({application_of(target.digest): target for target in targets})

    def _run(self, application: str, target: Target) -> None:
        place = self._placement
        options = deployment_options(DEPLOYMENT, place.replicas, pinned_to_any(place.resource))
        options |= {"max_constructor_retry_count": CONSTRUCTOR_TRIES, "max_replicas_per_node": place.most_per_node()}
        run_application(application, options | watched(), self._opener(target))

    def _status(self, application: str, overview: ApplicationStatusOverview) -> LoadStatus:
        deployment = overview.deployments.get(DEPLOYMENT)
        states = {} if deployment is None else deployment.replica_states
        running = sum(count for each, count in states.items() if each == RUNNING)
        state = _STATES[overview.status]
        if state is LoadState.LOADING and running:
            state = LoadState.READY  # one that runs has passed its golden examples and answers; others may be on their way
        target = self._targets[application]
        detail = "" if deployment is None or state is LoadState.READY else last_sentence(deployment.message)
        if state is LoadState.LOADING:
            detail = self._progress(target.digest) or detail
        return LoadStatus(target, state, detail, running)


def _status_of_all() -> ServeStatus:
    # What Serve answers holds every router's config, and to read one is to build one.
    with _building:
        return serve.status()


def last_sentence(message: str) -> str:
    """The reason in a traceback of Ray's: the error's own sentence, without colours, paths and frames."""
    lines = [line.strip() for line in _ANSI.sub("", message).splitlines() if line.strip()]
    if not lines:
        return ""
    _, separator, sentence = lines[-1].partition(": ")
    return sentence if separator else lines[-1]
