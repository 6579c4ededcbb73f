from datetime import UTC, datetime, timedelta

import pytest

from registry_client.versions import Bump, ModelVersion
from serving.core.drills import DrillResult, Practice, complaints, due, is_time, obstacles, trend_of
from serving.core.policy import Drill, StaleDrill
from serving.core.quiet import Window
from serving.core.standing import Receipt

NOON = datetime(2030, 1, 9, 12, tzinfo=UTC)
POLICY = Drill(after=Bump.MAJOR, within=timedelta(days=7), every=timedelta(days=30), max_age=timedelta(days=45))
V1, V1_1, V2 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "2.0.0"))


def days(number: float) -> timedelta:
    return timedelta(days=number)


def result(at: datetime, *, failure: str = "", seconds: float = 1.0) -> DrillResult:
    receipt = Receipt("practice", "drill", "auto", at, at, at, 7, None, at + timedelta(seconds=seconds))
    return DrillResult(f"drill-{at:%d%H%M}", V2, V1, receipt, at + timedelta(seconds=2), failure)


def practice(*results: DrillResult, production: ModelVersion = V2, since: datetime = NOON) -> Practice:
    return Practice(production, since, V1, results)


def test_after_a_large_step_it_is_due_at_once_and_soon() -> None:
    wanted = due(POLICY, practice())

    assert (wanted.since, wanted.by) == (NOON, NOON + days(7))
    assert "MAJOR" in wanted.why


def test_after_a_smaller_step_it_is_due_when_the_last_one_is_old_enough() -> None:
    wanted = due(POLICY, practice(result(NOON - days(3)), production=V1_1))

    assert (wanted.since, wanted.by) == (NOON + days(27), NOON + days(42))


def test_a_family_that_never_drilled_is_to_begin() -> None:
    wanted = due(POLICY, practice(production=V1_1))

    assert (wanted.since, wanted.by) == (NOON, NOON + days(30))


def test_a_large_step_that_was_drilled_is_drilled_again_only_in_time() -> None:
    wanted = due(POLICY, practice(result(NOON + days(1))))

    assert wanted.since == NOON + days(31)


def test_a_drill_that_failed_does_not_count_as_one() -> None:
    assert due(POLICY, practice(result(NOON + days(1), failure="no"))).by == NOON + days(7)


@pytest.mark.parametrize(
    ("at", "windows", "expected"),
    [
        (NOON, (Window(2 * 1440 + 12 * 60, 2 * 1440 + 13 * 60),), True),
        (NOON, (Window(0, 60), Window(2 * 1440 + 12 * 60, 2 * 1440 + 13 * 60)), True),
        (NOON, (Window(2 * 1440 + 13 * 60, 2 * 1440 + 14 * 60),), False),
        (NOON - timedelta(minutes=1), (Window(0, 7 * 1440),), False),
        (NOON + days(365), (), False),
    ],
)
def test_it_is_time_when_it_is_due_and_quiet_and_never_while_nobody_knows_when_that_is(
    at: datetime, windows: tuple[Window, ...], *, expected: bool
) -> None:
    assert is_time(due(POLICY, practice()), windows, at) is expected


def test_all_is_well_until_the_last_day() -> None:
    assert complaints(POLICY, practice(), NOON + days(7)) == ()
    assert complaints(POLICY, practice(result(NOON + days(1))), NOON + days(46)) == ()


@pytest.mark.parametrize(
    ("known", "at", "why"),
    [
        (practice(), NOON + days(7.1), "a drill was due by 2030-01-16"),
        (practice(result(NOON + days(1))), NOON + days(46.1), "more than 45 days ago"),
        (
            practice(result(NOON + days(2), failure="not verified"), result(NOON + days(1))),
            NOON + days(3),
            "failed on 2030-01-11: not",
        ),
        (practice(production=V1_1), NOON + days(31), "no drill has ever passed"),
    ],
)
def test_a_stale_or_failed_drill_stands_in_the_way_and_says_what_to_do(known: Practice, at: datetime, why: str) -> None:
    [obstacle] = obstacles(POLICY, known, at)

    assert why in obstacle
    assert "pointsman drill" in obstacle


def test_a_policy_may_leave_it_at_a_warning() -> None:
    lax = Drill(stale=StaleDrill.WARN)

    assert obstacles(lax, practice(), NOON + days(90)) == ()
    assert complaints(lax, practice(), NOON + days(90))


def test_the_trend_is_of_the_drills_that_passed() -> None:
    trend = trend_of(
        [result(NOON, seconds=0.2), result(NOON, failure="no", seconds=9), result(NOON, seconds=0.4), result(NOON, seconds=0.6)]
    )

    assert (trend.drills, trend.passed) == (4, 3)
    assert (trend.newest, trend.median, trend.worst) == (0.2, 0.4, 0.6)
    assert trend_of([]).median is None
