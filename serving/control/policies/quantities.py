"""The quantities of a policy as people write them: `10m`, `16MiB`, `0 in 10s`, `errors in 5m`, `Sun 02:00-05:00`."""

import re
from datetime import timedelta
from typing import Self

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTES_OF_DAY = 24 * 60


class Quantity:
    """Something written as a text that is one of a kind; equal when it means the same. Raises `ValueError` for another text."""

    __slots__ = ("text",)
    example = ""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read it. Raises `ValueError`, which says how it is written."""
        raise NotImplementedError

    @classmethod
    def refused(cls, text: object) -> ValueError:
        """What to say against a text."""
        return ValueError(f"{str(text)[:40]!r} is not written like {cls.example!r}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text})"


class Duration(Quantity):
    """A number with its unit: ms, s, m, h or d."""

    __slots__ = ("span",)
    example = "10m"

    def __init__(self, span: timedelta) -> None:
        self.span = span
        super().__init__(_spelled(span))

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `90s`, `1.5h`, `2d`."""
        found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)", text) if isinstance(text, str) else None
        if found is None:
            raise cls.refused(text)
        return cls(timedelta(seconds=round(float(found[1]) * _UNITS[found[2]], 3)))


def _spelled(span: timedelta) -> str:
    # The largest unit that leaves no fraction, so that 90m and 1.5h are one policy and have one digest.
    milliseconds = round(span.total_seconds() * 1000)
    for unit in ("d", "h", "m", "s"):
        of_unit = round(_UNITS[unit] * 1000)
        if milliseconds % of_unit == 0:
            return f"{milliseconds // of_unit}{unit}"
    return f"{milliseconds}ms"


class Size(Quantity):
    """Bytes, KiB, MiB or GiB."""

    __slots__ = ("count",)
    example = "16MiB"

    def __init__(self, count: int) -> None:
        self.count = count
        unit = next(unit for unit, size in reversed(_SIZES.items()) if count % size == 0)
        super().__init__(f"{count // _SIZES[unit]}{unit}")

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `512KiB`."""
        found = re.fullmatch(r"([1-9][0-9]{0,8})(B|KiB|MiB|GiB)", text) if isinstance(text, str) else None
        if found is None:
            raise cls.refused(text)
        return cls(int(found[1]) * _SIZES[found[2]])


class Strays(Quantity):
    """At most so many stray answers in a time."""

    __slots__ = ("count", "within")
    example = "0 in 10s"

    def __init__(self, count: int, within: Duration) -> None:
        self.count, self.within = count, within
        super().__init__(f"{count} in {within}")

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `0 in 10s`."""
        found = re.fullmatch(r"([0-9]{1,6}) in (\S+)", text) if isinstance(text, str) else None
        if found is None:
            raise cls.refused(text)
        return cls(int(found[1]), Duration.parse(found[2]))


class Recovery(Quantity):
    """A guard that must be well again within a time."""

    __slots__ = ("guard", "within")
    example = "errors in 5m"

    def __init__(self, guard: str, within: Duration) -> None:
        self.guard, self.within = guard, within
        super().__init__(f"{guard} in {within}")

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `errors in 5m`."""
        found = re.fullmatch(r"([a-z][a-z0-9_-]{0,62}) in (\S+)", text) if isinstance(text, str) else None
        if found is None:
            raise cls.refused(text)
        return cls(found[1], Duration.parse(found[2]))


class Window(Quantity):
    """A time of the week, UTC; minutes from Monday 00:00."""

    __slots__ = ("end", "start")
    example = "Sun 02:00-05:00"

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        day, begins = divmod(start, _MINUTES_OF_DAY)
        ends = end - day * _MINUTES_OF_DAY
        super().__init__(f"{_DAYS[day]} {begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}")

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `Sun 02:00-05:00`; it ends on the day it begins."""
        found = re.fullmatch(r"(\w{3}) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})", text) if isinstance(text, str) else None
        if found is None or found[1] not in _DAYS:
            raise cls.refused(text)
        begins, ends = (int(found[hour]) * 60 + int(found[minute]) for hour, minute in ((2, 3), (4, 5)))
        if not begins < ends <= _MINUTES_OF_DAY:
            raise cls.refused(text)
        day = _DAYS.index(found[1]) * _MINUTES_OF_DAY
        return cls(day + begins, day + ends)


QUANTITIES: tuple[type[Quantity], ...] = (Duration, Size, Strays, Recovery, Window)
