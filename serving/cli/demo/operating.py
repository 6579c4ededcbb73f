"""What a person does at the terminal in the demo: each change is told as the command it is, made over the admin API, and timed."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx

from serving.cli.client import AdminClient
from serving.cli.commands import Session
from serving.cli.demo.errors import NothingHappened
from serving.cli.demo.figures import Pairs
from serving.cli.demo.story import Story
from serving.cli.drilling import PROOF_SECONDS
from serving.cli.failures import NotSettled
from serving.cli.loading import ensure_loaded
from serving.cli.output import Json, Output
from serving.cli.settling import SETTLE_SECONDS
from serving.telemetry.clock import SystemClock

ACTOR = "demo"
LOAD_S = 120.0
PATIENCE_S = 30.0
LOOK_S = 0.1
SHADOW_PAIRS = re.compile(r"^pointsman_shadow_pairs_total\{([^}]*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Done:
    """A change: when it was asked for (monotonic), and after how many seconds every live gateway had acked it."""

    asked: float
    acked: float

    @property
    def settled(self) -> float:
        """When every live gateway served it."""
        return self.asked + self.acked


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guard decided and when (monotonic)."""

    decided: float
    epoch: int
    signal: str
    sentence: str


class Operator:
    """Speaks to one admin listener, and tells what it does."""

    def __init__(self, admin: str, client: AdminClient, story: Story) -> None:
        self._admin = admin
        self._client = client
        self._story = story
        self._session = Session(admin, ACTOR, _Silent(as_json=False))

    def load(self, family: str, version: str) -> None:
        """Have a version loaded, and say how long it took until it had passed its golden examples."""
        begun = time.monotonic()
        with self._story.waiting(f"{family}@{version} is loading"):
            ensure_loaded(self._session, self._client, family, version, timeout=LOAD_S)
        self._story.say(f"{family}@{version} is loaded and answers its golden examples ({time.monotonic() - begun:.1f} s)")

    def promote(self, family: str, version: str) -> Done:
        """Put a version into production."""
        self._story.command(f"pointsman promote {family} {version}")
        return self._change("POST", family, "promote", {"version": version})

    def shadow(self, family: str, version: str, percent: float) -> Done:
        """Mirror traffic to a version; 0 ends it."""
        self._story.command(f"pointsman shadow {family} {version} --percent {percent:g}")
        return self._change("PUT", family, "shadow", {"version": version, "weight": percent})

    def canary(self, family: str, version: str, percent: float) -> Done:
        """Let a version answer a part of the users."""
        self._story.command(f"pointsman canary {family} {version} --weight {percent:g}")
        return self._change("PUT", family, "canary", {"version": version, "weight": percent})

    def rollback(self, family: str, reason: str) -> Done:
        """Go back, whatever else is going on: no revision is asked for."""
        self._story.command(f'pointsman rollback {family} --reason "{reason}"')
        return self._post("POST", family, "rollback", {"reason": reason}, None)

    def drill(self, family: str, reason: str) -> Json:
        """Practise a rollback; what came of it."""
        self._story.command(f'pointsman drill {family} --reason "{reason}"')
        return self._client.send("POST", ("families", family, "drills"), body={"reason": reason, "timeout": PROOF_SECONDS})

    def pairs(self, family: str, version: str) -> Pairs:
        """What became of the requests mirrored to a version so far, from /metrics."""
        response = httpx.get(f"{self._admin}/metrics", timeout=10.0, trust_env=False).raise_for_status()
        return Pairs(version, shadow_outcomes(response.text, family, version))

    def await_pairs(self, family: str, version: str, compared: int) -> Pairs:
        """Wait until so many pairs were compared. Raises `NothingHappened`."""
        until = time.monotonic() + PATIENCE_S
        while (pairs := self.pairs(family, version)).compared < compared:
            if time.monotonic() > until:
                raise NothingHappened(PATIENCE_S, f"{compared} compared pairs of {family}@{version}")
            time.sleep(LOOK_S)
        return pairs

    def await_verdict(self, family: str) -> Verdict:
        """Wait until a guard has rolled a canary back. Raises `NothingHappened`."""
        until = time.monotonic() + PATIENCE_S
        while True:
            [entry] = self._client.get("families", family, "history", limit=1)["entries"]
            if entry["signal"]:
                return Verdict(monotonic_of(entry["at"], SystemClock()), int(entry["epoch"]), str(entry["signal"]), str(entry["reason"]))
            if time.monotonic() > until:
                raise NothingHappened(PATIENCE_S, "the automatic rollback")
            time.sleep(LOOK_S)

    def _change(self, method: str, family: str, what: str, body: Json) -> Done:
        return self._post(method, family, what, body, int(self._client.get("families", family)["revision"]))

    def _post(self, method: str, family: str, what: str, body: Json, revision: int | None) -> Done:
        asked = time.monotonic()
        changed = self._client.send(method, ("families", family, what), body={**body, "wait": SETTLE_SECONDS}, revision=revision)
        acked = time.monotonic() - asked
        if not changed["settled"]["done"]:
            raise NotSettled(int(changed["epoch"]), changed["settled"]["waiting"])
        return Done(asked, acked)


class _Silent(Output):
    """For what the story tells in its own words."""

    def note(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str], None]]:  # noqa: ARG002 - the parent's signature
        """Show nothing."""
        yield lambda _: None


def shadow_outcomes(metrics: str, family: str, version: str) -> Mapping[str, int]:
    """One shadow's counters by outcome, from the text of /metrics."""
    found: dict[str, int] = {}
    for labels, value in SHADOW_PAIRS.findall(metrics):
        named = dict(LABEL.findall(labels))
        if (named["family"], named["version"]) == (family, version):
            found[named["outcome"]] = int(float(value))
    return found


def monotonic_of(stamp: str, clock: SystemClock) -> float:
    """A time of the wall clock, as it was by the monotonic one."""
    return clock.monotonic() - (clock.now() - datetime.fromisoformat(stamp)).total_seconds()
