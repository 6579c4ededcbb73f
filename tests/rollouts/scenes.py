"""One rollout of a moody candidate under steady traffic: started, turned bad in a stage, and timed until it is out of traffic."""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from serving.core.routing import Reason
from tests.e2e.families import Bundles
from tests.e2e.load import Load, LoadReport
from tests.e2e.waiting import wait_for
from tests.rollouts.moody import Mood, Moody

RATE = 200
PATIENCE_S = 60.0
"""A candidate that is not caught by then is not caught."""

POLICY = Path(__file__).with_name("policy.yaml")
PRODUCTION = "1.0.0"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caught:
    """How a bad candidate was caught.

    Seconds are from its first failure that production answered for, and where there is none, from when it turned bad;
    `units`: its trials in the stage until then.
    """

    signal: str
    reason: str
    seconds: float
    verified_seconds: float
    units: int
    bad: int
    report: LoadReport


class Scene:
    """A moody family with its production, ready for candidates."""

    def __init__(self, moody: Moody, bundles: Bundles, policy: Path = POLICY) -> None:
        self.moody = moody
        self._installation = moody.installation
        self._traffic = bundles.traffic("digits")
        self._policy = policy

    def open(self, *candidates: str) -> None:
        """Publish production and candidates, and put production where it belongs."""
        self.moody.publish(PRODUCTION, *candidates)
        self._installation.do("promote", self.moody.family, PRODUCTION)

    def load(self, *, is_rated: bool = False) -> Load:
        """Callers of the family, at a steady rate; who rate each answer, where that is asked for."""
        requests, path = [example.request for example in self._traffic], f"/v1/families/{self.moody.family}/predict"
        truths = [example.truth for example in self._traffic] if is_rated else []
        return Load(self._installation.port, path, requests, rate=RATE, truths=truths)

    def start(self, version: str) -> Json:
        """Start the rollout of a candidate."""
        changed: Json = self._installation.do("start", self.moody.family, version, "--policy", str(self._policy))
        return changed

    def status(self) -> Json:
        """How the rollout stands."""
        return self._installation.get(f"families/{self.moody.family}/rollout")

    def wait_stage(self, name: str, *, trials: int = 0, seconds: float = 120.0) -> Json:
        """Wait until the rollout is in a stage, is measured, and has seen so many trials of the candidate in it."""

        def there() -> Json | None:
            stands = self.status()
            assert stands["state"] not in {"held", "rolling_back", "rolled_back"}, stands
            # What is told of the stage before is not of this one.
            is_here = stands["stages"][stands["stage"]]["name"] == name and stands["edges"] and not stands["blind"]
            return stands if is_here and stands["units"] >= trials else None

        return wait_for(there, f"{self.moody.family} is in stage {name}", seconds=seconds)

    def wait_state(self, *states: str, seconds: float = 120.0) -> Json:
        """Wait until the rollout is in one of these states."""
        return wait_for(lambda: self._in(states), f"{self.moody.family} is {' or '.join(states)}", seconds=seconds)

    def catch(
        self, version: str, mood: Mood, *, stage: str = "canary5", trials: int = 20, is_rated: bool = False, is_live: bool = False
    ) -> Caught:
        """Start a good candidate, let it turn bad in a stage, or once it is live, and wait until it is out and that is verified."""
        with self.load(is_rated=is_rated) as load:
            load.wait_answered(RATE)
            self.start(version)
            before = self.wait_state("live") if is_live else self.wait_stage(stage, trials=trials)
            self.moody.turn(version, mood)
            turned = time.monotonic()
            self.wait_state("rolling_back", "rolled_back", seconds=PATIENCE_S)
            stands = self.wait_state("rolled_back", seconds=PATIENCE_S)
            report = load.finish()
        receipt = stands["receipt"]
        began = max(turned, report.first_reasons.get(Reason.FALLBACK, turned))
        lasted = {name: datetime.fromisoformat(receipt[name]).timestamp() - _wall_clock(began) for name in ("flipped", "verified")}
        numbers: Json = next((one["numbers"] for one in stands["verdicts"] if one["guard"] == receipt["signal"]), {})
        return Caught(
            receipt["signal"],
            receipt["reason"],
            lasted["flipped"],
            lasted["verified"],
            int(stands["units"]) - int(before["units"]),
            int(numbers.get("bad", 0)),
            report,
        )

    def give_up(self) -> None:
        """Take a candidate out that nobody caught."""
        self._installation.run("supersede", self.moody.family)

    def _in(self, states: tuple[str, ...]) -> Json | None:
        stands = self.status()
        return stands if stands["state"] in states else None


def _wall_clock(moment: float) -> float:
    """A moment of the machine's monotonic clock, in seconds since the epoch."""
    return time.time() - time.monotonic() + moment
