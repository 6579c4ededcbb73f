from hypothesis import given
from hypothesis import strategies as st

from serving.core.audit import Flaw
from serving.core.heads import ChainCheck, head_number
from tests.unit.core.test_audit import chain_of, follow, reseed_after


@given(length=st.integers(1, 12), size=st.integers(1, 5), published=st.sets(st.integers(1, 12)))
def test_a_chain_that_is_read_in_pages_holds_as_it_does_in_one(length: int, size: int, published: set[int]) -> None:
    chain = chain_of(length)
    check = ChainCheck(entry.mark for entry in chain if entry.epoch in published)

    for start in range(0, length, size):
        check.take(chain[start : start + size])
    verdict = check.finish()

    assert verdict.holds
    assert (verdict.entries, verdict.mark) == (length, chain[-1].mark)


@given(size=st.integers(1, 6), cut=st.integers(0, 5))
def test_an_end_that_is_missing_shows_when_all_pages_were_read(size: int, cut: int) -> None:
    chain = chain_of(6)
    check = ChainCheck([chain[-1].mark])

    for start in range(0, cut, size):
        assert check.take(chain[start : min(start + size, cut)]).holds
    verdict = check.finish()

    assert (verdict.flaw, verdict.epoch) == (Flaw.TRUNCATED, cut + 1)


@given(size=st.integers(1, 6))
def test_heads_that_a_reseed_replaced_are_explained_wherever_the_pages_end(size: int) -> None:
    lost = chain_of(6)
    chain = [*lost[:3], reseed_after(lost[:3], seen=lost[-1].mark)]
    chain.append(follow(chain))
    check = ChainCheck(entry.mark for entry in lost)

    for start in range(0, len(chain), size):
        check.take(chain[start : start + size])
    verdict = check.finish()

    assert verdict.holds
    assert verdict.reseeds == (7,)


def test_what_does_not_hold_once_never_holds_again() -> None:
    chain = chain_of(4)
    check = ChainCheck()
    check.take([chain[0], chain[2]])

    assert check.take(chain[1:]).flaw is Flaw.MISSING
    assert check.finish().entries == 1


def test_the_number_of_a_head_is_exact_in_a_double() -> None:
    number = head_number("f" * 64)

    assert int(float(number)) == number == 2**48 - 1
