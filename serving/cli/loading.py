"""Getting a version loaded before it is given traffic: ask for it, show that something happens, say why it failed."""

import time
from collections.abc import Callable

from serving.cli.client import AdminClient
from serving.cli.commands import Session
from serving.cli.failures import CommandFailed, NotLoaded, WrongUse, telling_if_interrupted
from serving.cli.output import Json

POLL_SECONDS = 0.2


class StillQuarantined(CommandFailed):
    """A version that was rolled back, and nobody said that it may go on all the same: it is not even loaded."""

    def __init__(self, family: str, version: str, why: str, way_out: str) -> None:
        super().__init__(f"{family}@{version} is quarantined: {why}", f"a fixed version goes on freely; this one with {way_out}")


def refuse_quarantined(client: AdminClient, family: str, version: str, way_out: str) -> None:
    """Before it is loaded for nothing. Raises `StillQuarantined`, whose hint names the `way_out`."""
    quarantined = client.get("families", family)["quarantined"]
    if version in quarantined:
        raise StillQuarantined(family, version, quarantined[version] or "it was rolled back", way_out)


def refuse_override(client: AdminClient, family: str, version: str, *, override: bool, reason: str) -> None:
    """What an override would be refused for, or its lack, before the version is loaded. Raises `WrongUse` or `StillQuarantined`."""
    if not override:
        refuse_quarantined(client, family, version, "--override and a --reason")
    elif not reason.strip():
        sentence = f"--override of {family}@{version} needs a reason"
        raise WrongUse(sentence, 'say why: --reason "INC-123 is mended"')


def ensure_loaded(session: Session, client: AdminClient, family: str, version: str, *, timeout: float) -> None:
    """Return once the version is READY. Raises `CommandFailed` when it fails to load or is not ready in time."""
    status = _status(client, family, version)
    if status is not None and status["state"] == "ready":
        return
    name, way_back = f"{family}@{version}", ""
    if status is None or status["state"] == "unloading":
        body: Json = {"version": version, "reason": "to be loaded"}
        client.change("PUT", family, "tags", "candidate", body=body)
        way_back = f"; to take it back: `pointsman untag {family} {version} candidate`"
    goes_on = f"no traffic was moved, and the server goes on loading {name}"
    hint = f"`pointsman versions {family}` shows how far it is; the same command again waits for it{way_back}"
    with telling_if_interrupted(goes_on, hint), session.output.progress(f"{name} {_stand(status)}") as say:
        replicas = _await_ready(client, family, version, say, timeout)
    session.output.note(f"{name} is ready ({replicas} replica{'' if replicas == 1 else 's'}, golden examples passed)")


def _await_ready(client: AdminClient, family: str, version: str, say: Callable[[str], None], timeout: float) -> int:
    name, deadline = f"{family}@{version}", time.monotonic() + timeout
    while True:
        status = _status(client, family, version)
        if status is not None and status["state"] == "ready":
            return int(status["replicas"])
        if status is not None and status["state"] == "failed":
            hint = "no traffic was moved; `pointsman check DIR` finds most causes before publishing"
            raise NotLoaded(name, f"failed to load: {status['detail'] or 'no reason given'}", hint)
        if time.monotonic() > deadline:
            look = "`pointsman leader`: who leads loads it" if status is None else f"`pointsman versions {family}` and the server's log"
            raise NotLoaded(
                name, f"is not ready after {timeout:g} s: it {_stand(status)}", f"wait longer with --timeout, or look at {look}"
            )
        say(f"{name} {_stand(status)}")
        time.sleep(POLL_SECONDS)


def _stand(status: Json | None) -> str:
    """How far it is, as the controller shows it."""
    if status is None or status["state"] == "unloading":
        return "waits for the controller, which loads it"
    detail = f": {status['detail']}" if status["detail"] else ""
    return f"is {status['state']}{detail}"


def _status(client: AdminClient, family: str, version: str) -> Json | None:
    loaded = client.get("fleet")["versions"]
    return next((dict(one) for one in loaded if one["family"] == family and one["version"] == version), None)
