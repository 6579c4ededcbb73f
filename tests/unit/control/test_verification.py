"""What proves a flip, and what is missing when it is not proven, over the fake store and a fake public side."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from registry_client.errors import UnknownVersion
from registry_client.golden import GoldenExample
from registry_client.versions import ModelVersion
from serving.control.operations import Author, Operations
from serving.control.verification import PROBES, Verification
from serving.core.errors import StoreUnavailable, UnknownChange, UnknownFamilyRecord
from serving.core.routing import Target
from serving.ports import Departed, GatewayAck, LoadState, LoadStatus, PublicAnswer
from tests.fakes.clock import FakeClock
from tests.fakes.public_side import FakePublicSide
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.store import FakeStore

V1, V2 = ModelVersion.parse("1.0.0"), ModelVersion.parse("1.1.0")


def target(version: ModelVersion) -> Target:
    return Target("digits", version, digest_of("digits", str(version)))


class HastyClock(FakeClock):
    """Whoever waits looks at the monotonic clock, and each look takes a second; gateways tell the time by the other."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return super().monotonic() + self._looks


class Site:
    """digits: 1.0.0, then 1.1.0 in production, then rolled back at epoch 3."""

    def __init__(self) -> None:
        self.clock = HastyClock()
        self.store = FakeStore(self.clock)
        self.registry = FakeRegistry(digits=["1.0.0", "1.1.0"])
        self.public = FakePublicSide(self.store, self.registry)
        self.verification = Verification(self.store, self.store, self.registry, self.public, self.clock)
        self.operations = Operations(self.store, self.store, self.store, self.registry, self.clock)

    async def begin(self) -> None:
        await self.store.post([LoadStatus(target(version), LoadState.READY) for version in (V1, V2)])
        await self.operations.promote("digits", V1, Author("ada", "", "op-1"))
        await self.operations.promote("digits", V2, Author("ada", "", "op-2"))
        await self.operations.rollback("digits", Author("ada", "INC-1", "op-3"))

    async def serves(self, gateway: str, epoch: int = 3, **said: Any) -> None:
        now = self.clock.now()
        await self.store.ack(replace(GatewayAck(gateway, epoch, now, since=now), **said))


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.begin()
    return site


async def test_a_flip_is_proven_by_every_gateway_and_by_golden_examples(site: Site) -> None:
    # given
    await site.serves("one")
    await site.serves("other")

    # when
    proof = await site.verification.verify("digits", timeout=5)

    # then
    assert (proof.is_given, proof.missing) == (True, ())
    assert (proof.epoch, proof.action, proof.production) == (3, "rollback", V1)
    assert [gateway.gateway for gateway in proof.gateways] == ["one", "other"]
    assert [(probe.version, probe.epoch, probe.fault) for probe in proof.probes] == [("1.0.0", 3, "")] * PROBES
    moments = proof.moments
    assert moments.acked is not None
    assert moments.verified is not None
    assert moments.asked <= moments.acked <= moments.verified
    assert moments.last_stray is None


async def test_a_gateway_that_is_behind_is_named(site: Site) -> None:
    await site.serves("one")
    await site.serves("slow", 2)

    proof = await site.verification.verify("digits", timeout=2)

    assert "epoch 3 is not served by slow" in proof.missing
    assert (proof.moments.acked, proof.moments.verified) == (None, None)


async def test_without_a_live_gateway_nothing_is_proven_and_the_lapsed_one_is_shown(site: Site) -> None:
    await site.serves("dead")
    site.clock.advance(60)

    proof = await site.verification.verify("digits", timeout=0)

    assert "no gateway is live" in proof.missing
    assert [(gateway.gateway, gateway.lapsed) for gateway in proof.gateways] == [("dead", True)]


async def test_requests_under_way_with_a_version_that_left_are_waited_for_and_told(site: Site) -> None:
    left = Departed(target(V2), epoch=3, in_flight=2, strays=1, last_stray=site.clock.now())
    await site.serves("one", departed=(left,))

    proof = await site.verification.verify("digits", timeout=2)

    assert proof.missing == ("one still has 2 requests with 1.1.0",)
    assert (proof.gateways[0].in_flight, proof.gateways[0].strays, proof.departed) == (2, 1, (V2,))


