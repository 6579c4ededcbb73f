"""One installation on this machine: the applications it consists of, and how they are started and stopped on Ray."""

import socket
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from serving.api.inference_http import ListenerLimits
from serving.bootstrap.admin import AdminPlan, open_admin
from serving.bootstrap.controller import ControllerPlan, open_controller
from serving.bootstrap.gateway import GatewayPlan, open_gateway
from serving.bootstrap.layout import CannotServe, Layout
from serving.control.controller import Policies
from serving.control.reconciler import LoadPolicy
from serving.core.policy import GuardPolicy
from serving.dataplane import fleet
from serving.dataplane.replicas import Service
from serving.gateway.predict import GatewayLimits
from serving.gateway.routes import RouteTimes
from serving.gateway.shadow import MirrorLimits
from serving.settings import Settings
from serving.stores.opening import StorePlan
from serving.stores.redis.plan import RedisPlan
from serving.stores.snapshot_file import refused_at

PORT_PATIENCE_S = 6.0
"""The replicas of an installation that was killed let go of their ports within three seconds."""


class PortTaken(CannotServe):
    """Somebody else listens where this installation should."""

    def __init__(self, host: str, port: int, option: str) -> None:
        self.hint = f"stop what listens there, or choose another port with {option}"
        super().__init__(f"{host}:{port} is taken")


def wait_for_ports(settings: Settings) -> None:
    """Raise `PortTaken` unless both ports are free. Gateways share theirs, so the kernel alone would not object."""
    until = time.monotonic() + PORT_PATIENCE_S
    for host, port, option in ((settings.host, settings.port, "--port"), (settings.admin_host, settings.admin_port, "--admin-port")):
        while not _is_free(host, port):
            if time.monotonic() > until:
                raise PortTaken(host, port, option)
            time.sleep(0.2)


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def start_applications(settings: Settings, layout: Layout) -> None:
    """Hand the gateways, the admin API and the controller to Serve; returns before they are up."""
    _run("gateway", settings.gateways, partial(open_gateway, _gateway_plan(settings, layout)))
    _run("admin", 1, partial(open_admin, _admin_plan(settings, layout)))
    _run("controller", settings.controllers, partial(open_controller, _controller_plan(settings, layout)))


def _run(name: str, replicas: int, open_service: Callable[[], Service]) -> None:
    fleet.run_application(name, fleet.deployment_options(name, replicas), open_service)


def release() -> str:
    """The version of this program."""
    return version("pointsman")


def public_url(settings: Settings) -> str:
    """Where predictions are asked for, from this machine."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def admin_url(settings: Settings) -> str:
    """Where the admin API answers."""
    host = f"[{settings.admin_host}]" if ":" in settings.admin_host else settings.admin_host
    return f"http://{host}:{settings.admin_port}"


def store_plan(settings: Settings, layout: Layout) -> StorePlan:
    """Which store this installation has, and how its processes reach it."""
    address, access = settings.redis_address, settings.redis
    redis = None if address is None else RedisPlan(address=address, **dict(access))
    return StorePlan(layout.state, traces=(layout.snapshot, refused_at(layout.snapshot)), redis=redis)


def _gateway_plan(settings: Settings, layout: Layout) -> GatewayPlan:
    limits, shadow = settings.limits, settings.shadow
    return GatewayPlan(
        layout=layout,
        store=store_plan(settings, layout),
        host=settings.host,
        port=settings.port,
        release=release(),
        log_json=settings.log_json,
        failpoints=settings.failpoints,
        listener=ListenerLimits(limits.body_bytes, limits.header_bytes, limits.headers, limits.receive_timeout, limits.idle_timeout),
        gateway=GatewayLimits(limits.request_timeout, limits.longest_request_timeout, limits.in_flight_per_version),
        mirror=MirrorLimits(shadow.in_flight, shadow.timeout, shadow.max_bytes),
        times=RouteTimes(lease=settings.guards.lease),
        spin=settings.spin_us / 1e6,
    )


def _admin_plan(settings: Settings, layout: Layout) -> AdminPlan:
    return AdminPlan(
        layout=layout,
        store=store_plan(settings, layout),
        host=settings.admin_host,
        port=settings.admin_port,
        public_url=public_url(settings),
        release=release(),
        log_json=settings.log_json,
        failpoints=settings.failpoints,
    )


def _controller_plan(settings: Settings, layout: Layout) -> ControllerPlan:
    guards = GuardPolicy(errors_in_a_row=settings.guards.errors_in_a_row, lease_seconds=settings.guards.lease)
    return ControllerPlan(
        layout=layout,
        store=store_plan(settings, layout),
        policies=Policies(guards, LoadPolicy(grace=settings.unload_grace)),
        log_json=settings.log_json,
        failpoints=settings.failpoints,
        lease=settings.leader_lease,
        body_bytes=settings.limits.body_bytes,
        spin=settings.spin_us / 1e6,
    )
