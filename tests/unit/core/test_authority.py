import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.core.authority import NotEntitled, Operators, Right, admitted, rights_for, roles_named, roles_of
from serving.core.changes import Change, ClearTag, Promote, Release, RollBack, SetCanary, SetShadow, SetTag
from serving.core.policy import Approval, Authority, Guard, Need, Policy, Stage
from serving.core.rules import ErrorRule

V = ModelVersion.parse("1.1.0")
AUTHORITY = Authority(rollback=("oncall", "auto"), advance=("owner",), override=("release",), start=("owner", "release"))
PEOPLE = Operators({"ada": ("owner",), "ben": ("oncall",), "cleo": ("release", "oncall")})


@pytest.mark.parametrize(
    ("name", "right"),
    [("ada", Right.START), ("ada", Right.ADVANCE), ("ben", Right.ROLLBACK), ("cleo", Right.OVERRIDE), ("cleo", Right.ROLLBACK)],
)
def test_whoever_has_one_of_the_roles_is_admitted_with_all_of_theirs(name: str, right: Right) -> None:
    actor = admitted(PEOPLE, AUTHORITY, name, right)

    assert (actor.name, actor.roles) == (name, PEOPLE.roles[name])


@pytest.mark.parametrize(("name", "right"), [("ben", Right.START), ("ada", Right.OVERRIDE), ("ada", Right.ROLLBACK), ("eve", Right.START)])
def test_whoever_has_none_is_refused_and_learns_who_may(name: str, right: Right) -> None:
    with pytest.raises(NotEntitled, match=rf"{name} may not {right}") as refused:
        admitted(PEOPLE, AUTHORITY, name, right)

    assert refused.value.hint.startswith("ask somebody who may: ")
    assert all(PEOPLE.roles[other] for other in refused.value.hint.removeprefix("ask somebody who may: ").split(", "))


def test_a_right_that_nobody_has_says_where_people_are_named() -> None:
    with pytest.raises(NotEntitled) as refused:
        admitted(Operators({"ada": ("owner",)}), AUTHORITY, "ada", Right.OVERRIDE)

    assert "operators" in refused.value.hint


def test_where_nobody_is_named_everybody_may_everything_but_be_the_rollout() -> None:
    for right in Right:
        assert "auto" not in admitted(Operators(), AUTHORITY, "whoever", right).roles


@pytest.mark.parametrize("people", [{"auto": ("owner",)}, {"ada": ("auto",)}])
def test_nobody_can_pass_for_the_rollout_itself(people: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="the rollout itself"):
        Operators(people)


@given(
    held=st.frozensets(st.sampled_from(["oncall", "owner", "release", "intern"])),
    authority=st.builds(Authority, *[st.lists(st.sampled_from(["oncall", "owner", "release", "auto"]), unique=True).map(tuple)] * 4),
    right=st.sampled_from(list(Right)),
)
def test_somebody_is_admitted_exactly_when_a_role_of_theirs_has_the_right(held: frozenset[str], authority: Authority, right: Right) -> None:
    people = Operators({"ada": tuple(sorted(held)), "ben": ("owner",)})

    try:
        admitted(people, authority, "ada", right)
    except NotEntitled:
        assert not held & frozenset(roles_of(authority, right))
    else:
        assert held & frozenset(roles_of(authority, right))


def test_a_policys_approvals_name_roles_too() -> None:
    stages = (Stage("full", 10_000, need=Need(safe=("errors",)), approve=Approval("legal")),)
    policy = Policy(stages, (Guard("errors", ErrorRule()),), authority=AUTHORITY)

    assert set(roles_named(policy)) == {"oncall", "owner", "release", "legal"}
    assert PEOPLE.actor("eve", roles_named(policy)).roles == ()
    assert set(Operators().actor("eve", roles_named(policy)).roles) == {"oncall", "owner", "release", "legal"}


@pytest.mark.parametrize(
    ("change", "rights"),
    [
        (Promote(V, ""), {Right.OVERRIDE}),
        (Release(V), {Right.OVERRIDE}),
        (SetCanary(V, "", 500), {Right.ADVANCE}),
        (SetCanary(V, "", 500, override=True), {Right.OVERRIDE}),
        (SetCanary(V, "", 0), {Right.ADVANCE, Right.ROLLBACK}),
        (SetShadow(V, "", 0), {Right.ADVANCE, Right.ROLLBACK}),
        (SetTag(V, "", Tag.CANDIDATE), {Right.ADVANCE}),
        (ClearTag(V, Tag.CANDIDATE), {Right.ADVANCE}),
        (RollBack(), {Right.ROLLBACK}),
    ],
)
def test_what_goes_past_the_guards_takes_the_right_to_override(change: Change, rights: set[Right]) -> None:
    assert set(rights_for(change)) == rights
