"""Draws a rollout's chart. The one home of matplotlib, which is an extra: pip install 'pointsman[chart]'."""

from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from serving.core.charting import Chart, Mark, Point, Strip
from serving.core.standing import State
from serving.core.verdicts import Finding

HARM, SAFE, UNDECIDED, INK, PALE = "#c0392b", "#1e8449", "#b3b6b7", "#1b2631", "#5d6d7e"
_COLOURS: Final = {Finding.HARM: HARM, Finding.SAFE: SAFE, Finding.UNDECIDED: UNDECIDED}
_STATES: Final = {State.LIVE: SAFE, State.ROLLED_BACK: HARM, State.ROLLING_BACK: HARM, State.HELD: "#b9770e"}
_WIDTH, _SHARE_HEIGHT, _STRIP_HEIGHT, _HEAD = 11.0, 2.3, 1.25, 1.45
"""Inches."""

_LOWEST: Final = -3.0
"""Evidence against a claim is not drawn below a thousandth: it goes down without end while the other claim holds."""

_WIDEST: Final = 130
"""Characters of a sentence that fit on a strip."""


def draw(chart: Chart, file: Path) -> None:
    """Write the picture in the form that the file's suffix names: png, svg or pdf."""
    # Fixed ids and no date: the same log gives the same bytes.
    with rc_context({"svg.hashsalt": "pointsman", "font.size": 8, "font.family": "DejaVu Sans"}):
        figure = _figure(chart)
        metadata = {"Date": None} if file.suffix == ".svg" else None
        figure.savefig(file, dpi=130, metadata=metadata)


