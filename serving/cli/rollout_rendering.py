"""How rollouts read in a terminal."""

from collections.abc import Iterator
from math import log

from rich.console import RenderableType
from rich.text import Text

from serving.cli.output import Json, facts, moment, stack, table
from serving.cli.verifying import instant

_TEN = log(10)


def render_rollout(stands: Json) -> RenderableType:
    """How a rollout stands, and what its guards say."""
    return stack(
        Text(stands["sentence"]),
        "",
        facts(
            [
                ("rollout", stands["id"]),
                ("stages", " ".join(_stage(stands, index) for index in range(len(stands["stages"])))),
                ("seen", f"{stands['units']:,} trials and {stands['pairs']:,} pairs in this stage, {stands['looks']:,} looks"),
                ("started by", stands["author"]),
                ("in it since", moment(stands["entered"])),
                ("deadline", moment(stands["ends"])),
                ("approved by", ", ".join(stands["approvals"])),
                ("overridden", ", ".join(stands["overridden"])),
                ("looked", moment(stands["looked"]) + (f", NOT SINCE: {stands['blind']}" if stands["blind"] else "")),
                ("lease", f"{stands['lease_seconds']:g} s without the controller, then its callers go to production"),
                ("trouble", stands["trouble"]),
                ("waits", stands["waits"]),
                *_refused(stands),
            ]
        ),
        *([_verdicts(stands)] if stands["verdicts"] else []),
    )


def render_explained(stands: Json) -> RenderableType:
    """One sentence for the rollout, one for each guard, and the numbers behind them."""
    guards: list[RenderableType] = []
    for verdict in stands["verdicts"]:
        says = Text(f"{verdict['guard']}: {verdict['finding']}: {verdict['sentence']}")
        guards += ["", says, facts([*_evidence(verdict["numbers"]), *_others(verdict["numbers"])])]
    refused = _refused(stands)
    waits = [Text(_sentence(stands["waits"]))] if stands["waits"] else []
    return stack(Text(stands["sentence"]), *waits, *(["", facts(refused)] if refused else []), *guards)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def render_receipt(found: Json) -> RenderableType:
    """The moments of a rollback."""
    receipt = found["receipt"]
    return facts(
        [
            ("rollout", found["rollout"]),
            ("reason", receipt["reason"]),
            ("signal", receipt["signal"] or f"{receipt['actor']}, by hand"),
            ("epoch", receipt["epoch"]),
            ("detected", instant(receipt["detected"])),
            ("decided", instant(receipt["decided"])),
            ("flipped", instant(receipt["flipped"]) or "NOT FLIPPED"),
            ("last late answer", instant(receipt["last_stray"]) or "none"),
            ("verified", instant(receipt["verified"]) or ("NOT VERIFIED, paged" if receipt["is_escalated"] else "not yet")),
        ]
    )


def render_rollouts(past: Json) -> RenderableType:
    """All rollouts of a family."""
    rows = [(one["id"], one["version"], one["author"], moment(one["opened"]), one["state"], one["reason"]) for one in past["rollouts"]]
    return table(("rollout", "version", "author", "opened", "state", "why"), rows) if rows else "no rollout was logged"


def render_outlooks(planned: Json) -> RenderableType:
    """What to expect."""
    rows = [
        (
            one["stage"],
            one["guard"],
            _span(one["safe_after_seconds"]),
            _span(one["caught_after_seconds"]),
            "" if one["failed_requests"] is None else f"{one['failed_requests']:.1f}",
        )
        for one in planned["outlooks"]
    ]
    return stack(
        table(("stage", "guard", "safe after", "regression caught after", "requests it fails"), rows),
        facts(
            [
                ("shortest time to live", _span(planned["least_seconds"])),
                ("false rollbacks", f"{planned['false_rollbacks_a_year']:.2f} a year, with one rollout a week"),
                ("never", "not in ten million answers, or not by a regression of this kind"),
            ]
        ),
    )


def _refused(stands: Json) -> list[tuple[str, object]]:
    return [(f"refused from {one['source']}", one["why"]) for one in stands["refused"]]


def _evidence(numbers: Json) -> Iterator[tuple[str, str]]:
    """What there is of it, and what it takes; as powers of ten, since it may be anything."""
    for finding in ("harm", "safe"):
        log_e, enough = numbers.get(f"log_e_{finding}"), numbers.get(f"{finding}_at")
        if log_e is not None and enough is not None:
            yield f"for {finding}", f"10^{log_e / _TEN:.1f} to 1, and 10^{enough / _TEN:.1f} to 1 is enough"


def _others(numbers: Json) -> Iterator[tuple[str, str]]:
    for name, value in sorted(numbers.items()):
        if value is not None and not name.startswith("log_e_") and not name.endswith("_at"):
            yield name.replace("_", " "), f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _verdicts(stands: Json) -> RenderableType:
    overridden = {*stands["overridden"]}
    rows = [
        (
            one["guard"],
            (one["finding"].upper() if one["finding"] == "harm" else one["finding"])
            + (", overridden" if one["guard"] in overridden else ""),
            one["sentence"],
        )
        for one in stands["verdicts"]
    ]
    return table(("guard", "says", "because"), rows)


def _stage(stands: Json, index: int) -> str:
    stage = stands["stages"][index]
    share = f"{stage['weight']:g} %" if stage["weight"] else f"copies of {stage['mirror']:g} %"
    return f"[{stage['name']} {share}]" if index == stands["stage"] else f"{stage['name']} {share}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
