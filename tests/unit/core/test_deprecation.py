from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.versions import ModelVersion
from serving.core.deprecation import Deprecation, deprecated_anew, header_lines

V1 = ModelVersion.parse("1.0.0")
SINCE = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_header_is_the_one_of_rfc_9745() -> None:
    # its example: Friday, June 30, 2023 at 23:59:59 UTC
    assert header_lines(Deprecation(datetime(2023, 6, 30, 23, 59, 59, tzinfo=UTC))) == "deprecation: @1688169599\r\n"


def test_the_sunset_is_the_one_of_rfc_8594() -> None:
    # its example
    one = Deprecation(datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 12, 31, 23, 59, 59, tzinfo=UTC))

    assert header_lines(one).endswith("\r\nsunset: Mon, 31 Dec 2018 23:59:59 GMT\r\n")


@given(st.integers(0, 10**9), st.integers(-12, 14))
def test_a_sunset_means_the_same_moment_whatever_its_zone(seconds: int, hours: int) -> None:
    sunset = (SINCE + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=hours)))

    told = header_lines(Deprecation(SINCE, sunset)).splitlines()[1].removeprefix("sunset: ")

    assert parsedate_to_datetime(told) == sunset


@pytest.mark.parametrize("sunset", [SINCE - timedelta(seconds=1), datetime(2031, 1, 1)])  # noqa: DTZ001 - the point
def test_a_sunset_before_the_deprecation_or_without_a_zone_is_none(sunset: datetime) -> None:
    with pytest.raises(ValueError, match="deprecations"):
        Deprecation(SINCE, sunset)


def test_who_is_deprecated_again_stays_so_since_the_first_time() -> None:
    later = SINCE + timedelta(days=9)

    once = deprecated_anew({}, V1, SINCE, None)
    again = deprecated_anew(once, V1, later, later)

    assert (again[V1].since, again[V1].sunset) == (SINCE, later)
