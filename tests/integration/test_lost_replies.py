"""A change whose answer is lost on the way back: asked again under the same Idempotency-Key, it happened once and everybody is told so."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest
from fastapi import FastAPI

from registry_client.versions import ModelVersion
from serving.api.admin import create_app
from serving.api.services import AdminServices, AdminSurface
from serving.control import rehearsing
from serving.control.auditing import Auditing, Publishing
from serving.control.drill_book import DrillBook
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
from serving.control.rollouts.desk import Grounds, RolloutDesk
from serving.control.rollouts.looking import RolloutViews
from serving.control.rollouts.sampling import PairSamples
from serving.control.runbooks import Runbooks
from serving.control.seen import SeenStore
from serving.control.telling import Correspondence
from serving.control.verification import Verification
from serving.control.views import Views
from serving.core.audit import verify_chain
from serving.core.authority import Operators
from serving.core.routing import Target
from serving.ports import LoadState, LoadStatus
from serving.stores.signing import Ed25519Signer
from serving.stores.sqlite import SqliteStore
from serving.telemetry.clock import SystemClock
from tests.fakes.admin_server import served
from tests.fakes.heads import FakeHeadLog, FakeHeadRecorder
from tests.fakes.hints import FakeHintRecorder, MemoryHints
from tests.fakes.node import MemorySnapshots
from tests.fakes.notices import MemoryOutbox
from tests.fakes.pairs import MemoryShelf
from tests.fakes.profiles import MemoryProfiles
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.rollouts import FakeRollouts
from tests.tools.fault_proxy import Done, FaultProxy, Faults

CHANGES = 50


@dataclass
class Site:
    """The admin API over the real store, with two versions of digits loaded."""

    store: SqliteStore
    app: FastAPI


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock, registry = SystemClock(), FakeRegistry(digits=("1.0.0", "1.1.0"))
    store = SqliteStore(tmp_path / "state.db", clock)
    await store.post([LoadStatus(target(version), LoadState.READY, replicas=1) for version in ("1.0.0", "1.1.0")])
    seen = SeenStore(store, MemorySnapshots())
    operations, policies, rollouts = Operations(seen, store, store, registry, clock), PolicyHome(), FakeRollouts()
    public = FakePublicSide(store, registry)
    verification = Verification(seen, store, registry, public, clock)
    desk, held = RolloutDesk(operations, Grounds(policies, store, rollouts, registry, Operators()), clock), HeldPolicies(policies)
    drill_book = DrillBook(operations, held, MemoryProfiles(), clock)
    services = AdminServices(
        operations=operations,
        views=Views(seen, store, registry, seen.last_kept),
        keeping=Keeping(store, store),
        manifests=registry,
        notes=registry,
        reseeding=Reseeding(seen, store, clock, kind="sqlite"),
        verification=verification,
        store=seen,
        acks=store,
        leadership=store,
        board=store,
        metrics=lambda: b"",
        auditing=Auditing(store, Publishing(Ed25519Signer(b"k" * 32), FakeHeadLog(), FakeHeadRecorder()), clock),
        clock=clock,
        callers=lambda _: {},
        entitlement=Entitlement(Operators()),
        correspondence=Correspondence(MemoryOutbox(), (), clock),
        desk=desk,
        rollouts=RolloutViews(seen, rollouts, rollouts, policies, registry, clock),
        drills=Drills(Means(operations, verification, clock)),
        samples=PairSamples(seen, MemoryShelf()),
        rehearsing=Rehearsing(rehearsing.Means(operations, seen, held, registry, public, clock)),
        drill_book=drill_book,
        runbooks=Runbooks(operations, held, store, drill_book, clock),
        promotions=PromotionRequests(operations, desk, store, registry),
        hints=HintsTaken(None, MemoryHints(), FakeHintRecorder(), clock),
    )
    yield Site(store, create_app(services, AdminSurface("http://127.0.0.1:9", "0.1.0")))
    await store.close()


def target(version: str) -> Target:
    return Target("digits", ModelVersion.parse(version), digest_of("digits", version))


async def change(client: httpx.AsyncClient, number: int) -> tuple[httpx.Response, int]:
    """Set a shadow's weight, asking again under the same key until there is an answer; it, and how many were lost."""
    body = {"version": "1.1.0", "weight": 1 + number, "reason": f"step {number}"}
    headers = {"If-Match": "*", "Idempotency-Key": f"change-{number}", "X-Actor": "ada"}
    lost = 0
    while True:
        try:
            return await client.put("/v1/families/digits/shadow", json=body, headers=headers), lost
        except httpx.TransportError:
            lost += 1
            assert lost < 50


async def test_changes_whose_answers_are_lost_happen_once_and_are_told_of_when_asked_again(site: Site) -> None:
    with served(site.app) as url:
        async with (
            FaultProxy(("127.0.0.1", httpx.URL(url).port or 0), Random(7)) as proxy,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as client,
        ):
            promoted = await client.post("/v1/families/digits/promote", json={"version": "1.0.0"}, headers={"If-Match": "*"})
            assert promoted.status_code == 200, promoted.text
            proxy.faults = Faults(drop_reply=0.5)
            answers = [await change(client, number) for number in range(CHANGES)]
            proxy.faults = Faults()
            lost_in_all = proxy.done[Done.DROPPED]

    assert lost_in_all > CHANGES // 4
    for number, (answer, lost) in enumerate(answers):
        told = answer.json()
        assert answer.status_code == 200, told
        assert (told["replayed"], told["revision"]) == (lost > 0, number + 2)
    entries = await site.store.entries(limit=1000)
    assert [entry.operation_id for entry in entries[1:]] == [f"change-{number}" for number in range(CHANGES)]
    assert verify_chain(entries, heads=[(await site.store.snapshot()).mark]).holds


async def test_a_key_that_was_used_for_another_change_is_refused_and_changes_nothing(site: Site) -> None:
    headers = {"If-Match": "*", "Idempotency-Key": "once"}
    transport = httpx.ASGITransport(site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as client:
        first = await client.post("/v1/families/digits/promote", json={"version": "1.0.0"}, headers=headers)
        other = await client.post("/v1/families/digits/promote", json={"version": "1.1.0"}, headers=headers)

    assert (first.status_code, other.status_code) == (200, 409)
    assert len(await site.store.entries(limit=10)) == 1
