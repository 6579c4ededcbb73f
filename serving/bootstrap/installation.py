"""One installation on this machine: the applications it consists of, and how they are started and stopped on Ray."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from registry_client.signing import UnusableKey
from registry_client.trust import read_trust
from serving.api.inference_http import ListenerLimits
from serving.bootstrap.admin import open_admin
from serving.bootstrap.admin_services import AdminPlan
from serving.bootstrap.between import Between, url
from serving.bootstrap.controller import ControllerPlan, open_controller
from serving.bootstrap.gateway import LAST_S, GatewayPlan, open_gateway
from serving.bootstrap.layout import CannotServe, Layout
from serving.bootstrap.telling import WebhookPlan, hint_secret_of, webhooks_of
from serving.control.controller import Policies
from serving.control.following_aliases import Following
from serving.control.reconciler import LoadPolicy
from serving.core.authority import Operators
from serving.core.policy import GuardPolicy
from serving.dataplane import fleet
from serving.dataplane.placement import Placement
from serving.dataplane.replicas import Service
from serving.gateway.predict import GatewayLimits
from serving.gateway.routes import RouteTimes
from serving.gateway.shadow import MirrorLimits
from serving.settings import Settings
from serving.stores.opening import StorePlan
from serving.stores.redis.plan import RedisPlan
from serving.stores.snapshot_file import refused_at

OWN = ("gateway", "admin", "controller")
"""The applications of an installation on one node."""


class UnusableTrust(CannotServe):
    """A key that signatures are held against and that cannot be read."""

    hint = "signatures.keys names files with public Ed25519 keys in PEM, such as `pointsman keys new` writes"


def start_applications(settings: Settings, layout: Layout) -> None:
    """Hand the gateways, the admin API and the controller to Serve; returns before they are up."""
    options = fleet.deployment_options("gateway", settings.gateways, last_s=LAST_S)
    fleet.run_application("gateway", options, partial(open_gateway, gateway_plan(settings, layout)))
    _run("admin", 1, partial(open_admin, admin_plan(settings, layout)))
    _run("controller", settings.controllers, partial(open_controller, controller_plan(settings, layout)))


def _run(name: str, replicas: int, open_service: Callable[[], Service]) -> None:
    fleet.run_application(name, fleet.deployment_options(name, replicas), open_service)


def is_embedded(settings: Settings) -> bool:
    """Whether the state store is a file of one node."""
    return settings.redis_address is None


def release() -> str:
    """The version of this program."""
    return version("pointsman")


def public_url(settings: Settings) -> str:
    """Where predictions are asked for, from this node."""
    return url(settings.host, settings.port)


def admin_url(settings: Settings) -> str:
    """Where the admin API answers, on this node."""
    return url(settings.admin_host, settings.admin_port)


def refuse_unusable_webhooks(settings: Settings, layout: Layout) -> None:
    """Raise `UnusableWebhook` or `UnusableHintSecret` when one could not be signed or known: better now than when it is to be told."""
    plan = admin_plan(settings, layout)
    webhooks_of(plan.webhooks)
    hint_secret_of(plan.hint_secret)


def refuse_unusable_keys(layout: Layout) -> None:
    """Raise `UnusableTrust` when a key that signatures are held against cannot be read: better now than when a version is to be loaded."""
    try:
        read_trust(layout.registry.trust)
    except UnusableKey as error:
        raise UnusableTrust(str(error)) from error


def store_plan(settings: Settings, layout: Layout) -> StorePlan:
    """Which store this installation has, and how its processes reach it."""
    address, access = settings.redis_address, settings.redis
    redis = None if address is None else RedisPlan(address=address, **dict(access))
    return StorePlan(layout.state, traces=(layout.snapshot, refused_at(layout.snapshot)), redis=redis)


def gateway_plan(settings: Settings, layout: Layout, between: Between | None = None) -> GatewayPlan:
    """What gateways are told; `between` on a cluster."""
    limits, shadow = settings.limits, settings.shadow
    return GatewayPlan(
        layout=layout,
        between=between,
        store=store_plan(settings, layout),
        host=settings.host,
        port=settings.port,
        release=release(),
        environment=settings.environment,
        log_json=settings.log_json,
        failpoints=settings.failpoints,
        listener=ListenerLimits(
            limits.body_bytes, limits.header_bytes, limits.headers, limits.receive_timeout, limits.idle_timeout, limits.held_bytes
        ),
        gateway=GatewayLimits(limits.request_timeout, limits.longest_request_timeout, limits.in_flight_per_version),
        mirror=MirrorLimits(shadow.in_flight, shadow.timeout, shadow.max_bytes),
        mirror_yields=shadow.yields,
        times=RouteTimes(lease=settings.guards.lease),
        spin=settings.spin_us / 1e6,
    )


def admin_plan(settings: Settings, layout: Layout, between: Between | None = None) -> AdminPlan:
    """What admin replicas are told."""
    hint_secret = settings.registry_access.webhook_secret_file
    return AdminPlan(
        layout=layout,
        between=between,
        metrics_port=settings.cluster.metrics_port,
        store=store_plan(settings, layout),
        host=settings.admin_host,
        port=settings.admin_port,
        public_host=settings.host,
        public_port=settings.port,
        release=release(),
        environment=settings.environment,
        log_json=settings.log_json,
        failpoints=settings.failpoints,
        operators=Operators(settings.operators),
        webhooks={
            name: WebhookPlan(one.url.get_secret_value(), one.form, None if one.secret_file is None else one.secret_file.absolute())
            for name, one in settings.webhooks.items()
        },
        policies=None if settings.policies is None else settings.policies.absolute(),
        hint_secret=None if hint_secret is None else hint_secret.absolute(),
    )


def _following(settings: Settings) -> Following | None:
    access = settings.registry_access
    return Following(access.follow_alias, access.follow_every) if access.follow_alias else None


def controller_plan(settings: Settings, layout: Layout, between: Between | None = None) -> ControllerPlan:
    """What the controller is told."""
    guards = GuardPolicy(errors_in_a_row=settings.guards.errors_in_a_row, lease_seconds=settings.guards.lease)
    return ControllerPlan(
        layout=layout,
        between=between,
        placement=Placement() if between is None else Placement(settings.cluster.replicas, settings.cluster.resource),
        store=store_plan(settings, layout),
        policy_folder=None if settings.policies is None else settings.policies.absolute(),
        policies=Policies(guards, LoadPolicy(grace=settings.unload_grace)),
        log_json=settings.log_json,
        failpoints=settings.failpoints,
        lease=settings.leader_lease,
        body_bytes=settings.limits.body_bytes,
        spin=settings.spin_us / 1e6,
        public_host=settings.host,
        public_port=settings.port,
        webhooks=tuple(settings.webhooks),
        operators=Operators(settings.operators),
        following=_following(settings),
        takes_hints=settings.registry_access.webhook_secret_file is not None,
    )