async def test_late_answers_that_are_over_are_told_and_do_not_stand_in_the_way(site: Site) -> None:
    at = site.clock.now()
    await site.serves("one", departed=(Departed(target(V2), epoch=3, in_flight=0, strays=4, last_stray=at),))

    proof = await site.verification.verify("digits", timeout=2)

    assert proof.is_given
    assert (proof.gateways[0].strays, proof.moments.last_stray) == (4, at)


async def test_what_left_before_or_belongs_to_another_family_is_no_concern_of_this_flip(site: Site) -> None:
    other = Target("intents", V1, "ab" * 32)
    departed = (Departed(target(V1), 2, in_flight=0, strays=7, last_stray=site.clock.now()), Departed(other, 3, in_flight=3, strays=0))
    await site.serves("one", departed=departed)

    proof = await site.verification.verify("digits", timeout=2)

    assert proof.is_given
    assert proof.gateways[0].strays == 0


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (PublicAnswer(200, "1.1.0", 3, {}), "answered by 1.1.0, which has no part in it"),
        (PublicAnswer(200, "1.0.0", 2, {}), "answered by the routes of epoch 2"),
        (PublicAnswer(200, "1.0.0", None, {}), "answered by the routes of epoch None"),
        (PublicAnswer(503, trouble="no replica"), "answered with 503: no replica"),
        (PublicAnswer(trouble="connection refused"), "not answered: connection refused"),
        (PublicAnswer(200, "1.0.0", 3, {"label": "wrong", "score": 0.5}), "$.label: expected '1.0.0: 0', got 'wrong'"),
    ],
)
async def test_one_bad_answer_of_the_public_side_is_enough(site: Site, answer: PublicAnswer, fault: str) -> None:
    await site.serves("one")
    site.public.instead = [answer]

    proof = await site.verification.verify("digits", timeout=2)

    assert proof.missing == (f"1 of {PROBES} probes went wrong; example-0: {fault}",)


async def test_a_canary_may_answer_probes_though_not_all_of_them(site: Site) -> None:
    # given
    await site.operations.canary("digits", V2, 5_000, Author("ada", "again", "op-4"), override=True)
    await site.serves("one", 4)
    canary = PublicAnswer(200, "1.1.0", 4, {"label": "of the canary"})

    # when
    site.public.instead = [canary] * 5
    some = await site.verification.verify("digits", timeout=2)
    site.public.instead = [canary] * PROBES
    every = await site.verification.verify("digits", timeout=2)

    # then
    assert some.is_given
    assert every.missing == ("no probe was answered by 1.0.0",)


async def test_an_older_change_is_history(site: Site) -> None:
    await site.serves("one")

    proof = await site.verification.verify("digits", epoch=2, timeout=2)

    assert proof.action == "promote 1.1.0"
    assert proof.missing == ("epoch 2 is history: epoch 3 came after it (rollback)",)


async def test_golden_examples_that_cannot_be_read_prove_nothing(site: Site) -> None:
    class Lost(FakeRegistry):
        async def golden(self, target: Target) -> Sequence[GoldenExample]:
            raise UnknownVersion(target.family, str(target.version))

    await site.serves("one")
    verification = Verification(site.store, site.store, Lost(digits=["1.0.0"]), site.public, site.clock)

    proof = await verification.verify("digits", timeout=2)

    assert "the golden examples of 1.0.0 cannot be read" in proof.missing[0]
    assert site.public.asked == 0


async def test_what_cannot_be_proven_is_an_error_with_a_way_out(site: Site) -> None:
    with pytest.raises(UnknownChange, match="no change of family 'digits' made epoch 9"):
        await site.verification.verify("digits", epoch=9, timeout=1)
    with pytest.raises(UnknownFamilyRecord):
        await site.verification.verify("cats", timeout=1)
    site.store.state.down = "locked"
    with pytest.raises(StoreUnavailable):
        await site.verification.verify("digits", timeout=1)
