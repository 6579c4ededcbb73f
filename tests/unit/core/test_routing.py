import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.references import AnyVersion, Exact, InRange, Selector, Tag, Tagged, parse_selector
from registry_client.versions import ModelVersion
from serving.core.errors import FamilyNotServed, NothingInProduction, Refusal, SelectorNotServed
from serving.core.routing import (
    Arm,
    CanaryRoute,
    Decision,
    Facts,
    FamilyRoute,
    MissingKey,
    Reason,
    RouteTable,
    ShadowRoute,
    Target,
    decide,
)
from serving.core.traffic import WHOLE, End, Slice


def target(version: str, family: str = "digits") -> Target:
    return Target(family, ModelVersion.parse(version), f"{hash(version) & 0xFFFF:064x}")


ONE, TWO, THREE, RC = (target(version) for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1"))
ANY = AnyVersion()


def route(**parts: object) -> FamilyRoute:
    served = {each.version: each for each in (ONE, TWO, THREE, RC)}
    settings = {"family": "digits", "production": ONE, "served": served, "live": frozenset({ONE.version, TWO.version})} | parts
    return FamilyRoute(**settings)  # type: ignore[arg-type]


def ask(a_route: FamilyRoute, selector: Selector = ANY, *, key: str | None = None, dice: float = 0.5, shadow_dice: float = 0.5) -> Decision:
    return decide(RouteTable(7, {a_route.family: a_route}), Facts("digits", selector, key, dice, shadow_dice))


def test_without_a_selector_production_answers() -> None:
    decision = ask(route())

    assert (decision.target, decision.arm, decision.reason, decision.fallback) == (ONE, Arm.PRODUCTION, Reason.PRODUCTION, None)


def test_a_canary_answers_its_slice_and_falls_back_to_production() -> None:
    canary = route(canaries=(CanaryRoute(TWO, Slice(End.LOW, 1_000)),), salt="s")

    inside, outside = ask(canary, dice=0.05), ask(canary, dice=0.15)

    assert (inside.target, inside.reason, inside.fallback) == (TWO, Reason.CANARY, ONE)
    assert (outside.target, outside.reason, outside.fallback) == (ONE, Reason.PRODUCTION, None)


def test_two_canaries_answer_opposite_ends() -> None:
    canaries = (CanaryRoute(TWO, Slice(End.LOW, 1_000)), CanaryRoute(THREE, Slice(End.HIGH, 2_000)))

    answers = [ask(route(canaries=canaries), dice=dice).target for dice in (0.05, 0.5, 0.95)]

    assert answers == [TWO, ONE, THREE]


def test_a_key_decides_and_the_dice_do_not() -> None:
    canary = route(canaries=(CanaryRoute(TWO, Slice(End.LOW, 5_000)),), salt="s")

    answers = {ask(canary, key="user-1", dice=dice).target for dice in (0.0, 0.3, 0.99)}

    assert len(answers) == 1


def test_a_missing_key_goes_to_production_where_the_family_says_so() -> None:
    canary = route(canaries=(CanaryRoute(TWO, Slice(End.LOW, WHOLE)),), missing_key=MissingKey.PRODUCTION)

    assert ask(canary, dice=0.0).target is ONE


def test_shadows_are_sampled_by_their_own_dice() -> None:
    shadowed = route(shadows=(ShadowRoute(TWO, WHOLE), ShadowRoute(THREE, 1_000)))

    assert ask(shadowed, shadow_dice=0.05).shadows == (TWO, THREE)
    assert ask(shadowed, shadow_dice=0.5).shadows == (TWO,)


def test_a_version_slot_pins_and_is_neither_split_nor_mirrored() -> None:
    busy = route(canaries=(CanaryRoute(TWO, Slice(End.LOW, WHOLE)),), shadows=(ShadowRoute(THREE, WHOLE),))

    decision = ask(busy, Exact(ONE.version), dice=0.0, shadow_dice=0.0)

    assert (decision.target, decision.reason, decision.shadows, decision.fallback) == (ONE, Reason.PINNED, (), None)


def test_a_tag_finds_the_version_that_carries_it() -> None:
    tagged = route(tags={Tag.STAGING: THREE})

    assert ask(tagged, Tagged(Tag.STAGING)).target is THREE
    assert ask(tagged, Tagged(Tag.PRODUCTION)).target is ONE
    with pytest.raises(SelectorNotServed, match="tag shadow"):
        ask(tagged, Tagged(Tag.SHADOW))


def test_a_range_finds_the_highest_live_version_and_never_a_candidate() -> None:
    selector = parse_selector("^1.0")
    assert isinstance(selector, InRange)

    decision = ask(route(), selector)

    assert (decision.target, decision.reason) == (TWO, Reason.RANGE)


def test_refusals_say_what_is_served() -> None:
    with pytest.raises(SelectorNotServed, match=r"9\.9\.9 is not served \(served: 1\.0\.0, 1\.1\.0"):
        ask(route(), Exact(ModelVersion.parse("9.9.9")))
    with pytest.raises(NothingInProduction, match="digits"):
        ask(route(production=None))
    with pytest.raises(FamilyNotServed, match="nope"):
        decide(RouteTable(), Facts("nope", ANY, None, 0.0, 0.0))


def test_canaries_that_exceed_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        route(canaries=(CanaryRoute(TWO, Slice(End.LOW, 6_000)), CanaryRoute(THREE, Slice(End.HIGH, 6_000))))


targets = st.sampled_from([ONE, TWO, THREE, RC])
fractions = st.floats(0, 1, exclude_max=True)
selectors = st.sampled_from(["1.0.0", "9.9.9", "^1.0", "~1.1.0", "1.x", "^7.0", "production", "staging", "shadow"]).map(parse_selector)


@st.composite
def routes(draw: st.DrawFn) -> FamilyRoute:
    first = draw(st.integers(0, WHOLE))
    canaries = [
        CanaryRoute(draw(targets), Slice(End.LOW, first)),
        CanaryRoute(draw(targets), Slice(End.HIGH, draw(st.integers(0, WHOLE - first)))),
    ]
    served = {each.version: each for each in draw(st.lists(targets))}
    return FamilyRoute(
        family="digits",
        production=draw(st.none() | targets),
        canaries=tuple(canaries[: draw(st.integers(0, 2))]),
        shadows=tuple(ShadowRoute(each, draw(st.integers(0, WHOLE))) for each in draw(st.lists(targets, max_size=3))),
        served=served,
        live=frozenset(draw(st.lists(st.sampled_from([ONE.version, TWO.version, THREE.version, RC.version])))),
        tags=draw(st.dictionaries(st.sampled_from(Tag), targets)),
        missing_key=draw(st.sampled_from(MissingKey)),
        salt=draw(st.text(max_size=5)),
    )


@given(a_route=routes(), selector=st.just(ANY) | selectors, key=st.none() | st.text(), dice=fractions, shadow_dice=fractions)
def test_decide_is_total(a_route: FamilyRoute, selector: Selector, key: str | None, dice: float, shadow_dice: float) -> None:
    table = RouteTable(1, {"digits": a_route})

    try:
        decision = decide(table, Facts("digits", selector, key, dice, shadow_dice))
    except Refusal as refusal:
        assert str(refusal)  # noqa: PT017 - a refusal is one of the two good outcomes
    else:
        assert decision.target in {ONE, TWO, THREE, RC}
        assert (decision.fallback is not None) == (decision.reason is Reason.CANARY)


@given(weights=st.lists(st.integers(0, WHOLE), min_size=2, max_size=6), key=st.text(max_size=20))
def test_a_caller_moves_to_the_canary_once_and_stays_while_the_weight_rises(weights: list[int], key: str) -> None:
    stages = [route(canaries=(CanaryRoute(TWO, Slice(End.LOW, weight)),), salt="s") for weight in sorted(weights)]

    on_canary = [ask(stage, key=key).target is TWO for stage in stages]

    assert on_canary == sorted(on_canary)
