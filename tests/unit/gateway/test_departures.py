from registry_client.versions import ModelVersion
from serving.core.routing import Arm, CanaryRoute, FamilyRoute, HoldbackRoute, RouteTable, Target
from serving.core.traffic import End, Slice
from serving.gateway.departures import REMEMBERED, Departures
from serving.gateway.tallies import Tallies
from serving.ports import Departed
from tests.fakes.clock import FakeClock


def target(version: str) -> Target:
    return Target("digits", ModelVersion.parse(version), f"{version:>064}")


def table(epoch: int, production: str, canary: str | None = None, weight: int = 500) -> RouteTable:
    canaries = () if canary is None else (CanaryRoute(target(canary), Slice(End.LOW, weight)),)
    return RouteTable(epoch, {"digits": FamilyRoute("digits", target(production), canaries)})


class Gateway:
    """Tallies, a clock, and who has left."""

    def __init__(self) -> None:
        self.clock, self.tallies = FakeClock(), Tallies()
        self.departures = Departures(self.tallies, self.clock)

    def sends(self, version: str, arm: Arm = Arm.PRODUCTION) -> None:
        self.tallies.of(target(version), arm).in_flight += 1

    def answers(self, version: str, arm: Arm = Arm.PRODUCTION) -> None:
        tally = self.tallies.of(target(version), arm)
        tally.in_flight -= 1
        tally.answered(None, self.clock.monotonic())

    def only(self) -> Departed:
        (departed,) = self.departures()
        return departed


def test_who_is_held_back_keeps_the_old_version_from_leaving_until_it_ends() -> None:
    gateway = Gateway()
    held = FamilyRoute("digits", target("1.1.0"), holdback=HoldbackRoute(target("1.0.0"), 500))
    gateway.departures.swapped(table(1, "1.0.0"))
    gateway.departures.swapped(RouteTable(2, {"digits": held}))
    during = gateway.departures()
    gateway.sends("1.0.0", Arm.HOLDBACK)

    gateway.departures.swapped(table(3, "1.1.0"))
    gateway.answers("1.0.0", Arm.HOLDBACK)

    assert during == ()
    assert (gateway.only().target, gateway.only().strays) == (target("1.0.0"), 1)


def test_nobody_has_left_at_first() -> None:
    gateway = Gateway()

    gateway.departures.swapped(table(1, "1.0.0"))

    assert gateway.departures() == ()


def test_a_version_that_left_is_told_with_what_it_still_has_under_way_and_what_it_answered_since() -> None:
    # given
    gateway = Gateway()
    gateway.departures.swapped(table(1, "1.0.0"))
    gateway.sends("1.0.0")
    gateway.answers("1.0.0")
    gateway.sends("1.0.0")
    gateway.sends("1.0.0")

    # when
    gateway.departures.swapped(table(2, "1.1.0"))
    at_first = gateway.only()
    gateway.clock.advance(0.2)
    gateway.answers("1.0.0")
    answered_at = gateway.clock.now()
    gateway.clock.advance(0.1)
    later = gateway.only()

    # then
    assert at_first == Departed(target("1.0.0"), epoch=2, in_flight=2, strays=0, last_stray=None)
    assert later == Departed(target("1.0.0"), epoch=2, in_flight=1, strays=1, last_stray=answered_at)


def test_answers_to_those_who_pin_the_version_are_no_strays() -> None:
    gateway = Gateway()
    gateway.departures.swapped(table(1, "1.0.0"))
    gateway.departures.swapped(table(2, "1.1.0"))

    gateway.sends("1.0.0", Arm.PINNED)
    gateway.answers("1.0.0", Arm.PINNED)

    assert (gateway.only().strays, gateway.only().in_flight) == (0, 0)


def test_a_canary_that_becomes_production_has_not_left() -> None:
    gateway = Gateway()
    gateway.departures.swapped(table(1, "1.0.0", canary="1.1.0"))

    gateway.departures.swapped(table(2, "1.1.0"))

    assert gateway.only().target == target("1.0.0")


def test_a_canary_whose_lease_lapsed_has_left_until_it_is_renewed() -> None:
    gateway = Gateway()
    gateway.departures.swapped(table(1, "1.0.0", canary="1.1.0"))

    gateway.departures.swapped(table(1, "1.0.0", canary="1.1.0", weight=0))
    lapsed = gateway.departures()
    gateway.departures.swapped(table(1, "1.0.0", canary="1.1.0"))

    assert [one.target for one in lapsed] == [target("1.1.0")]
    assert gateway.departures() == ()


def test_a_version_that_comes_back_is_no_longer_told_of_and_begins_afresh_when_it_leaves_again() -> None:
    gateway = Gateway()
    gateway.departures.swapped(table(1, "1.0.0"))
    gateway.sends("1.0.0")
    gateway.departures.swapped(table(2, "1.1.0"))
    gateway.answers("1.0.0")
    gateway.departures.swapped(table(3, "1.0.0"))
    assert [one.target for one in gateway.departures()] == [target("1.1.0")]

    gateway.departures.swapped(table(4, "1.1.0"))

    assert gateway.only() == Departed(target("1.0.0"), epoch=4, in_flight=0, strays=0, last_stray=None)


def test_only_the_latest_are_remembered_and_those_with_requests_under_way() -> None:
    # given
    gateway = Gateway()
    versions = [f"1.{minor}.0" for minor in range(REMEMBERED + 10)]
    gateway.sends(versions[0])

    # when
    for epoch, version in enumerate(versions):
        gateway.departures.swapped(table(epoch, version))

    # then
    told = [str(one.target.version) for one in gateway.departures()]
    assert told == [versions[0], *versions[-REMEMBERED - 1 : -1]]
    gateway.answers(versions[0])
    assert len(gateway.departures()) == REMEMBERED
