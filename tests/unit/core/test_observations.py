from hypothesis import given, settings
from hypothesis import strategies as st

from registry_client.versions import ModelVersion
from serving.core.observations import Count, Increment, Ledger, Sighting
from serving.core.routing import Arm, Target

TARGET = Target("digits", ModelVersion.parse("1.1.0"), "d" * 64)


def sighting(requests: int, failures: int = 0, *, gateway: str = "g1", started: float = 1.0, row: int = 0) -> Sighting:
    return Sighting(gateway, started, (Count(TARGET, Arm.CANARY, requests, failures, row),))


def heard(*looks: tuple[Sighting, ...]) -> tuple[Increment, ...]:
    ledger = Ledger()
    all_increments: tuple[Increment, ...] = ()
    for look in looks:
        ledger, increments = ledger.after(look)
        all_increments = (*all_increments, *increments)
    return all_increments


def test_what_a_gateway_did_before_it_was_first_heard_of_does_not_count() -> None:
    increments = heard((sighting(500, 400, row=400),))

    assert increments == ()


def test_the_difference_between_two_reports_counts() -> None:
    increments = heard((sighting(10, 1),), (sighting(15, 3, row=2),))

    assert increments == (Increment("g1", TARGET, Arm.CANARY, 5, 2, 2),)


def test_a_lost_report_costs_nothing() -> None:
    increments = heard((sighting(0),), (), (sighting(30, 3),))

    assert [(new.requests, new.failures) for new in increments] == [(30, 3)]


def test_a_gateway_that_started_again_counts_from_nothing() -> None:
    increments = heard((sighting(100, 9),), (sighting(7, 2, started=2.0),))

    assert [(new.requests, new.failures) for new in increments] == [(7, 2)]


def test_a_gateway_that_was_silent_for_a_while_is_not_counted_twice() -> None:
    increments = heard((sighting(10), sighting(20, gateway="g2")), (sighting(11),), (sighting(12), sighting(25, gateway="g2")))

    assert sum(new.requests for new in increments if new.gateway == "g2") == 5


def test_a_version_that_is_new_on_a_known_gateway_counts_from_its_first_request() -> None:
    increments = heard((Sighting("g1", 1.0, ()),), (sighting(4, 4, row=4),))

    assert [(new.requests, new.failures, new.failures_in_a_row) for new in increments] == [(4, 4, 4)]


def test_a_version_that_one_report_leaves_out_is_remembered() -> None:
    increments = heard((sighting(10),), (Sighting("g1", 1.0, ()),), (sighting(12),))

    assert sum(new.requests for new in increments) == 2


def test_a_report_that_contradicts_itself_gives_no_impossible_increment() -> None:
    increments = heard((sighting(10, 5),), (sighting(12, 50),), (sighting(9, 2),), (sighting(13, 1),))

    assert all(0 <= new.failures <= new.requests for new in increments)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), max_size=20))
@settings(max_examples=50)
def test_increments_add_up_to_what_was_answered_however_reports_are_lost(steps: list[tuple[int, bool, bool]]) -> None:
    ledger, _ = Ledger().after([sighting(0)])
    total = reported = counted = 0

    for answered, is_lost, is_silent in steps:
        total += answered
        if is_lost or is_silent:
            continue
        reported = total
        ledger, increments = ledger.after([sighting(total)])
        counted += sum(new.requests for new in increments)

    assert counted == reported


def test_a_report_that_comes_late_is_not_counted_twice() -> None:
    increments = heard((sighting(0),), (sighting(100),), (sighting(90),), (sighting(5, started=0.5),), (sighting(110),))

    assert [new.requests for new in increments] == [100, 10]
