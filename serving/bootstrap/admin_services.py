"""What the admin API answers from: the use cases over the store, put together from the plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serving.api.probing import PublicListener
from serving.api.services import AdminServices
from serving.bootstrap.between import Between, url
from serving.bootstrap.layout import Layout
from serving.bootstrap.registry import PublishedVersions
from serving.bootstrap.telling import WebhookPlan, hint_secret_of
from serving.control import rehearsing
from serving.control.auditing import Auditing, Publishing
from serving.control.drill_book import DrillBook
from serving.control.drill_news import DrillNews
from serving.control.entitlement import Entitlement
from serving.control.hinting import HintsTaken
from serving.control.keeping import Keeping
from serving.control.operations import Operations
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.practising import Drills, Means
from serving.control.promotions import PromotionRequests
from serving.control.rehearsing import Rehearsing
from serving.control.reseeding import Reseeding
from serving.control.rollouts.authorities import PolicyAuthorities
from serving.control.rollouts.desk import Grounds, RolloutDesk
from serving.control.rollouts.looking import RolloutViews
from serving.control.rollouts.sampling import PairSamples
from serving.control.runbooks import Runbooks
from serving.control.seen import SeenStore
from serving.control.telling import Correspondence, Telling
from serving.control.verification import Verification
from serving.control.views import Views
from serving.core.authority import Operators
from serving.ports import Clock
from serving.stores.head_log import HeadFile
from serving.stores.opening import OpenHints, Rollouts, Store, StorePlan
from serving.stores.outbox import OutboxFiles
from serving.stores.pair_files import PairFiles
from serving.stores.signing import Ed25519Signer
from serving.stores.snapshot_file import SnapshotFile
from serving.stores.traffic_file import TrafficFile
from serving.telemetry.callers import callers_of
from serving.telemetry.prometheus import PrometheusRecorder, scrape


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
    hint_secret: Path | None
    """What the registry's webhooks are known by; None where none are taken."""


@dataclass(frozen=True, slots=True)
class Base:
    """What is opened before anything is put together."""

    store: Store
    rollouts: Rollouts
    hints: OpenHints
    registry: PublishedVersions
    recorder: PrometheusRecorder
    clock: Clock


def _auditing(seen: SeenStore, base: Base, layout: Layout) -> Auditing:
    publishing = Publishing(Ed25519Signer(layout.read_audit_key()), HeadFile(layout.heads), base.recorder)
    return Auditing(seen, publishing, base.clock)


def services_of(plan: AdminPlan, base: Base) -> AdminServices:
    """Everything behind the routes."""
    store, registry, clock, layout = base.store, base.registry, base.clock, plan.layout
    seen = SeenStore(store, SnapshotFile(layout.snapshot))
    operations, policies = Operations(seen, store, store, registry, clock), PolicyHome(plan.policies)
    public = PublicListener(url(plan.public_host, plan.public_port))
    verification = Verification(seen, store, registry, public, clock)
    outbox, webhooks, held = OutboxFiles(layout.outbox), tuple(plan.webhooks), HeldPolicies(policies)
    drill_book = DrillBook(operations, held, TrafficFile(layout.traffic), clock)
    runbooks = Runbooks(operations, held, store, drill_book, clock)
    news = DrillNews(Telling(outbox, webhooks), operations, held, clock)
    desk = RolloutDesk(operations, Grounds(policies, store, base.rollouts, registry, plan.operators, runbooks.hindrances), clock)
    return AdminServices(
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
        metrics=partial(scrape, layout.metrics),
        auditing=_auditing(seen, base, layout),
        entitlement=Entitlement(plan.operators, PolicyAuthorities(seen, policies)),
        correspondence=Correspondence(outbox, webhooks, clock),
        desk=desk,
        rollouts=RolloutViews(seen, base.rollouts, base.rollouts, policies, registry, clock),
        drills=Drills(Means(operations, verification, clock, news)),
        rehearsing=Rehearsing(rehearsing.Means(operations, seen, held, registry, public, clock, news)),
        drill_book=drill_book,
        samples=PairSamples(seen, PairFiles(layout.pairs)),
        runbooks=runbooks,
        promotions=PromotionRequests(operations, desk, store, registry),
        hints=HintsTaken(hint_secret_of(plan.hint_secret), base.hints, base.recorder, clock),
        clock=clock,
        callers=partial(callers_of, layout.metrics),
    )
