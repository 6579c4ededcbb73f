"""What the admin API is built on: the use cases and ports it answers from, handed in by whoever starts it."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.api.reading import Callers
from serving.control.auditing import Auditing
from serving.control.drill_book import DrillBook
from serving.control.entitlement import Entitlement
from serving.control.hinting import HintsTaken
from serving.control.keeping import Keeping
from serving.control.operations import Operations
from serving.control.practising import Drills
from serving.control.promotions import PromotionRequests
from serving.control.rehearsing import Rehearsing
from serving.control.reseeding import Reseeding
from serving.control.rollouts.desk import RolloutDesk
from serving.control.rollouts.looking import RolloutViews
from serving.control.rollouts.sampling import PairSamples
from serving.control.runbooks import Runbooks
from serving.control.telling import Correspondence
from serving.control.verification import Verification
from serving.control.views import Views
from serving.ports import Acks, Clock, FleetBoard, Leadership, Manifests, Notes, StateStore


@dataclass(frozen=True, slots=True)
class AdminServices:
    """The use cases and ports behind the routes. `metrics` renders the node's Prometheus text."""

    operations: Operations
    views: Views
    keeping: Keeping
    manifests: Manifests
    notes: Notes
    reseeding: Reseeding
    verification: Verification
    store: StateStore
    acks: Acks
    leadership: Leadership
    board: FleetBoard
    metrics: Callable[[], bytes]
    auditing: Auditing
    entitlement: Entitlement
    correspondence: Correspondence
    desk: RolloutDesk
    rollouts: RolloutViews
    drills: Drills
    rehearsing: Rehearsing
    drill_book: DrillBook
    samples: PairSamples
    runbooks: Runbooks
    promotions: PromotionRequests
    hints: HintsTaken
    clock: Clock
    callers: Callers


@dataclass(frozen=True, slots=True)
class AdminSurface:
    """How the listener presents itself. `hosts`: names it answers for beside loopback."""

    public_url: str
    version: str
    hosts: frozenset[str] = frozenset()
    environment: str = "default"
    """Which installation this is, among those of one team."""
