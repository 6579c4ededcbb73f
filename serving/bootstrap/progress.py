"""What the person who starts an installation sees of it until it serves."""

import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ray import serve
from ray.serve.schema import ApplicationStatus

from serving.bootstrap.installation import admin_url, public_url
from serving.bootstrap.layout import CannotServe
from serving.dataplane.fleet import last_sentence
from serving.settings import Settings

LOOK_S = 0.1
ASK_S = 1.0
"""Between two questions to Serve while nothing listens yet: it and this process need 10 ms of a core each to say how far it is."""

START_DEADLINE_S = 120.0


class StartFailed(CannotServe):
    """A part of the installation did not come up."""

    hint = "the log above and DATA/log/events.log may tell more"


def announce(settings: Settings, log: Path, stopping: threading.Event, own: Sequence[str]) -> None:
    """Wait until the applications of this installation are up, say where they answer, and go on telling what happens."""
    threading.Thread(target=_follow, args=(log, stopping), name="log", daemon=True).start()
    _wait_for_applications(settings, stopping, own)
    if stopping.is_set():
        return
    _say(f"predictions  {public_url(settings)}/v2   and   {public_url(settings)}/v1/families/FAMILY/predict")
    _say(f"admin API    {admin_url(settings)}/v1   metrics {admin_url(settings)}/metrics")


def _wait_for_applications(settings: Settings, stopping: threading.Event, own: Sequence[str]) -> None:
    asked = started = time.monotonic()
    while not stopping.wait(LOOK_S):
        if time.monotonic() - asked < ASK_S and not _is_listening(settings):
            continue
        if _are_running(own):
            return
        asked = time.monotonic()
        if asked - started > START_DEADLINE_S:
            msg = f"gateway, admin API and controller were not up within {START_DEADLINE_S:g} s"
            raise StartFailed(msg)


def _is_listening(settings: Settings) -> bool:
    """Whether somebody listens on both ports, where this process can tell."""
    try:
        for place in ((settings.host, settings.port), (settings.admin_host, settings.admin_port)):
            socket.create_connection(place, timeout=LOOK_S).close()
    except OSError:
        return False
    return True


def _are_running(own: Sequence[str]) -> bool:
    """Whether all applications are up. Raises `StartFailed` when one has failed."""
    applications = serve.status().applications
    for name in own:
        overview = applications.get(name)
        if overview is not None and overview.status in {ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY}:
            messages = [last_sentence(deployment.message) for deployment in overview.deployments.values()]
            msg = f"the {name} did not start: {'; '.join(filter(None, messages)) or overview.message}"
            raise StartFailed(msg)
    return all(name in applications and applications[name].status is ApplicationStatus.RUNNING for name in own)


def start_log(log: Path) -> None:
    """Begin this run's log; the one of the run before is kept beside it."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch(mode=0o600)


def _follow(log: Path, stopping: threading.Event) -> None:
    """Print what the processes of the installation log, as they do."""
    with log.open() as events:
        while not stopping.wait(LOOK_S):
            for line in events:
                print(line, end="", file=sys.stderr, flush=True)  # noqa: T201 - to the person at the terminal


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - to the person at the terminal