def _figure(chart: Chart) -> Figure:
    heights = [_SHARE_HEIGHT, *(_STRIP_HEIGHT for _ in chart.strips)]
    whole = sum(heights) + _HEAD
    figure = Figure(figsize=(_WIDTH, whole))
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    figure.subplots_adjust(left=0.075, right=0.985, top=1 - 1.0 / whole, bottom=0.48 / whole, hspace=0.42)
    unit, in_unit = _unit(chart.ended)
    _title(figure, chart, whole)
    _shares(axes[0], chart, in_unit)
    for axis, strip in zip(axes[1:], chart.strips, strict=True):
        _strip(axis, strip, in_unit)
    for axis in axes:
        _plain(axis)
        for mark in chart.marks:
            axis.axvline(in_unit(mark.seconds), color=HARM if mark.is_bad else PALE, linewidth=0.6, alpha=0.6)
    axes[-1].set_xlabel(f"{unit} since {chart.opened.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    axes[-1].set_xlim(0, max(in_unit(chart.ended) * 1.01, 1e-9))
    return figure


def _unit(seconds: float) -> tuple[str, Callable[[float], float]]:
    for name, length in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds > 2 * length:
            return name, lambda value, length=length: value / length
    return "seconds", lambda value: value


def _title(figure: Figure, chart: Chart, whole: float) -> None:
    name = f"{chart.family}@{chart.version}"
    figure.text(0.012, 1 - 0.22 / whole, name, fontsize=13, color=INK, weight="bold", va="center")
    key = (
        "solid: evidence for harm (red) and for safe (green), cut off a little above what it takes (dashed); "
        "bar: the verdict, grey while undecided"
    )
    figure.text(0.012, 1 - 0.45 / whole, key, fontsize=7, color=PALE, va="center")
    state = chart.state.value.replace("_", " ")
    figure.text(0.985, 1 - 0.22 / whole, state, fontsize=12, color=_STATES.get(chart.state, PALE), weight="bold", ha="right", va="center")


def _shares(axis: Axes, chart: Chart, in_unit: Callable[[float], float]) -> None:
    times = [in_unit(share.seconds) for share in chart.shares] + [in_unit(chart.ended)]
    callers = [share.callers for share in chart.shares] + [chart.shares[-1].callers]
    copies = [share.copies or float("nan") for share in (*chart.shares, chart.shares[-1])]
    axis.fill_between(times, callers, step="post", color="#2e86c1", alpha=0.35, linewidth=0, label="callers")
    axis.step(times, callers, where="post", color="#2e86c1", linewidth=1.4)
    if any(share.copies for share in chart.shares):
        axis.step(times, copies, where="post", color=PALE, linewidth=1.1, linestyle=(0, (4, 2)), label="copies (shadow)")
    axis.set_ylim(0, 128)
    axis.set_yticks([0, 25, 50, 75, 100])
    axis.set_ylabel("% of traffic")
    _stages(axis, chart, in_unit)
    _marks(axis, chart.marks, in_unit, in_unit(chart.ended))
    axis.legend(loc="upper left", fontsize=7, frameon=False, ncols=2)


def _stages(axis: Axes, chart: Chart, in_unit: Callable[[float], float]) -> None:
    ends = [share.seconds for share in chart.shares[1:]] + [chart.ended]
    shown = ""
    for share, end in zip(chart.shares, ends, strict=True):
        wide = (end - share.seconds) / max(chart.ended, 1e-9)
        if share.stage and share.stage != shown and wide > 0.02 + 0.007 * len(share.stage):
            height = max(share.callers, share.copies)
            axis.text(in_unit((share.seconds + end) / 2), height + 4, share.stage, ha="center", color=INK, fontsize=7)
            shown = share.stage


def _marks(axis: Axes, marks: Sequence[Mark], in_unit: Callable[[float], float], end: float) -> None:
    """Labels above, on as many of three lines as keep them apart."""
    last = [-1.0, -1.0, -1.0]
    for mark in marks:
        at = in_unit(mark.seconds) / max(end, 1e-9)
        line = next((index for index, taken in enumerate(last) if at >= taken), None)
        if line is None:
            continue
        last[line] = at + 0.009 * len(mark.label) + 0.01
        side = "right" if at > 0.9 else "left"  # noqa: PLR2004 - the last tenth has no room to the right
        axis.annotate(
            mark.label,
            (min(at, 1.0), 1.0),
            xycoords="axes fraction",
            xytext=(1 if side == "left" else -1, 2 + 8 * line),
            textcoords="offset points",
            fontsize=6.5,
            color=HARM if mark.is_bad else PALE,
            ha=side,
            va="bottom",
        )


def _strip(axis: Axes, strip: Strip, in_unit: Callable[[float], float]) -> None:
    times = [in_unit(point.seconds) for point in strip.points]
    top = _LOWEST
    for name, colour in (("harm", HARM), ("safe", SAFE)):
        values: list[float | None] = [getattr(point, name) for point in strip.points]
        limits: list[float | None] = [getattr(point, f"{name}_from") for point in strip.points]
        if all(value is None for value in values):
            continue
        ceiling = max((limit for limit in limits if limit is not None), default=0.0) * 1.25
        axis.plot(times, [_within(value, ceiling) for value in values], color=colour, linewidth=1.2, label=f"for {name}")
        axis.plot(times, [_within(limit, ceiling) for limit in limits], color=colour, linewidth=0.9, linestyle=(0, (3, 2)))
        top = max(top, ceiling)
    axis.set_ylim(_LOWEST - 0.8, max(top * 1.06, 1.0))
    axis.axhline(0, color=UNDECIDED, linewidth=0.5)
    _verdicts(axis, strip.points, times)
    axis.set_ylabel("evidence\n(powers of ten)", fontsize=6.5)
    axis.set_title(strip.guard, loc="left", fontsize=8.5, weight="bold", color=INK, pad=3)
    sentence = strip.sentence if len(strip.sentence) <= _WIDEST else f"{strip.sentence[: _WIDEST - 1]}…"
    axis.set_title(sentence, loc="right", fontsize=6.5, color=PALE, pad=3)


def _within(value: float | None, ceiling: float) -> float:
    return float("nan") if value is None else min(max(value, _LOWEST), ceiling)


def _verdicts(axis: Axes, points: Sequence[Point], times: Sequence[float]) -> None:
    """A bar at the foot: what the guard said from one look to the next."""
    low, high = _LOWEST - 0.75, _LOWEST - 0.25
    begin = 0
    for index in range(1, len(points) + 1):
        if index == len(points) or points[index].finding is not points[begin].finding:
            # What was said at the last look is shown too, though nothing comes after it.
            end = times[index] if index < len(points) else times[-1] + 0.006 * (times[-1] - times[0])
            axis.fill_between([times[begin], end], low, high, color=_COLOURS[points[begin].finding], linewidth=0)
            begin = index


def _plain(axis: Axes) -> None:
    axis.tick_params(labelsize=7, colors=PALE, length=2)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(UNDECIDED)
