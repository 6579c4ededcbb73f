"""What the person who starts an installation sees of it until it serves."""

import sys
import threading
import time
from collections.abc import Mapping

import httpx
from ray import serve
from ray.serve.schema import ApplicationStatus

from serving.bootstrap.installation import admin_url, public_url
from serving.dataplane.fleet import last_sentence
from serving.settings import Settings

LOOK_S = 0.1
START_DEADLINE_S = 120.0
OWN = ("gateway", "admin", "controller")


class StartFailed(Exception):
    """A part of the installation did not come up."""

    hint = "the sentence above says why; with --json the log has more"


def announce(settings: Settings, stopping: threading.Event) -> None:
    """Wait until gateways and admin API answer, say where, then tell how the versions in the route load."""
    started = time.monotonic()
    _wait_for_applications(stopping, started)
    if stopping.is_set():
        return
    _say(f"predictions  {public_url(settings)}/v2   and   {public_url(settings)}/v1/families/FAMILY/predict")
    _say(f"admin API    {admin_url(settings)}/v1   metrics {admin_url(settings)}/metrics")
    threading.Thread(target=_tell_loads, args=(settings, stopping), name="progress", daemon=True).start()


def _wait_for_applications(stopping: threading.Event, started: float) -> None:
    while not stopping.wait(LOOK_S):
        applications = serve.status().applications
        for name in OWN:
            overview = applications.get(name)
            if overview is not None and overview.status in {ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.UNHEALTHY}:
                messages = [last_sentence(deployment.message) for deployment in overview.deployments.values()]
                msg = f"the {name} did not start: {'; '.join(filter(None, messages)) or overview.message}"
                raise StartFailed(msg)
        if all(name in applications and applications[name].status is ApplicationStatus.RUNNING for name in OWN):
            return
        if time.monotonic() - started > START_DEADLINE_S:
            msg = f"gateway, admin API and controller were not up within {START_DEADLINE_S:g} s"
            raise StartFailed(msg)


def _tell_loads(settings: Settings, stopping: threading.Event) -> None:
    """Print every change of a version's state until all that the routes name are loaded or failed."""
    told: dict[str, str] = {}
    with httpx.Client(base_url=admin_url(settings), timeout=2.0, trust_env=False) as admin:
        while not stopping.wait(LOOK_S * 5):
            try:
                versions = admin.get("/v1/fleet").raise_for_status().json()["versions"]
            except httpx.HTTPError:
                continue
            for version in versions:
                _tell(told, version)


def _tell(told: dict[str, str], version: Mapping[str, str]) -> None:
    name = f"{version['family']}@{version['version']}"
    if told.get(name) != version["state"]:
        told[name] = version["state"]
        _say(f"{name}  {version['state']}{': ' + version['detail'] if version['detail'] else ''}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - to the person at the terminal
