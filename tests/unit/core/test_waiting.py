"""What keeps data from ever coming is named, with the way out of it."""

from dataclasses import replace

import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.assessing import Assessment, GuardVerdict
from serving.core.policy import Pinned
from serving.core.standing import Held, Rollout, State
from serving.core.totals import ArmTotals, Totals
from serving.core.underway import Terms, Underway
from serving.core.verdicts import Finding
from serving.core.waiting import Sight, Wait, wait_of, word_awaited
from tests.fakes.rollout_world import BEGIN

POLICY = b"""
policy: 1
unit: {key: [header:x-user-id], missing: production}
stages:
  - {name: canary, weight: 0.05, need: {units: 10, safe: [errors]}, approve: {role: release}}
  - {name: full, weight: 1.0}
guards:
  - {id: errors, metric: error}
  - {id: p99, metric: latency, quantile: 0.99, worse: {ratio: 1.5}}
  - {id: drift, metric: output, worse: {js: 0.1}}
  - {id: thumbs, metric: reward, worse: {drop: 0.1}}
"""
PINNED = parse_policy(POLICY)
EDGES, CLASSES = (0.1, 0.2), ("cat", "dog")


def underway(
    state: State = State.RAMPING, held: Held | None = None, *, edges: tuple[float, ...] = EDGES, classes: tuple[str, ...] = CLASSES
) -> Underway:
    rollout = Rollout("digits", "1.1.0", "c" * 64, PINNED.digest, "ada", state, entered=BEGIN, held=held)
    return Underway("digits-1.1.0-2", rollout, POLICY.decode(), BEGIN, Terms.of(PINNED.policy, 0), edges, classes)


def verdicts(*unheard: str, finding: Finding = Finding.SAFE) -> tuple[GuardVerdict, ...]:
    return tuple(GuardVerdict(guard.id, finding, guard.id not in unheard, "seen") for guard in PINNED.policy.guards)


def wait(pinned: Pinned, stands: Underway, sight: Sight) -> Wait:
    found = wait_of(pinned.policy, stands, sight)
    assert found is not None
    return found


def test_latencies_that_nobody_could_measure_yet_are_named_before_the_guards_that_miss_them() -> None:
    found = wait(PINNED, underway(edges=()), Sight(Assessment(verdicts("p99", finding=Finding.UNDECIDED), 5)))

    assert found.what == "production's latencies to be measured"
    assert "who are those with a routing key" in found.remedy
    assert found.since == BEGIN


def test_answers_without_labels_are_named() -> None:
    found = wait(PINNED, underway(classes=()), Sight(Assessment(verdicts("drift", finding=Finding.UNDECIDED), 5)))

    assert found.what == "production's answers to be sorted"


def test_feedback_that_nobody_gives_is_named_and_the_guard_that_can_be_gone_past() -> None:
    held = Held("no data", State.RAMPING, is_passing=True, since=BEGIN)

    found = wait(PINNED, underway(State.HELD, held), Sight(Assessment(verdicts("thumbs"), 20)))

    assert found.what == "feedback on the candidate's answers"
    assert "POST /v1/feedback" in found.remedy
    assert "pointsman advance digits --override thumbs --reason WHY" in found.remedy


@pytest.mark.parametrize(("units", "keyless"), [(1, 900), (0, 0)])
def test_keys_are_not_missed_where_some_have_one_or_nobody_calls(units: int, keyless: int) -> None:
    sight = Sight(Assessment(verdicts(), units), Totals(production=ArmTotals(keyless=keyless)))

    assert "routing key" not in wait(PINNED, underway(), sight).what


def test_what_only_takes_time_needs_nothing_to_be_done_and_says_how_it_ends() -> None:
    found = wait(PINNED, underway(), Sight(Assessment(verdicts(), 3)))

    assert found.what == "3 of 10 units; the word of release"
    assert found.remedy == "nothing need be done; what is not there 1 d after the stage began never is, and it is held"


def test_harm_that_holds_is_gone_past_only_by_naming_the_guard() -> None:
    held = Held("it fails", State.RAMPING, since=BEGIN)
    verdict = GuardVerdict("errors", Finding.HARM, has_data=True, sentence="it fails")

    found = wait(PINNED, underway(State.HELD, held), Sight(Assessment((verdict,), 20)))

    assert "--override errors --reason WHY" in found.remedy
    assert "resume" not in found.remedy


def test_who_is_live_and_does_harm_that_only_holds_waits_for_somebody_who_takes_it_back() -> None:
    verdict = GuardVerdict("drift", Finding.HARM, has_data=True, sentence="other answers")
    live = underway(State.LIVE)
    warm = replace(live, rollout=replace(live.rollout, warm_until=BEGIN))

    found = wait(PINNED, warm, Sight(Assessment((verdict,), 20)))

    assert "drift: other answers" in found.what
    assert "pointsman rollback digits" in found.remedy
    assert wait_of(PINNED.policy, live, Sight(Assessment((verdict,), 20))) is None


@pytest.mark.parametrize("state", [State.LIVE, State.SUPERSEDED, State.ROLLED_BACK])
def test_what_is_live_or_over_waits_for_nothing(state: State) -> None:
    assert wait_of(PINNED.policy, underway(state), Sight()) is None


def test_a_word_is_awaited_only_when_nothing_else_is() -> None:
    rollout = underway().rollout
    ready, early = Assessment(verdicts(), 10), Assessment(verdicts(), 9)

    assert word_awaited(PINNED.policy, rollout, ready) == "release"
    assert word_awaited(PINNED.policy, rollout, early) == ""
    assert word_awaited(PINNED.policy, replace(rollout, approvals=("grace",)), ready) == ""
