"""Pairs that disagreed, kept for operators."""

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.traffic import WHOLE
from serving.core.watches import Watch
from serving.gateway.pairs import LARGEST_SHOWN, PairSample, redacted
from serving.ports import Call, CallKind, Encoding, Reply
from tests.fakes.gateway import ONE, TWO, Bench, table

CALL = Call(CallKind.PREDICT, "d", b'{"text": "where is my parcel", "user": {"mail": "a@b.c", "tags": ["x", "y"]}}')
ANSWER = Reply(200, b'{"label": "track"}')


def sample(most: int = 3, *redact: str, dice: float = 0.0) -> PairSample:
    return PairSample(most, redact, lambda: dice, lambda: 1000.0)


def test_a_pair_is_kept_with_its_request_and_both_answers() -> None:
    kept = sample()

    kept.offer("label", CALL, ANSWER, b'{"label": "refund"}')

    (pair,) = kept.pairs
    assert (pair.at, pair.outcome) == (1000.0, "label")
    assert pair.request == json.loads(CALL.body)
    assert (pair.production, pair.candidate) == ({"label": "track"}, {"label": "refund"})


def test_what_the_policy_redacts_is_not_kept_of_any_part() -> None:
    kept = sample(3, "/user/mail", "/user/tags/*", "/label", "/nobody")

    kept.offer("label", CALL, ANSWER, b'{"label": "refund"}')

    (pair,) = kept.pairs
    assert pair.request == {"text": "where is my parcel", "user": {"mail": "[redacted]", "tags": ["[redacted]", "[redacted]"]}}
    assert pair.production == pair.candidate == {"label": "[redacted]"}


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (Call(CallKind.INFER, "d", b"\xff\x00"), "2 bytes that are no JSON"),
        (Call(CallKind.PREDICT, "d", b"[" * 2000), "2000 bytes that are no JSON"),
        (Call(CallKind.PREDICT, "d", b'"' + b"x" * LARGEST_SHOWN + b'"'), f"it has {LARGEST_SHOWN + 2} bytes"),
        (Call(CallKind.PREDICT, "d", b"...", encoding=Encoding.GZIP), "it is compressed"),
    ],
)
def test_what_cannot_be_redacted_is_not_shown(call: Call, why: str) -> None:
    kept = sample(3, "/secret")

    kept.offer("label", call, ANSWER, b"{}")

    assert kept.pairs[0].request == {"not_shown": why}


def test_of_binary_tensors_only_the_json_part_is_kept() -> None:
    kept = sample()

    kept.offer("number", Call(CallKind.INFER, "d", b'{"a":1}\x01\x02', 7), Reply(200, b'{"b":2}\x03', 7), b'{"b":3}')

    assert (kept.pairs[0].request, kept.pairs[0].production) == ({"a": 1}, {"b": 2})


def test_no_more_are_kept_than_the_policy_says_and_each_is_as_likely_to_be() -> None:
    dice, chosen = Random(7), Counter[int]()

    for _ in range(2000):
        kept = PairSample(2, (), dice.random, lambda: 0.0)
        for number in range(10):
            kept.offer("label", Call(CallKind.PREDICT, "d", str(number).encode()), ANSWER, b"{}")
        assert len(kept.pairs) == 2
        chosen.update(pair.request for pair in kept.pairs)

    assert all(300 < chosen[number] < 500 for number in range(10)), chosen


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(json_values, st.lists(st.text(max_size=3) | st.just("*") | st.just("0"), max_size=4))
def test_redacting_leaves_all_other_places_as_they_are(value: object, pointer: list[str]) -> None:
    after = redacted(value, pointer)

    if pointer and not isinstance(value, dict | list):
        assert after == value
    if isinstance(value, dict) and pointer and pointer[0] not in value and pointer[0] != "*":
        assert after == value
    assert redacted(after, pointer) == after


# --- on their way through the gateway ---


def watch(keep: int) -> Watch:
    return Watch("r1", TWO.digest, ONE.digest, is_shadow=True, keep_pairs=keep, redact=("/secret",))


def mirror(bench: Bench, reply: Reply) -> Call:
    bench.ask(body=b'{"secret": 1, "x": 2}')
    bench.invoker.answer(ANSWER)
    return bench.invoker.answer(reply).call


def test_a_shadow_shows_its_answer_only_where_pairs_are_kept() -> None:
    asked = list[bool]()
    for keep in (0, 2):
        bench = Bench()
        bench.gateway.swap(table(shadow=WHOLE, watch=watch(keep)))

        mirrored = mirror(bench, Reply(200, b"agree")).mirror

        assert mirrored is not None
        asked.append(mirrored.is_shown)
    assert asked == [False, True]


def test_pairs_that_disagree_are_kept_and_counted_as_before() -> None:
    bench = Bench()
    bench.gateway.swap(table(shadow=WHOLE, watch=watch(2)))

    for body in (b"agree", b'label\n{"label": "refund"}', b"error"):
        mirror(bench, Reply(200, body))

    (pair,) = bench.gateway.watchings.samples()["r1"].pairs
    assert (pair.outcome, pair.request, pair.candidate) == ("label", {"secret": "[redacted]", "x": 2}, {"label": "refund"})
    pairs = bench.gateway.watchings.reports("g", 1.0)["r1"].totals.pairs
    assert (pairs.compared, pairs.disagreed, pairs.failed) == (2, 1, 1)
    assert [outcome for _, outcome in bench.recorder.shadows] == ["agree", "label", "error"]
