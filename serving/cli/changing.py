"""The commands that change who answers: canary, shadow, promote, rollback, release, tag, untag."""

from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import telling_if_interrupted
from serving.cli.loading import ensure_loaded, refuse_override
from serving.cli.options import FamilyName, LoadTimeout, ReasonOption, VersionName
from serving.cli.output import Json, stack
from serving.cli.percent import parse_percent
from serving.cli.rendering import render_changed, render_plan
from serving.cli.settling import SETTLE_SECONDS, refuse_unsettled
from serving.cli.verifying import VERIFY_SECONDS, ask_for_proof, committed_by, refuse_unproven, render_proof

OverrideFlag = Annotated[
    bool,
    typer.Option("--override", help="Though it was rolled back, or leaves consumers behind; needs a --reason.", show_default=False),
]
TagName = Annotated[str, typer.Argument(metavar="TAG", help="candidate, staging or deprecated.")]
WaitFlag = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until every live gateway serves the change.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for function in (canary, shadow, promote, rollback, release, tag, untag):
        add_command(app, function, panel="Change who answers")


def canary(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    weight: Annotated[
        str, typer.Option("--weight", "-w", metavar="PERCENT", help="Percent of the callers, e.g. 10, 2.5 or 10%; 0 ends it.")
    ],
    reason: ReasonOption = "",
    *,
    override: OverrideFlag = False,
    wait: WaitFlag = True,
    timeout: LoadTimeout = 120.0,
) -> None:
    """Let a version answer some of the callers; the same callers stay in as the weight grows."""
    body: Json = {"version": version, "weight": parse_percent(weight), "reason": reason, "override": override}
    _split(session, family, "canary", body, wait=wait, timeout=timeout)


def shadow(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    percent: Annotated[str, typer.Option("--percent", "-p", metavar="PERCENT", help="Percent of the requests to copy; 0 ends it.")] = "100",
    reason: ReasonOption = "",
    *,
    override: OverrideFlag = False,
    wait: WaitFlag = True,
    timeout: LoadTimeout = 120.0,
) -> None:
    """Send a version copies of requests and compare its answers; callers never see them."""
    body: Json = {"version": version, "weight": parse_percent(percent), "reason": reason, "override": override}
    _split(session, family, "shadow", body, wait=wait, timeout=timeout)


def _split(session: Session, family: str, kind: str, body: Json, *, wait: bool, timeout: float) -> None:
    with session.client() as client:
        if body["weight"] > 0:
            refuse_override(client, family, str(body["version"]), override=body["override"], reason=body["reason"])
            ensure_loaded(session, client, family, str(body["version"]), timeout=timeout)
        changed = client.change("PUT", family, kind, body={**body, "wait": SETTLE_SECONDS if wait else 0})
    said = (
        f"{family}: {body['version']} is {kind} with {body['weight']:g} %"
        if body["weight"]
        else f"{family}: {body['version']} is no {kind} any more"
    )
    _report(session, said, changed)


def promote(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    reason: ReasonOption = "",
    *,
    override: OverrideFlag = False,
    wait: WaitFlag = True,
    timeout: LoadTimeout = 120.0,
) -> None:
    """Make a version production; the one before stays loaded, ready to go back to."""
    with session.client() as client:
        refuse_override(client, family, version, override=override, reason=reason)
        ensure_loaded(session, client, family, version, timeout=timeout)
        body: Json = {"version": version, "reason": reason, "override": override, "wait": SETTLE_SECONDS if wait else 0}
        changed = client.change("POST", family, "promote", body=body)
    _report(session, f"{family}: {version} is in production", changed)


def rollback(
    session: Session,
    family: FamilyName,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="Go back to this version, not the last one.", show_default=False)
    ] = None,
    reason: ReasonOption = "",
    *,
    wait: WaitFlag = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.", show_default=False)] = False,
) -> None:
    """End the canaries; where there are none, put the previous production back. At once, and whatever else is wrong; then prove it."""
    body: Json = {"reason": reason, "dry_run": dry_run, "wait": SETTLE_SECONDS if wait and not dry_run else 0}
    if to is not None:
        body["to"] = to
    with session.client() as client:
        answer = client.roll_back(family, body)
    if dry_run:
        session.output.data(answer, lambda: render_plan(answer))
        return
    said = f"{family}: rolled back, {answer['production']} is in production"
    if not wait or not answer["settled"]["done"]:
        _report(session, said, answer)
        return
    unproven = telling_if_interrupted(f"{said}; it was not proven", f"prove it with `pointsman verify {family}`")
    with unproven, session.client() as client:
        proof = ask_for_proof(client, family, int(answer["epoch"]), VERIFY_SECONDS)
    proof["moments"]["committed"] = committed_by(answer, proof)
    session.output.data({**answer, "verified": proof}, lambda: stack(render_changed(said, answer), render_proof(proof)))
    refuse_unproven(proof)


def release(session: Session, family: FamilyName, version: VersionName, reason: ReasonOption = "") -> None:
    """Lift the quarantine of a version that was rolled back; it needs a --reason."""
    with session.client() as client:
        changed = client.change("POST", family, "release", body={"version": version, "reason": reason})
    _report(session, f"{family}: {version} may take traffic again", changed)


def tag(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    name: TagName,
    reason: ReasonOption = "",
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag off instead.", show_default=False)] = False,
    sunset: Annotated[
        str | None,
        typer.Option("--sunset", metavar="TIME", help="Of a deprecated version: when it ends, 2031-01-01T00:00:00Z.", show_default=False),
    ] = None,
) -> None:
    """Give a version a tag, or take it off; what is tagged stays loaded.

    Answers of deprecated versions carry Deprecation and Sunset headers, and who still calls them is counted.
    """
    with session.client() as client:
        if remove:
            changed = client.change("DELETE", family, "tags", name, version, query={"reason": reason})
        else:
            ends = {} if sunset is None else {"sunset": sunset}
            changed = client.change("PUT", family, "tags", name, body={"version": version, "reason": reason, **ends})
    _report(session, f"{family}: {version} is {'no longer ' if remove else ''}{name}", changed)


def untag(session: Session, family: FamilyName, version: VersionName, name: TagName, reason: ReasonOption = "") -> None:
    """Take a tag off a version."""
    tag(session, family, version, name, reason, remove=True)


def _report(session: Session, said: str, changed: Json) -> None:
    """Say what changed; a change that not every gateway took up in time is a failure, though it stands."""
    session.output.data(changed, lambda: render_changed(said, changed))
    refuse_unsettled(changed)
