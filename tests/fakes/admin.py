"""The admin API over fakes: published families, a fleet whose states a test sets, gateways that ack when told to."""

from collections.abc import Sequence

import httpx
from fastapi import FastAPI

from registry_client.versions import ModelVersion
from serving.api.services import AdminServices, AdminSurface
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
from serving.control.telling import Correspondence
from serving.control.verification import Verification
from serving.control.views import Views
from serving.core.authority import Operators
from serving.core.routing import Target
from serving.ports import Clock, GatewayAck, LoadState, LoadStatus
from serving.stores.signing import Ed25519Signer
from tests.fakes.admin_app import handed_app
from tests.fakes.clock import FakeClock
from tests.fakes.heads import FakeHeadLog, FakeHeadRecorder
from tests.fakes.hints import FakeHintRecorder, MemoryHints
from tests.fakes.node import MemorySnapshots
from tests.fakes.notices import MemoryNotifier, MemoryOutbox
from tests.fakes.pairs import MemoryShelf
from tests.fakes.profiles import MemoryProfiles
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.rollouts import FakeRollouts
from tests.fakes.store import FakeState, FakeStore

BASE = "http://127.0.0.1:8081"


class TickingClock(FakeClock):
    """A clock on which every look takes a second, so that whoever waits is soon done."""

    def monotonic(self) -> float:
        self.advance(1.0)
        return super().monotonic()


class AdminWorld:
    """Family `digits` with 1.0.0, 1.1.0 and 1.2.0 published; nothing loaded, nothing in production."""

    def __init__(self, clock: Clock | None = None, public_url: str = "http://127.0.0.1:8080", store: type[FakeStore] = FakeStore) -> None:
        self.clock = clock or TickingClock()
        self.state = FakeState()
        self.store = store(self.clock, self.state)
        self.registry = FakeRegistry(digits=("1.0.0", "1.1.0", "1.2.0"), customer_intent=("2.4.0",))
        self.public_url = public_url
        self.kept = MemorySnapshots()
        self.public = FakePublicSide(self.store, self.registry)
        self.heads = FakeHeadLog()
        self.operators = Operators()
        self.callers = dict[str, dict[str, dict[str, int]]]()
        self.webhooks: tuple[str, ...] = ()
        self.outbox = MemoryOutbox()
        self.rollouts = FakeRollouts()
        self.notifier = MemoryNotifier()
        self.profiles = MemoryProfiles()
        self.shelf = MemoryShelf()
        self.hint_secret: bytes | None = None
        self.hints, self.hinted = MemoryHints(), FakeHintRecorder()
        self.marks = FakeHeadRecorder()
        self.auditing = Auditing(self.store, Publishing(Ed25519Signer(b"k" * 32), self.heads, self.marks), self.clock)

    def app(self, hosts: frozenset[str] = frozenset()) -> FastAPI:
        store, callers = self.store, self.callers  # not the world itself: the application goes on when it is gone
        seen = SeenStore(store, self.kept)
        operations, policies = Operations(seen, store, store, self.registry, self.clock), PolicyHome()
        verification = Verification(seen, store, self.registry, self.public, self.clock)
        held = HeldPolicies(policies)
        drill_book = DrillBook(operations, held, self.profiles, self.clock)
        news = DrillNews(self.notifier, operations, held, self.clock)
        runbooks = Runbooks(operations, held, store, drill_book, self.clock)
        grounds = Grounds(policies, store, self.rollouts, self.registry, self.operators, runbooks.hindrances)
        desk = RolloutDesk(operations, grounds, self.clock)
        services = AdminServices(
            operations=operations,
            views=Views(seen, store, self.registry, seen.last_kept),
            keeping=Keeping(seen, store),
            manifests=self.registry,
            notes=self.registry,
            reseeding=Reseeding(seen, store, self.clock, kind="fake"),
            verification=verification,
            store=seen,
            acks=store,
            leadership=store,
            board=store,
            metrics=lambda: b"pointsman_epoch 1\n",
            auditing=self.auditing,
            entitlement=Entitlement(self.operators, PolicyAuthorities(seen, policies)),
            correspondence=Correspondence(self.outbox, self.webhooks, self.clock),
            desk=desk,
            rollouts=RolloutViews(seen, self.rollouts, self.rollouts, policies, self.registry, self.clock),
            drills=Drills(Means(operations, verification, self.clock, news)),
            rehearsing=Rehearsing(rehearsing.Means(operations, seen, held, self.registry, self.public, self.clock, news)),
            drill_book=drill_book,
            samples=PairSamples(seen, self.shelf),
            runbooks=runbooks,
            promotions=PromotionRequests(operations, desk, store, self.registry),
            hints=HintsTaken(self.hint_secret, self.hints, self.hinted, self.clock),
            clock=self.clock,
            callers=lambda family: callers.get(family, {}),
        )
        return handed_app(self, services, AdminSurface(self.public_url, "0.1.0", hosts, "staging"))

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app(), raise_app_exceptions=False), base_url=BASE)

    def runs(self, *versions: str, state: LoadState = LoadState.READY, detail: str = "") -> None:
        """Put versions of digits on the fleet's board, in place of what they were."""
        targets = [Target("digits", ModelVersion.parse(version), digest_of("digits", version)) for version in versions]
        others = [status for status in self.state.board if status.target not in targets]
        self.state.board = (*others, *(LoadStatus(target, state, detail, replicas=1) for target in targets))

    def stops(self, *versions: str) -> None:
        """Take versions of digits off the fleet's board: nothing of them is loaded any more."""
        self.state.board = [status for status in self.state.board if str(status.target.version) not in versions]

    async def gateway_serves(self, epoch: int, name: str = "gateway-1") -> None:
        await self.store.ack(GatewayAck(name, epoch, self.clock.now()))

    @property
    def actions(self) -> Sequence[tuple[str, str, str]]:
        """Action, actor and reason of every change, the first one first."""
        return [(entry.action, entry.actor, entry.reason) for entry in self.state.audit]
