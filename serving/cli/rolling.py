"""The commands of rollouts: start one, say a word to it, and see how it goes."""

import re
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from serving.cli.client import AdminClient
from serving.cli.commands import Session, add_command
from serving.cli.failures import CommandFailed, NoPlaceToWrite, NotFound
from serving.cli.loading import ensure_loaded, refuse_quarantined
from serving.cli.options import FamilyName, LoadTimeout, ReasonOption, VersionName
from serving.cli.output import Json, plural
from serving.cli.rollout_rendering import render_explained, render_outlooks, render_receipt, render_rollout, render_rollouts
from serving.cli.settling import SETTLE_SECONDS, refuse_unsettled

WATCH_SECONDS = 1.0
_TRACK = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""What can be a track's name; anything else is a file."""

ENDED = frozenset({"live", "rolled_back", "superseded"})

PolicyOption = Annotated[
    str, typer.Option("--policy", metavar="NAME|FILE", help="A track, or a policy's file; by the size of the step when left out.")
]
RolloutOption = Annotated[
    str, typer.Option("--rollout", metavar="ID", help="An earlier one; the newest when left out.", show_default=False)
]


class NotTheSame(CommandFailed):
    """A decision log that does not lead to what it says."""


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for function in (start, status, explain, hold, resume, advance, approve, retry, supersede, plan, receipt, rollouts, replay):
        add_command(app, function, panel="Rollouts")


def start(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    policy: PolicyOption = "",
    reason: ReasonOption = "",
    *,
    override: Annotated[
        str, typer.Option("--override", metavar="REASON", help="Start a version that was rolled back all the same.", show_default=False)
    ] = "",
    timeout: LoadTimeout = 120.0,
) -> None:
    """Start a rollout: the version gets to all callers stage by stage, or back, by what its guards see."""
    body: Json = {"version": version, "reason": reason, "override": override, "wait": SETTLE_SECONDS, **_policy(policy)}
    with session.client() as client:
        if not override:
            refuse_quarantined(client, family, version, "--override REASON")
        ensure_loaded(session, client, family, version, timeout=timeout)
        changed = client.send("POST", ("families", family, "rollout"), body=body)
        stands = client.get("families", family, "rollout")
    session.output.data({**changed, "rollout": stands}, lambda: Text(stands["sentence"]))
    refuse_unsettled(changed)


def status(
    session: Session,
    family: FamilyName,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every second, until it is over or live.", show_default=False)
    ] = False,
) -> None:
    """Tell how the family's rollout stands, what its guards say, and what it waits for."""
    with session.client() as client:
        stands = _stands(session, client, family)
        while watch and stands["state"] not in ENDED:
            time.sleep(WATCH_SECONDS)
            stands = _stands(session, client, family)


def _stands(session: Session, client: AdminClient, family: str) -> Json:
    stands = client.get("families", family, "rollout")
    session.output.data(stands, lambda: render_rollout(stands))
    return stands


def explain(session: Session, family: FamilyName) -> None:
    """Say in one sentence how the rollout stands, and in one more for each guard what it sees, with its numbers."""
    with session.client() as client:
        explained = client.get("families", family, "rollout", "explain")
    session.output.data(explained, lambda: render_explained(explained))


def hold(session: Session, family: FamilyName, reason: ReasonOption = "") -> None:
    """Have the rollout stand still: the callers stay where they are."""
    _say(session, family, "hold", {"reason": reason})


def resume(session: Session, family: FamilyName, reason: ReasonOption = "") -> None:
    """Let a rollout that is held go on; the stage's time begins anew."""
    _say(session, family, "resume", {"reason": reason})


def advance(
    session: Session,
    family: FamilyName,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="GUARD", help="Listen to this guard no longer; may be repeated.", show_default=False),
    ] = None,
    reason: ReasonOption = "",
) -> None:
    """Go on to the next stage, if all is there that this one needs; with --override and a --reason, past a guard."""
    _say(session, family, "advance", {"reason": reason, "override": override or []})


def approve(session: Session, family: FamilyName, reason: ReasonOption = "") -> None:
    """Give the word that the stage waits for."""
    _say(session, family, "approve", {"reason": reason})


def retry(session: Session, family: FamilyName, reason: ReasonOption = "") -> None:
    """Flip and verify a rollback once more."""
    _say(session, family, "retry", {"reason": reason})


def supersede(
    session: Session,
    family: FamilyName,
    to: Annotated[str, typer.Option("--to", metavar="WHAT", help="What takes its place.")] = "another version",
    reason: ReasonOption = "",
) -> None:
    """Take the candidate out of traffic, without blame."""
    _say(session, family, "supersede", {"reason": reason, "to": to})


