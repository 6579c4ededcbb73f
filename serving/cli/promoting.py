"""The command of whoever moves a tag elsewhere: request."""

import time
from typing import Annotated

import typer

from serving.cli.commands import Session, add_command
from serving.cli.failures import NotLoaded, telling_if_interrupted
from serving.cli.options import FamilyName, LoadTimeout, ReasonOption, VersionName
from serving.cli.output import Json

POLL_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, request, panel="Rollouts")


def request(  # noqa: PLR0913 - one option each
    session: Session,
    family: FamilyName,
    version: VersionName,
    source: Annotated[str, typer.Option("--source", "-s", metavar="TEXT", help="Who moved what elsewhere, e.g. git:models@9f31c2a.")],
    reason: ReasonOption = "",
    policy: Annotated[str, typer.Option("--policy", metavar="NAME", help="The policy; the usual one by default.")] = "",
    *,
    now: Annotated[bool, typer.Option("--now", help="At once, past every guard; needs a --reason.", show_default=False)] = False,
    timeout: LoadTimeout = 120.0,
) -> None:
    """Ask for a version in production, by the policy: it is loaded and its rollout is started. Ask again to hear how far it is."""
    body: Json = {"version": version, "source": source, "reason": reason, "policy": policy, "now": now}
    name, until = f"{family}@{version}", time.monotonic() + timeout
    going_on = telling_if_interrupted(f"{name} is asked for, and goes on being loaded", "ask again to hear how far it is")
    with going_on, session.client() as client, session.output.progress(f"{name} is asked for") as say:
        while (answer := client.send("POST", ("families", family, "promotion-requests"), body=body))["state"] == "loading":
            if time.monotonic() >= until:
                raise NotLoaded(name, f"is not ready after {timeout:g} s", "ask again; it goes on loading")
            say(str(answer["sentence"]))
            time.sleep(POLL_SECONDS)
    session.output.data(answer, lambda: f"{answer['sentence']} ({answer['state']})")
