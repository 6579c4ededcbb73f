"""The command that practises a rollback: drill."""

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from serving.cli.commands import Session, add_command
from serving.cli.failures import DrillFailed
from serving.cli.options import FamilyName, ReasonOption
from serving.cli.output import Json, facts, moment, stack, table

PROOF_SECONDS = 20.0
"""For both proofs of a drill together."""

REHEARSED = ("began", "detected", "decided", "flipped", "last_stray", "verified")
TIMES = ("detected", "decided", "flipped", "last_stray", "verified", "restored")


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, drill, panel="Change who answers")


def drill(
    session: Session,
    family: FamilyName,
    reason: ReasonOption = "",
    *,
    inject: Annotated[
        str,
        typer.Option(
            "--inject",
            metavar="errors|slow|constant",
            help="Make up a bad version on a route of its own, for the guards to catch.",
            show_default=False,
        ),
    ] = "",
    look: Annotated[
        bool, typer.Option("--list", help="Hold none: list the past ones and when the next is due.", show_default=False)
    ] = False,
) -> None:
    """Practise a rollback: roll back for real, prove it, and restore. Takes a second or two; callers are answered throughout.

    With --inject the guards are practised instead: they must catch a bad version that is made up, and that no caller ever reaches.
    """
    with session.client() as client:
        if look:
            standing = client.get("families", family, "drills")
            session.output.data(standing, lambda: _standing(standing))
            for complaint in standing["complaints"]:
                session.output.note(f"warning: {complaint}")
            return
        held = client.send("POST", ("families", family, "drills"), body={"reason": reason, "timeout": PROOF_SECONDS, "inject": inject})
    session.output.data(held, lambda: render_drill(family, held))
    if not held["passed"]:
        raise DrillFailed(family, str(held["failure"]))


def render_drill(family: str, held: Json) -> RenderableType:
    """A drill's moments, each with the seconds since it was asked for."""
    verdict = "passed" if held["passed"] else "FAILED"
    if held["injected"]:
        return _rehearsal(family, held, verdict)
    return stack(
        f"{family}: the drill {verdict}: from {held['version']} to {held['to']} and back",
        facts([(name.replace("_", " "), _time(held["times"], name)) for name in TIMES]),
    )


def _rehearsal(family: str, held: Json, verdict: str) -> RenderableType:
    took = held["caught_seconds"]
    times = held["times"]
    began = times["began"] or times["detected"]
    rows = [(name.replace("_", " "), _since(times[name], began)) for name in REHEARSED]
    return stack(
        f"{family}: the rehearsal of a version with {held['injected']} {verdict}"
        + ("" if took is None else f": {held['signal']} caught it after {took * 1000:,.0f} ms"),
        facts([*rows, ("because", held["reason"])]),
    )


def _since(stamp: str | None, began: str) -> str:
    return "none" if stamp is None else f"{stamp[11:23]}Z  +{_seconds(began, stamp) * 1000:,.0f} ms"


def _time(times: dict[str, str | None], name: str) -> str:
    stamp, began = times[name], times["detected"]
    if stamp is None or began is None:
        return "none" if name == "last_stray" else ""
    return f"{stamp[11:23]}Z  +{_seconds(began, stamp) * 1000:,.0f} ms"


def _seconds(begin: str, end: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - only where something is rendered

    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def _standing(standing: Json) -> RenderableType:
    due, trend = standing["due"], standing["trend"]
    about: list[tuple[str, Any]] = [
        (
            "next",
            "none is due: the policy has no drills, or there is no way back" if due is None else f"by {moment(due['by'])}: {due['why']}",
        ),
        ("held", ", ".join(standing["windows"]) or ("" if due is None else "when it is known when there is the least traffic")),
        ("passed", f"{trend['passed']} of {trend['drills']}"),
        ("until verified", "" if trend["median"] is None else f"median {trend['median']:.3f} s, worst {trend['worst']:.3f} s"),
    ]
    caught = standing["caught"]
    if caught["drills"]:
        seen = "" if caught["median"] is None else f", seen after {caught['median']:.3f} s in the median, {caught['worst']:.3f} s at worst"
        about.append(("bad versions caught", f"{caught['passed']} of {caught['drills']}{seen}"))
    columns = ("when", "from", "to", "who", "verified ms", "outcome")
    rows = [_row(one) for one in standing["drills"]]
    return stack(facts(about), *(["", table(columns, rows)] if rows else []))


def _row(one: Json) -> tuple[object, ...]:
    took = one["verified_seconds"]
    verified = "" if took is None else f"{took * 1000:,.0f}"
    return (
        moment(one["times"]["detected"]),
        one["version"],
        f"rehearsed {one['injected']}" if one["injected"] else one["to"],
        one["actor"],
        verified,
        "passed" if one["passed"] else one["failure"],
    )
