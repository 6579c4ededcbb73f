"""What the evidence says of a canary: HARM, SAFE or UNDECIDED, with a sentence and the numbers behind it. No data never passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import exp, log

from serving.core.observations import Increment
from serving.core.policy import GuardPolicy
from serving.core.routing import Arm, Target
from serving.core.statistics import Onset, Outcomes, RatioOnset, log_e_below

_LARGEST = log(1e9)
"""Evidence beyond a billion to one is printed as that."""


class Finding(StrEnum):
    """What a verdict comes to."""

    HARM = "harm"
    SAFE = "safe"
    UNDECIDED = "undecided"


class Signal(StrEnum):
    """What found the harm; a metric label and part of the audit trail."""

    ERRORS_IN_A_ROW = "errors-in-a-row"
    ERROR_RATE = "error-rate"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding, the signal behind a HARM, and the reasons for people and for machines."""

    finding: Finding
    sentence: str
    numbers: Mapping[str, float]
    signal: Signal | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """One gateway's failures of the canary since the evidence began, and how many of the latest were in a row."""

    failures: int = 0
    in_a_row: int = 0

    @property
    def length(self) -> int:
        """The row's part since the evidence began: a row left over from an earlier try is not this one's."""
        return min(self.failures, self.in_a_row)


@dataclass(frozen=True, slots=True)
class _Stage:
    """The requests seen while the canary's planned share of the traffic was the same."""

    planned: float = 0.0
    canary: int = 0
    production: int = 0

    @property
    def share(self) -> float:
        """The canary's share of the requests: as planned, or as observed where that is more.

        A few busy callers can bring a canary far more requests than its weight; by weight alone it would be blamed for all of them.
        """
        requests = self.canary + self.production
        return max(self.planned, self.canary / requests) if requests else self.planned


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything seen of one canary and of its production since it began; a new weight starts a stage, not new evidence."""

    target: Target
    ratio: RatioOnset
    floor: Onset
    canary: Outcomes = field(default_factory=Outcomes)
    production: Outcomes = field(default_factory=Outcomes)
    stage: _Stage = field(default_factory=_Stage)
    rows: Mapping[str, _Row] = field(default_factory=dict[str, _Row])

    @classmethod
    def none(cls, target: Target, policy: GuardPolicy) -> "Evidence":
        """The evidence at the start of a canary."""
        return cls(target, RatioOnset(policy.worse_ratio), Onset(policy.worse_floor))

    def after(self, increments: Iterable[Increment], *, planned: float) -> "Evidence":
        """The evidence with what happened since, `planned` being the canary's share of its own and production's traffic."""
        mine, others = Outcomes(), Outcomes()
        rows = dict(self.rows)
        for new in increments:
            if new.arm is Arm.CANARY and new.target == self.target:
                mine += Outcomes(new.failures, new.requests)
                rows[new.gateway] = _Row(rows.get(new.gateway, _Row()).failures + new.failures, new.failures_in_a_row)
            elif new.arm is Arm.PRODUCTION and new.target.family == self.target.family:
                others += Outcomes(new.failures, new.requests)
        stage = self.stage if self.stage.planned == planned else _Stage(planned)
        stage = replace(stage, canary=stage.canary + mine.trials, production=stage.production + others.trials)
        ratio = self.ratio.after(mine.failures, others.failures, share=stage.share)
        return Evidence(self.target, ratio, self.floor.after(mine), self.canary + mine, self.production + others, stage, rows)

    @property
    def worst_row(self) -> tuple[str, int]:
        """The gateway with the longest row of failures, and its length."""
        lengths = {gateway: row.length for gateway, row in self.rows.items()}
        return max(lengths.items(), key=lambda item: item[1], default=("", 0))


def judge(policy: GuardPolicy, evidence: Evidence) -> Verdict:
    """Judge a canary: the tripwire first, then its error rate against production's, then whether it is shown to be safe."""
    gateway, row = evidence.worst_row
    worse = _log_e_worse(evidence)
    better = log_e_below(evidence.canary, policy.ok_below)
    numbers = _numbers(evidence, row, worse, better)
    compared = _compared(evidence)
    if row >= policy.errors_in_a_row:
        sentence = f"{_name(evidence)} failed {row} times in a row on gateway {gateway} (limit {policy.errors_in_a_row})"
        return Verdict(Finding.HARM, sentence, numbers, Signal.ERRORS_IN_A_ROW)
    if worse >= -log(policy.risk_false_rollback):
        sentence = f"{compared}: more than {policy.worse_ratio:g} times production's rate ({_odds(worse)})"
        return Verdict(Finding.HARM, sentence, numbers, Signal.ERROR_RATE)
    if better >= -log(policy.risk_false_safe):
        return Verdict(Finding.SAFE, f"{compared}: fewer than {policy.ok_below:.1%} ({_odds(better)})", numbers)
    if not evidence.canary.trials:
        return Verdict(Finding.UNDECIDED, f"{_name(evidence)} has answered nothing yet", numbers)
    return Verdict(Finding.UNDECIDED, f"{compared}: too little to tell", numbers)


def _log_e_worse(evidence: Evidence) -> float:
    # Harmful means above the ratio AND above the floor. The smaller of two e-values is one for the union of their nulls.
    return min(evidence.ratio.log_e, evidence.floor.log_e)


def _numbers(evidence: Evidence, row: int, worse: float, better: float) -> Mapping[str, float]:
    return {
        "canary_requests": evidence.canary.trials,
        "canary_failures": evidence.canary.failures,
        "production_requests": evidence.production.trials,
        "production_failures": evidence.production.failures,
        "failures_in_a_row": row,
        "log_e_worse": worse,
        "log_e_safe": better,
    }


def _name(evidence: Evidence) -> str:
    return f"canary {evidence.target.family}@{evidence.target.version}"


def _compared(evidence: Evidence) -> str:
    return f"{_name(evidence)} failed {_of(evidence.canary)}, production {_of(evidence.production)}"


def _of(seen: Outcomes) -> str:
    return f"{seen.failures:,} of {seen.trials:,} requests ({seen.rate:.2%})"


def _odds(log_e: float) -> str:
    return f"evidence {exp(min(log_e, _LARGEST)):,.0f} to 1"
