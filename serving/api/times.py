"""Times that callers name: RFC 3339, with their zone, and not in the future."""

import re
from datetime import UTC, datetime

from registry_client.references import Tag
from serving.core.errors import PointsmanError

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class MalformedTime(PointsmanError):
    """A time that cannot be looked back to."""

    hint = "write the day, the time and the zone, e.g. 2030-01-02T03:04:05Z or 2030-01-02T03:04:05+01:00 (in a URL, + is %2B)"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"at: {text[:40]!r} {why}")


class SunsetRefused(PointsmanError):
    """A time until which a version cannot be deprecated."""

    hint = "write the day, the time and the zone, e.g. 2031-01-01T00:00:00Z, and only with the tag deprecated"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"sunset: {text[:40]!r} {why}")


def sunset_of(text: str | None, tag: Tag) -> datetime | None:
    """Until when a version answers. Raises `SunsetRefused`."""
    if text is None:
        return None
    if tag is not Tag.DEPRECATED:
        raise SunsetRefused(text, f"says when a version ends, which {tag.value} does not")
    try:
        if _RFC_3339.fullmatch(text) is not None:
            return _read(text)
    except ValueError:
        pass
    raise SunsetRefused(text, "is no time with a zone")


def _read(text: str) -> datetime:
    """Raises `ValueError` also for what is no time in UTC, which everything is compared in and kept as."""
    moment = datetime.fromisoformat(text.upper())
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        msg = "before the year 1 or after 9999 in UTC"
        raise ValueError(msg) from error
    return moment


def moment_of(text: str, now: datetime) -> datetime:
    """The time that a text names. Raises `MalformedTime`."""
    if _RFC_3339.fullmatch(text) is None:
        raise MalformedTime(text, "is no time with a zone")
    try:
        moment = _read(text)
    except ValueError as error:
        raise MalformedTime(text, "is no time that there is") from error
    if moment > now:
        raise MalformedTime(text, "is in the future")
    return moment
