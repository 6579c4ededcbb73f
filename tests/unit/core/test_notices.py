import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.notices import ALWAYS, GONE, LADDER, Form, Letter, Notice, Occasion, addressed, after_try, body_of, unheard
from serving.core.policy import Tell

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def notice(occasion: Occasion = Occasion.ROLLBACK, sentence: str = "digits@1.1.0 was rolled back") -> Notice:
    return Notice("digits-1.1.0-3-7-0", AT, occasion, "digits", "1.1.0", sentence, "digits-1.1.0-3")


@pytest.mark.parametrize("occasion", list(Occasion))
def test_a_policy_chooses_what_is_told_except_what_somebody_must_see(occasion: Occasion) -> None:
    letters = addressed(Tell(on=("start", "live")), ("pager",), notice(occasion))

    assert bool(letters) == (occasion in ALWAYS | {Occasion.START, Occasion.LIVE})


def test_a_policy_that_names_nobody_tells_everybody_who_is_configured() -> None:
    told = addressed(Tell(on=("rollback",)), ("pager", "chat"), notice())

    assert [letter.webhook for letter in told] == ["pager", "chat"]


def test_a_policy_tells_only_whom_it_names_and_never_whom_nobody_configured() -> None:
    tell = Tell(webhooks=("chat", "elsewhere"), on=("rollback",))

    assert [letter.webhook for letter in addressed(tell, ("pager", "chat"), notice())] == ["chat"]
    assert unheard(tell, ("pager", "chat")) == ("elsewhere",)


@given(statuses=st.lists(st.one_of(st.none(), st.integers(100, 599)), min_size=20, max_size=20))
def test_a_letter_is_tried_until_it_arrives_later_each_time_and_not_for_ever(statuses: list[int | None]) -> None:
    letter, now, waits = Letter(notice(), "pager", AT), AT, list[timedelta]()

    for status in statuses:
        again = after_try(letter, status, now)
        if again is None:
            assert status in range(200, 300) or status == GONE or len(waits) == len(LADDER)
            break
        assert status not in range(200, 300)
        waits.append(again.due - now)
        letter, now = again, again.due
    else:
        pytest.fail("it was tried for ever")

    assert waits == sorted(waits)


def test_a_redirect_is_a_failure() -> None:
    assert after_try(Letter(notice(), "pager", AT), 302, AT) is not None


def test_the_plain_form_says_everything_and_always_in_the_same_bytes() -> None:
    body = body_of(notice(), Form.JSON)

    assert body == body_of(notice(), Form.JSON)
    assert json.loads(body) == {
        "type": "rollout.rollback",
        "timestamp": "2030-01-02T03:04:05+00:00",
        "data": {
            "id": "digits-1.1.0-3-7-0",
            "family": "digits",
            "version": "1.1.0",
            "rollout": "digits-1.1.0-3",
            "text": "digits@1.1.0 was rolled back",
        },
    }


def test_a_reason_somebody_typed_becomes_no_mention_in_slack() -> None:
    text = json.loads(body_of(notice(sentence="because <!channel> & <http://x|y>"), Form.SLACK))["text"]

    assert text.endswith("*rollback* because &lt;!channel&gt; &amp; &lt;http://x|y&gt;")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 200, "a b"])
def test_an_id_that_is_no_name_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        Notice(name, AT, Occasion.LIVE, "digits", "1.1.0", "")
