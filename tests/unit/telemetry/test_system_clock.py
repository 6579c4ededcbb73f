"""The real clock."""

from datetime import UTC, datetime, timedelta

from serving.telemetry.clock import SystemClock


def test_now_is_the_machines_time_in_utc() -> None:
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()
