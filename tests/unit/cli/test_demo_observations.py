from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from serving.cli.demo.observations import (
    Answer,
    Rate,
    accuracy_of,
    asked_later,
    end_of_routes,
    fallbacks,
    last_answer,
    lost,
    share_of,
    users_of,
    wavering,
)

GOOD = Answer("digits", "ada", 1.0, 1.01, 200, "1.0.0", "production", 7, right=True)


def answered(user: str, version: str, at: float = 1.0) -> Answer:
    return replace(GOOD, user=user, version=version, sent=at, received=at + 0.01)


def test_an_answer_is_good_when_it_is_ok_has_a_label_and_says_who_gave_it_and_why() -> None:
    assert GOOD.is_good
    assert replace(GOOD, right=False).is_good

    for spoilt in ({"status": 503}, {"version": ""}, {"reason": ""}, {"epoch": 0}, {"right": None}):
        assert not replace(GOOD, **spoilt).is_good, spoilt


def test_the_share_of_a_version_is_of_all_answers_failed_ones_included() -> None:
    answers = [answered("ada", "1.0.0"), answered("bob", "1.1.0"), replace(GOOD, status=0, version=""), answered("eve", "1.1.0")]

    assert share_of(answers, "1.1.0") == Rate(2, 4)


def test_a_version_is_judged_by_its_own_answers_only() -> None:
    answers = [answered("ada", "1.0.0"), replace(answered("bob", "1.1.0"), right=False), answered("bob", "1.1.0")]

    assert accuracy_of(answers, "1.1.0") == Rate(1, 2)


def test_a_user_of_two_versions_is_found_whatever_the_order() -> None:
    answers = [answered("ada", "1.0.0"), answered("bob", "1.1.0"), answered("ada", "1.1.0"), answered("ada", "1.0.0")]

    assert wavering(answers) == {"ada"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1.0.0", "1.1.0"]))))
def test_users_waver_exactly_when_two_versions_have_them(seen: list[tuple[str, str]]) -> None:
    answers = [answered(user, version) for user, version in seen]

    assert wavering(answers) == users_of(answers, "1.0.0") & users_of(answers, "1.1.0")


def test_users_are_lost_whom_the_version_had_before_and_another_has_now() -> None:
    before = [answered("ada", "1.1.0"), answered("bob", "1.0.0"), answered("eve", "1.1.0")]
    after = [answered("ada", "1.1.0"), answered("bob", "1.0.0"), answered("eve", "1.0.0")]

    assert lost(before, after, "1.1.0") == {"eve"}


def test_fallbacks_come_in_the_order_they_were_received() -> None:
    late, early = (replace(answered("ada", "1.0.0", at), reason="fallback") for at in (3.0, 2.0))

    assert fallbacks([late, GOOD, early]) == (early, late)


def test_the_last_answer_counts_from_the_call_and_is_zero_when_none_came_after_it() -> None:
    answers = [answered("ada", "1.0.0", at) for at in (1.0, 5.0, 5.03)]

    assert round(last_answer(answers, "1.0.0", since=5.0), 3) == 0.04
    assert last_answer(answers, "1.0.0", since=6.0) == 0.0
    assert last_answer(answers, "2.0.0", since=0.0) == 0.0


def test_only_requests_sent_after_the_moment_were_asked_later() -> None:
    answers = [answered("ada", "1.0.0", at) for at in (4.995, 5.0, 5.01)]

    assert asked_later(answers, "1.0.0", since=5.0) == 1


def test_old_routes_end_with_the_last_answer_of_an_older_epoch() -> None:
    answers = [replace(answered("ada", "1.0.0", at), epoch=epoch) for at, epoch in ((1.0, 7), (1.02, 8), (1.05, 7), (1.08, 8))]

    assert round(end_of_routes(answers, 8, since=1.0), 3) == 0.06


def test_old_routes_of_which_nothing_was_seen_had_ended_by_the_first_answer_of_the_new() -> None:
    answers = [replace(answered("ada", "1.0.0", at), epoch=epoch) for at, epoch in ((0.5, 7), (1.02, 8), (1.08, 8))]

    assert round(end_of_routes(answers, 8, since=1.0), 3) == 0.03
    assert end_of_routes([], 8, since=1.0) == 0.0


def test_a_rate_reads_as_percent_and_counts() -> None:
    assert str(Rate(195, 1200)) == "16.2 % (195 of 1,200)"
    assert Rate(0, 0).percent == 0.0
