"""The policies that candidates are watched by, each with stages that wait for as long as it takes."""

from dataclasses import dataclass
from pathlib import Path

from tests.rollouts.scenes import POLICY


@dataclass(frozen=True, slots=True)
class Ground:
    """The stages that a candidate is watched in, and when it turns bad: in `stage`, or, with `is_live`, once it is production."""

    stages: str
    stage: str
    is_live: bool = False
    holdback: str = "0.05"

    def policy(self) -> str:
        """The policy with these stages."""
        text = POLICY.read_text(encoding="utf-8")
        start, end = text.index("stages:"), text.index("guards:")
        rest = text[end:].replace("keep_warm: 60s, holdback: 0.05", f"keep_warm: 10m, holdback: {self.holdback}")
        return f"{text[:start]}stages:\n{self.stages}{rest}"


_FULL = "  - {name: full, weight: 1.0}\n"
_HALF = "  - {name: half, weight: 0.5, need: {units: 100, time: 3s, safe: [errors, p50]}}\n"
_SOAKS, _PASSES = (f"{_HALF}  - {{name: full, weight: 1.0, soak: {soak}}}\n" for soak in ("10m", "3s"))

GROUNDS = {
    "canary": Ground("  - {name: canary5, weight: 0.05, need: {units: 100000, safe: [errors]}}\n" + _FULL, "canary5"),
    "shadow": Ground("  - {name: shadow, mirror: 1.0, need: {pairs: 100000, safe: [errors]}}\n" + _FULL, "shadow"),
    "soaking": Ground(_SOAKS, "full", holdback="0"),
    "live": Ground(_PASSES, "full", is_live=True, holdback="0"),
    "live-held-back": Ground(_PASSES, "full", is_live=True),
}
"""Stages that wait for as long as a candidate is watched in them."""


def policy_of(ground: str, folder: Path) -> Path:
    """The file of a ground's policy."""
    path = folder / f"{ground}.yaml"
    path.write_text(GROUNDS[ground].policy(), encoding="utf-8")
    return path