def plan(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    policy: PolicyOption = "",
    *,
    per_second: Annotated[
        float | None, typer.Option("--per-second", min=0.001, help="Requests a second; those of late when left out.", show_default=False)
    ] = None,
    errors: Annotated[float, typer.Option("--errors", min=0, max=1, help="The regression to be caught fails so many.")] = 0.05,
    slower: Annotated[float, typer.Option("--slower", min=1, help="It is so many times as slow.")] = 2.0,
    odd: Annotated[float, typer.Option("--odd", min=0, max=1, help="So many of its answers are constant or invalid.")] = 0.05,
    disagreeing: Annotated[float, typer.Option("--disagreeing", min=0, max=1, help="So many disagree with production's.")] = 0.1,
) -> None:
    """Say what to expect of a rollout: when each guard knows, and what a regression costs until then."""
    body: Json = {"version": version, "per_second": per_second, "errors": errors, "slower": slower, "odd": odd, **_policy(policy)}
    with session.client() as client:
        planned = client.ask("POST", ("families", family, "rollout", "plan"), body={**body, "disagreeing": disagreeing})
    session.output.data(planned, lambda: render_outlooks(planned))


def receipt(session: Session, family: FamilyName, rollout: RolloutOption = "") -> None:
    """Show the receipt of a rollback: detected, decided, flipped, the last late answer, verified."""
    with session.client() as client:
        found = client.get("families", family, "rollout", "receipt", rollout=rollout)
    session.output.data(found, lambda: render_receipt(found))


def rollouts(session: Session, family: FamilyName) -> None:
    """List all rollouts that the family had, the newest first."""
    with session.client() as client:
        past = client.get("families", family, "rollouts")
    session.output.data(past, lambda: render_rollouts(past))


def replay(
    session: Session,
    family: FamilyName,
    rollout: RolloutOption = "",
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Keep the log in a file, its policy beside it.", show_default=False),
    ] = None,
) -> None:
    """Decide a rollout again by its log: the same bytes, or the log was not written by this policy and this program."""
    with session.client() as client:
        log = client.get("families", family, "rollout", "log", rollout=rollout)
    lines = [str(line).encode() for line in log["lines"]]
    if save is not None:
        _save(save, lines, str(log["policy"]))
    differs = _first_difference(lines, str(log["policy"]).encode())
    if differs is not None:
        sentence = f"line {differs} of {log['rollout']} is decided otherwise"
        raise NotTheSame(sentence, "another release wrote it, or somebody edited it; `--save FILE` keeps it as it is")
    said = f"{log['rollout']}: {plural(len(lines), 'line')}, decided again in the same bytes"
    session.output.data({"rollout": log["rollout"], "lines": len(lines), "same": True}, lambda: said)


def _first_difference(lines: list[bytes], document: bytes) -> int | None:
    from serving.control.policies.parsing import parse_pinned  # noqa: PLC0415 - slow to import, and only this command needs it
    from serving.core.course import replay as decide_again  # noqa: PLC0415 - as above
    from serving.core.decisions import UnreadableLine  # noqa: PLC0415 - as above
    from serving.core.rollout import EventRefused  # noqa: PLC0415 - as above

    number = 0
    try:
        for number, (again, line) in enumerate(zip(decide_again(parse_pinned(document), lines), lines, strict=True), 1):
            if again != line:
                return number
    except (UnreadableLine, EventRefused):
        return number + 1
    return None


def _save(file: Path, lines: list[bytes], policy: str) -> None:
    try:
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        file.with_suffix(".policy.json").write_text(policy, encoding="utf-8")
    except OSError as error:
        raise NoPlaceToWrite(file, error) from error


def _policy(given: str) -> Json:
    if not given or _TRACK.fullmatch(given):
        return {"policy": given}
    try:
        return {"document": Path(given).read_text(encoding="utf-8")}
    except OSError as error:
        sentence = f"{given} cannot be read: {error.strerror}"
        raise NotFound(sentence, "name a track (fast, standard, careful), or a policy's file: pointsman policy lint FILE") from error


def _say(session: Session, family: str, word: str, body: Json) -> None:
    with session.client() as client:
        changed = client.send("POST", ("families", family, "rollout", word), body={**body, "wait": SETTLE_SECONDS})
        stands = client.get("families", family, "rollout")
    session.output.data({**changed, "rollout": stands}, lambda: Text(stands["sentence"]))
    refuse_unsettled(changed)
