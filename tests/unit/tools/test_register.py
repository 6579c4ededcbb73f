"""The checker accepts every honest history, and refutes each kind of lie by the law that it breaks."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.tools.register import Content, Entry, Flip, History, Law, Lookup, Outcome, Read, check


def committed(number: int, *, began: float, ended: float, epoch: int | None = None) -> Flip:
    """Operation `number` makes revision `number` of a; at epoch `number` where not said otherwise."""
    return Flip(f"op-{number}", "a", number - 1, f"v{number}", began, ended, Outcome.COMMITTED, epoch or number, number)


def entry(number: int, *, epoch: int | None = None) -> Entry:
    return Entry(epoch or number, "a", number, f"op-{number}", f"v{number}")


def content(number: int) -> Content:
    return {"a": (number, f"v{number}")} if number else {}


FLIPS = (committed(1, began=0, ended=1), committed(2, began=2, ended=3), committed(3, began=2.5, ended=5))
CHAIN = (entry(1), entry(2), entry(3))
READS = (Read(0.5, 0.6, 0, {}), Read(0.7, 1.5, 1, content(1)), Read(3.5, 4, 2, content(2)), Read(5, 6, 3, content(3)))
REFUSED = Flip("op-9", "a", 1, "v9", 3, 4, Outcome.REFUSED, 0, 2)
HONEST = History((*FLIPS, REFUSED), READS, (Lookup("op-2", 4, 5, 2), Lookup("op-9", 4, 5, None)))


def broken_laws(history: History, chain: tuple[Entry, ...] = CHAIN) -> set[Law]:
    return {violation.law for violation in check(history, chain)}


def test_an_honest_history_breaks_no_law() -> None:
    assert check(HONEST, CHAIN) == []


def test_nothing_at_all_breaks_no_law() -> None:
    assert check(History(), ()) == []


@pytest.mark.parametrize("chain", [(), (entry(1),)])
def test_a_change_of_unknown_outcome_may_have_happened_or_not(chain: tuple[Entry, ...]) -> None:
    flip = replace(FLIPS[0], outcome=Outcome.UNKNOWN, ended=inf, epoch=0, revision=0)

    assert check(History((flip,)), chain) == []


def test_changes_at_the_same_time_may_be_in_either_order() -> None:
    first, second = committed(1, began=0, ended=5), committed(2, began=1, ended=2)

    assert check(History((first, second)), (entry(1), entry(2))) == []


def test_reads_at_the_time_of_a_change_may_see_it_or_not() -> None:
    reads = (Read(2.1, 2.9, 2, content(2)), Read(2.1, 2.9, 1, content(1)))

    assert check(History(FLIPS, reads), CHAIN) == []


LIES = {
    "an acknowledged change is gone": (History(FLIPS), (entry(1), entry(2)), Law.WHAT_WAS_ACKNOWLEDGED_STANDS),
    "an acknowledged change is of another epoch": (
        History((replace(FLIPS[0], epoch=7),)),
        (entry(1),),
        Law.WHAT_WAS_ACKNOWLEDGED_STANDS,
    ),
    "an entry of the audit is missing": (History(FLIPS), (entry(1), entry(3)), Law.EPOCHS_HAVE_NO_GAP),
    "a revision is used twice": (
        History((*FLIPS[:2], replace(FLIPS[2], expected=1, revision=2))),
        (*CHAIN[:2], Entry(3, "a", 2, "op-3", "v3")),
        Law.REVISIONS_RISE_BY_ONE,
    ),
    "an operation stands twice": (History(FLIPS), (*CHAIN, Entry(4, "a", 4, "op-3", "v3")), Law.AN_OPERATION_HAPPENS_ONCE),
    "nobody asked for it": (History(FLIPS[:2]), CHAIN, Law.NOTHING_HAPPENS_UNASKED),
    "something else was written than was asked": (
        History((replace(FLIPS[0], value="v7"),)),
        (entry(1),),
        Law.NOTHING_HAPPENS_UNASKED,
    ),
    "a refused change is there": (
        History((replace(FLIPS[0], outcome=Outcome.REFUSED, revision=2),)),
        (entry(1),),
        Law.WHAT_WAS_REFUSED_LEAVES_NOTHING,
    ),
    "a change is refused for the very revision it expected": (
        History((*FLIPS, replace(REFUSED, expected=2))),
        CHAIN,
        Law.A_REFUSAL_TELLS_THE_TRUTH,
    ),
    "a change is refused for a revision to come": (
        History((*FLIPS, replace(REFUSED, began=0.1, ended=0.5))),
        CHAIN,
        Law.A_REFUSAL_TELLS_THE_TRUTH,
    ),
    "a change is refused for a revision long gone": (
        History((*FLIPS, replace(REFUSED, expected=2, revision=1, began=6, ended=7))),
        CHAIN,
        Law.A_REFUSAL_TELLS_THE_TRUTH,
    ),
    "a change overwrites one that its client had not seen": (
        History((*FLIPS[:2], replace(FLIPS[2], expected=1))),
        CHAIN,
        Law.COMPARE_AND_SET_COMPARES,
    ),
    "a change that was over is ordered after one that had not begun": (
        History((committed(1, began=4, ended=5), committed(2, began=0, ended=1))),
        (entry(1), entry(2)),
        Law.ORDER_KEEPS_REAL_TIME,
    ),
    "a read misses what was acknowledged before it": (
        History(FLIPS, (Read(4, 4.5, 1, content(1)),)),
        CHAIN,
        Law.A_READ_IS_NOT_STALE,
    ),
    "a read misses what an earlier read has seen": (
        History(FLIPS, (Read(2.6, 2.7, 3, content(3)), Read(2.8, 2.9, 2, content(2)))),
        CHAIN,
        Law.A_READ_IS_NOT_STALE,
    ),
    "a read is from the future": (History(FLIPS, (Read(0, 0.5, 2, content(2)),)), CHAIN, Law.A_READ_IS_NOT_FROM_THE_FUTURE),
    "a read is of an epoch that never was": (History(FLIPS, (Read(6, 7, 4, content(3)),)), CHAIN, Law.A_READ_IS_NOT_FROM_THE_FUTURE),
    "a read is torn": (
        History((*FLIPS, Flip("b-1", "b", 0, "w", 6, 7, Outcome.COMMITTED, 4, 1)), (Read(8, 9, 4, {"a": (2, "v2"), "b": (1, "w")}),)),
        (*CHAIN, Entry(4, "b", 1, "b-1", "w")),
        Law.A_READ_IS_OF_ONE_EPOCH,
    ),
    "an acknowledged operation is not known": (
        History(FLIPS, (), (Lookup("op-1", 2, 3, None),)),
        CHAIN,
        Law.A_READ_IS_NOT_STALE,
    ),
    "an operation is shown that left no entry": (
        History(FLIPS, (), (Lookup("op-9", 2, 3, 2),)),
        CHAIN,
        Law.WHAT_WAS_ACKNOWLEDGED_STANDS,
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refuted_by_the_law_it_breaks(lie: str) -> None:
    history, chain, law = LIES[lie]

    assert law in broken_laws(history, chain)


def test_every_law_has_a_lie_that_breaks_it() -> None:
    assert {law for _, _, law in LIES.values()} == set(Law)


def test_a_violation_says_which_law_and_what_was_seen() -> None:
    [violation] = check(History((replace(FLIPS[0], epoch=7),)), (entry(1),))

    assert str(violation).startswith("what was acknowledged stands: op-1 was acknowledged as epoch 7, revision 1; the audit has Entry(")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 0.4), st.floats(0, 0.4)), max_size=40))
def test_whatever_a_register_that_does_one_thing_after_the_other_is_asked_no_law_is_broken(
    steps: list[tuple[str, bool, float, float]],
) -> None:
    held: dict[str, tuple[int, str]] = {}
    flips, reads, chain = list[Flip](), list[Read](), list[Entry]()
    for moment, (family, is_stale, before, after) in enumerate(steps):
        # The change happens at `moment`; its client saw it begin and end somewhat earlier and later.
        began, ended, operation = moment - before, moment + after, f"op-{moment}"
        revision, _ = held.get(family, (0, ""))
        if is_stale:
            flips.append(Flip(operation, family, revision + 5, "", began, ended, Outcome.REFUSED, 0, revision))
        else:
            chain.append(Entry(len(chain) + 1, family, revision + 1, operation, operation))
            held[family] = (revision + 1, operation)
            flips.append(Flip(operation, family, revision, operation, began, ended, Outcome.COMMITTED, len(chain), revision + 1))
        reads.append(Read(moment + 0.1, moment + 0.1 + after, len(chain), dict(held)))

    assert check(History(flips, reads), chain) == []
