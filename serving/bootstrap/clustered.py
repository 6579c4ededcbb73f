"""An installation on the nodes of a Ray cluster that is there already: joined, surveyed, spread over, and kept so until a signal."""

import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from serving.bootstrap import installation
from serving.bootstrap.admin import open_admin
from serving.bootstrap.between import Between, settled
from serving.bootstrap.controller import open_controller
from serving.bootstrap.gateway import LAST_S, open_gateway
from serving.bootstrap.layout import CannotServe, Layout
from serving.bootstrap.progress import announce, start_log
from serving.bootstrap.spreading import ADMIN, CONTROLLER, GATEWAY, Application, Spread, named, owned
from serving.bootstrap.store_checks import look_at_store
from serving.bootstrap.surveying import FINGERPRINT, Question, Surveyor, UnfitNode
from serving.dataplane import cluster, fleet, nodes
from serving.dataplane.handshake import UnusableSecret
from serving.dataplane.nodes import Node
from serving.dataplane.trust import Certificate, UnusableCertificate
from serving.settings import Settings
from serving.telemetry.logs import configure_logs

LOOK_S = 1.0
"""Between two looks at which nodes are there."""


class NoCluster(CannotServe):
    """A Ray cluster that cannot be joined."""

    hint = "is `ray start` running on this machine, with the same token, and is --ray-address its head's?"


class StoreOfOneNode(CannotServe):
    """The embedded store, where gateways of other nodes could not read it."""

    hint = "name a Redis with --store redis://HOST:PORT/DB, or serve without --ray-address"

    def __init__(self, count: int) -> None:
        super().__init__(f"SQLite is on one node, and this cluster has {count}")


class UnusableFile(CannotServe):
    """The secret or the certificate of the cluster cannot be used."""

    def __init__(self, error: UnusableSecret | UnusableCertificate) -> None:
        self.hint = error.hint
        super().__init__(str(error))


def join(settings: Settings) -> None:
    """Join the cluster that the settings name. Raises `NoCluster`."""
    try:
        cluster.join(settings.ray_address or "auto", settings.cluster.node)
    except (ConnectionError, ValueError, RuntimeError) as error:
        msg = f"cannot join the Ray cluster at {settings.ray_address}: {error}"
        raise NoCluster(msg) from error


def serve(settings: Settings, layout: Layout, stopping: threading.Event) -> None:
    """Serve until a signal, then stop everything of this installation; other applications of the cluster are left alone.

    A start that is refused, or fails, stops no more than what it has started: somebody may depend on the rest.
    Raises `StoreOfOneNode`, `UnusableFile`, `UnfitNode`, and what a start on one node does.
    """
    spread: Spread | None = None
    try:
        one = _Installation(settings, layout)
        spread = one.spread
        one.keep(stopping)
    except BaseException:
        _say("stopping what was started")
        cluster.leave(lambda: () if spread is None else spread.started)
        raise
    _say("stopping")
    cluster.leave(owned)


class _Installation:
    """What is started where."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings = settings
        self._layout = layout
        own = settings.cluster
        certificate = None if own.certificate is None or own.key is None else Certificate(own.certificate.absolute(), own.key.absolute())
        self._between = Between(settings.cluster_secret, certificate, own.bind, own.advertise)
        self._surveyor = Surveyor(self._question())
        self.spread = Spread(self._wanted)
        self._trouble = ""

    def keep(self, stopping: threading.Event) -> None:
        """Start everything, say where it answers, and follow the nodes that come and go."""
        settings = self._settings
        living = self._living()
        if len(living) > 1 and installation.is_embedded(settings):
            raise StoreOfOneNode(len(living))
        for node, complaint in self._surveyor.complaints(living).items():
            if complaint:
                raise UnfitNode(node, complaint)
        installation.refuse_unusable_webhooks(settings, self._layout)
        installation.refuse_unusable_keys(self._layout)
        log = settled(self._layout, clustered=True).log
        start_log(log)
        configure_logs(json=settings.log_json, file=log)
        look_at_store(installation.store_plan(settings, self._layout))
        announce(settings, log, stopping, self.spread.step(living))
        while not stopping.wait(LOOK_S):
            self._follow()

    def _living(self) -> Sequence[Node]:
        return nodes.alive(self._settings.cluster.resource)

    def _follow(self) -> None:
        """One look; a head that does not answer is asked again at the next."""
        try:
            living = self._living()
            if installation.is_embedded(self._settings):
                living = living[:1]
            complaints = self._surveyor.complaints(living)
            self.spread.step([node for node in living if not complaints[node]])
        except Exception as error:  # noqa: BLE001 - the top of a loop: whatever Ray's head raises, the gateways serve on
            if self._trouble != repr(error):
                _say(f"cannot look after the cluster: {error}")
            self._trouble = repr(error)
        else:
            self._trouble = ""

    def _question(self) -> Question:
        try:
            self._between.trust()
            return Question(self._layout, self._between, installation.release(), self._between.key(FINGERPRINT))
        except (UnusableSecret, UnusableCertificate) as error:
            raise UnusableFile(error) from error

    def _wanted(self, living: Sequence[Node]) -> Mapping[str, Application]:
        settings, layout = self._settings, self._layout
        controller_plan = installation.controller_plan(settings, layout, self._between)
        controller = named(CONTROLLER, controller_plan)
        between = self._between.with_controller(controller)
        gateway_plan = installation.gateway_plan(settings, layout, between)
        admin_plan = installation.admin_plan(settings, layout, between)
        options = (
            fleet.deployment_options(CONTROLLER, settings.controllers, nodes.pinned_to_any(settings.cluster.resource)) | fleet.watched()
        )
        wanted = {controller: Application(CONTROLLER, options, partial(open_controller, controller_plan))}
        for node in living:
            gateways = fleet.deployment_options(GATEWAY, settings.gateways, nodes.pinned_to(node), last_s=LAST_S)
            wanted[named(GATEWAY, gateway_plan, node)] = Application(GATEWAY, gateways, partial(open_gateway, gateway_plan), node)
            admins = fleet.deployment_options(ADMIN, 1, nodes.pinned_to(node))
            wanted[named(ADMIN, admin_plan, node)] = Application(ADMIN, admins, partial(open_admin, admin_plan), node)
        return wanted


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - to the person at the terminal
