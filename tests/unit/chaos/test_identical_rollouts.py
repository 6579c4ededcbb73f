"""The short form of P15's other scenario: callers who stick to their arm, some of whom fail always, and a candidate like production."""

from serving.core.policy import Counting
from tests.simulated.calling import play_identical

UNLUCKY = (4, 21)
"""Seeds whose hash puts too many callers into the canary, or too many of those that fail always."""


def test_callers_who_fail_always_are_not_the_candidates_fault_where_each_counts_once() -> None:
    by_request = play_identical(Counting.REQUEST, UNLUCKY)
    by_unit = play_identical(Counting.UNIT_WINDOW, UNLUCKY)

    assert all(one.signal for one in by_request)  # for errors, or for a split that the hash did not give
    assert [one.signal for one in by_unit] == ["", ""]
    assert all(one.is_replayed for one in (*by_request, *by_unit))
