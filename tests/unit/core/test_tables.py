"""From records to the route table."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_client.references import Tag
from registry_client.versions import ModelVersion, VersionRange
from serving.core.bucketers import Bucketer
from serving.core.deprecation import Deprecation
from serving.core.lifecycle import Canary, Decided, FamilyRecord, Shadow
from serving.core.policy import MirrorLimits, Unit
from serving.core.routing import CanaryRoute, MissingKey, ShadowRoute, Target
from serving.core.rules import Bins
from serving.core.standing import Held, Rollout, State
from serving.core.tables import route_of, table_of
from serving.core.traffic import End, Slice
from serving.core.underway import Terms, Underway

V1, V9, V10, RC = (ModelVersion.parse(text) for text in ("1.0.0", "9.0.0", "10.0.0", "10.0.0-rc.1"))


def target(version: ModelVersion) -> Target:
    return Target("digits", version, f"digest of {version}")


def record(family: str = "digits") -> FamilyRecord:
    return FamilyRecord(
        family,
        revision=4,
        digests={version: f"digest of {version}" for version in (V1, V9, V10, RC)},
        production=V9,
        production_decided=Decided(datetime(2030, 1, 1, tzinfo=UTC), "ada", ""),
        previous=(V1,),
        canaries=(Canary(V10, Slice(End.LOW, 500)),),
        shadows=(Shadow(RC, 10_000),),
        candidate=V10,
        staging=V9,
        key_headers=("x-tenant",),
        missing_key=MissingKey.PRODUCTION,
        salt="digits@10.0.0",
    )


def test_a_route_names_every_part_by_version_and_digest() -> None:
    route = route_of(record())

    assert route.production == target(V9)
    assert route.canaries == (CanaryRoute(target(V10), Slice(End.LOW, 500)),)
    assert route.shadows == (ShadowRoute(target(RC), 10_000),)
    assert route.tags == {Tag.PRODUCTION: target(V9), Tag.STAGING: target(V9), Tag.CANDIDATE: target(V10), Tag.SHADOW: target(RC)}
    assert (route.key_headers, route.missing_key, route.salt) == (("x-tenant",), MissingKey.PRODUCTION, "digits@10.0.0")


def test_served_are_all_that_should_be_loaded_the_newest_last() -> None:
    assert list(route_of(record()).served) == [V1, V9, RC, V10]


def test_live_are_production_and_what_it_superseded_never_a_candidate() -> None:
    assert route_of(record()).live == {V1, V9}


def test_a_standby_in_quarantine_is_no_longer_picked_by_a_range() -> None:
    family = record()

    route = route_of(FamilyRecord("digits", digests=family.digests, production=V9, previous=(V1,), quarantined={V1: "wrong labels"}))

    assert route.live == {V9}
    assert set(route.served) == {V1, V9}


def test_where_the_lease_lapsed_canaries_weigh_nothing_and_stay_reachable_by_name() -> None:
    table = table_of(7, [record("digits"), record("iris")], lapsed={"digits"})

    assert [canary.slice.weight for canary in table.families["digits"].canaries] == [0]
    assert [canary.slice.weight for canary in table.families["iris"].canaries] == [500]
    assert V10 in table.families["digits"].served
    assert table.epoch == 7


def test_a_family_without_anything_has_an_empty_route() -> None:
    route = route_of(FamilyRecord("digits"))

    assert (route.production, route.canaries, route.shadows, route.served, route.tags) == (None, (), (), {}, {})


def test_a_route_names_the_override_that_its_record_stands_under() -> None:
    table = table_of(3, [record(), record("customer-intent")], overridden={"digits": "override-1", "gone": "override-2"})

    assert {family: route.override for family, route in table.families.items()} == {"digits": "override-1", "customer-intent": ""}


# --- what is watched ---


def underway(state: State = State.RAMPING, *, stage: int = 1, held: Held | None = None, **parts: object) -> Underway:
    rollout = Rollout("digits", str(V10), f"digest of {V10}", "p" * 64, "ada", state=state, stage=stage, held=held)
    terms = Terms(quantiles=((0.5, 1.2), (0.99, 1.5)), limits=MirrorLimits(inflight=7), bins=Bins.CLASSES, checks_answers=True)
    return Underway("digits-10.0.0-1", rollout, "{}", datetime(2030, 1, 1, tzinfo=UTC), terms, **parts)  # type: ignore[arg-type]  # a test's shorthand


def test_a_family_with_a_rollout_is_watched_by_digests_and_terms() -> None:
    watch = route_of(replace(record(), rollout=underway())).watch

    assert watch is not None
    assert (watch.rollout, watch.candidate, watch.production) == ("digits-10.0.0-1", f"digest of {V10}", f"digest of {V9}")
    assert (watch.stage, watch.is_shadow, watch.counts_keyless, watch.limits.inflight) == (1, False, False, 7)
    assert (watch.edges, watch.wants_edges) == ((), True)
    assert (watch.bins, watch.wants_classes, watch.checks_answers) == (Bins.CLASSES, True, True)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (Unit(salt="checkout"), (Bucketer.NATIVE, "digits@10.0.0/checkout")),
        (Unit(salt="checkout", bucketer=Bucketer.UNLEASH), (Bucketer.UNLEASH, "checkout")),
    ],
)
def test_callers_are_bucketed_as_the_policy_says_while_its_rollout_is_afoot(unit: Unit, expected: tuple[Bucketer, str]) -> None:
    afoot = underway()
    afoot = replace(afoot, terms=replace(afoot.terms, unit=unit))
    over = replace(afoot, rollout=replace(afoot.rollout, state=State.SUPERSEDED))

    route, after = (route_of(replace(record(), rollout=one)) for one in (afoot, over))

    assert (route.bucketer, route.salt) == expected
    assert (after.bucketer, after.salt) == (Bucketer.NATIVE, "digits@10.0.0")


def test_in_a_shadow_every_request_is_a_trial_also_while_it_is_held() -> None:
    for one in (underway(State.SHADOWING, stage=0), underway(State.HELD, stage=0, held=Held("why", State.SHADOWING))):
        watch = route_of(replace(record(), rollout=one)).watch

        assert watch is not None
        assert (watch.is_shadow, watch.counts_keyless) == (True, True)


def test_what_is_pinned_is_wanted_no_more() -> None:
    watch = route_of(replace(record(), rollout=underway(edges=(0.1, 0.12, 0.4, 0.6), classes=("cat", "dog")))).watch

    assert watch is not None
    assert (watch.edges, watch.wants_edges) == ((0.1, 0.12, 0.4, 0.6), False)
    assert (watch.classes, watch.wants_classes) == (("cat", "dog"), False)


def test_a_live_candidate_is_compared_with_what_it_superseded_while_that_is_warm() -> None:
    live = underway(State.LIVE, stage=1)
    warm = replace(live, rollout=replace(live.rollout, warm_until=datetime(2030, 1, 2, tzinfo=UTC)))
    family = replace(record(), production=V10, previous=(V9, V1), canaries=(), shadows=(), candidate=None)

    watch = route_of(replace(family, rollout=warm)).watch

    assert watch is not None
    assert (watch.candidate, watch.production) == (f"digest of {V10}", f"digest of {V9}")
    assert watch.counts_keyless  # who has no key is answered by it as everybody is
    assert route_of(replace(family, rollout=live)).watch is None


def test_a_rollout_that_is_over_is_not_watched() -> None:
    assert route_of(replace(record(), rollout=underway(State.SUPERSEDED))).watch is None


def test_the_route_knows_what_is_deprecated_and_who_may_be_counted() -> None:
    # given
    since = Deprecation(datetime(2030, 1, 1, tzinfo=UTC))
    versions = {ModelVersion.parse(text): text.encode().hex().ljust(64, "0") for text in ("1.0.0", "1.1.0", "1.2.0")}
    one, two, three = versions
    record = FamilyRecord(
        "digits",
        digests=versions,
        production=three,
        deprecated=frozenset({one, two}),
        deprecations={one: since},
        consumers={"billing": VersionRange.parse("^1")},
    )

    # when
    route = route_of(record)

    # then
    assert dict(route.deprecated) == {one: since, two: None}
    assert set(route.consumers) == {"billing"}
