"""What a rollout that does not go on waits for, since when, and what people can do about it: nothing waits without saying so. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from serving.core.assessing import Assessment
from serving.core.judging import heeded, lasting, missing, said, unheard, unheeded_harm
from serving.core.policy import Action, Approval, Missing, Policy
from serving.core.rules import Metric
from serving.core.standing import Held, Receipt, Rollout, State
from serving.core.totals import Totals
from serving.core.underway import Underway
from serving.core.verdicts import Finding


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for, and the way out of it."""

    what: str
    since: datetime | None
    remedy: str

    def __str__(self) -> str:
        since = "" if self.since is None else f", since {self.since:%Y-%m-%d %H:%M:%S} UTC"
        return f"it waits for {self.what}{since}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a rollout beside its record. `blind`: why nothing is now; `keys`: the headers that callers are told apart by."""

    assessment: Assessment = Assessment()  # noqa: RUF009 - frozen
    totals: Totals = Totals()  # noqa: RUF009 - frozen
    blind: str = ""
    trouble: str = ""
    """What keeps it from going on though nothing else does."""
    troubled: datetime | None = None
    """Since when."""
    keys: tuple[str, ...] = ()


def wait_of(policy: Policy, underway: Underway, sight: Sight) -> Wait | None:
    """What the rollout waits for now; None where it is over, or goes on at the next look, or is live and does well."""
    rollout = underway.rollout
    if rollout.state is State.LIVE:
        return _live(policy, rollout, sight)
    if underway.is_over or rollout.state is State.DRAFT:
        return None
    if sight.trouble and rollout.receipt is None:
        remedy = f"mend that, and it goes on by itself; or {_out(rollout)}"
        return Wait(f"this to be otherwise: {sight.trouble}", sight.troubled, remedy)
    if sight.blind:
        since = rollout.entered if rollout.receipt is None else rollout.receipt.decided
        return Wait(f"somebody to look after it ({sight.blind})", since, "see whether a controller leads: pointsman leader")
    if rollout.receipt is not None:
        return _going_back(rollout, rollout.receipt, sight)
    return _lacking(policy, underway, sight) if rollout.held is None else _held(policy, underway, rollout.held, sight)


def word_awaited(policy: Policy, rollout: Rollout, assessment: Assessment) -> str:
    """The role whose word is all that the stage still needs; empty where there is more to wait for, or nothing."""
    wanted = policy.stages[rollout.stage].approve
    if wanted is None or rollout.approvals or rollout.held is not None or rollout.state not in _STAGES:
        return ""
    given = replace(rollout, approvals=(wanted.role,))
    return "" if any(missing(policy, given, assessment)) else wanted.role


_STAGES = frozenset({State.SHADOWING, State.RAMPING, State.SOAKING})


def _live(policy: Policy, rollout: Rollout, sight: Sight) -> Wait | None:
    found = unheeded_harm(policy, rollout, sight.assessment)
    if not found:
        return None
    remedy = f"`pointsman rollback {rollout.family} --reason WHY` takes it back; if nobody does, it stays"
    return Wait(f"somebody's word, because it does harm, and no guard that sees it may roll back: {said(found)}", None, remedy)


def _going_back(rollout: Rollout, receipt: Receipt, sight: Sight) -> Wait:
    open_ends = f" ({sight.trouble})" if sight.trouble else ""
    remedy = f"look at what is open with `pointsman verify {rollout.family}`, and flip once more with `pointsman retry {rollout.family}`"
    return Wait(f"its rollback to be verified{open_ends}", receipt.flipped or receipt.decided, remedy)


def _held(policy: Policy, underway: Underway, held: Held, sight: Sight) -> Wait:
    rollout = underway.rollout
    family, since = rollout.family, held.since or rollout.entered
    if held.is_passing:
        cause = _cause(policy, underway, sight)
        silent = [verdict.guard for verdict in unheard(rollout, sight.assessment)]
        what, remedy = cause or ("data", f"it goes on by itself when there are any; {_past_guards(rollout, silent)}")
        return Wait(what, since, f"{remedy}; or {_out(rollout)}")
    harmful = [verdict.guard for verdict in heeded(rollout, sight.assessment) if verdict.finding is Finding.HARM]
    onward = _past_guards(rollout, harmful) if harmful else f"`pointsman resume {family}` begins the stage's time anew"
    return Wait(f"somebody's word, because it is held: {held.why}", since, f"{onward}, or {_out(rollout)}")


def _lacking(policy: Policy, underway: Underway, sight: Sight) -> Wait | None:
    rollout = underway.rollout
    lacks = [*missing(policy, rollout, sight.assessment)]
    if not lacks:
        return None
    approve = policy.stages[rollout.stage].approve
    if approve is not None and word_awaited(policy, rollout, sight.assessment):
        return Wait(f"the word of {approve.role}{_barred(approve, rollout)}", rollout.entered, f"`pointsman approve {rollout.family}`")
    cause = _cause(policy, underway, sight)
    if cause is not None:
        return Wait(cause[0], rollout.entered, f"{cause[1]}; or {_out(rollout)}")
    return Wait("; ".join(lacks), rollout.entered, f"nothing need be done; {_end(policy, rollout)}")


def _barred(approve: Approval, rollout: Rollout) -> str:
    return f" other than {rollout.author}, its author" if approve.is_author_barred else ""


def _end(policy: Policy, rollout: Rollout) -> str:
    most = policy.deadline.per_stage + policy.stages[rollout.stage].soak
    then = "is held" if policy.deadline.then is Action.HOLD else "is rolled back"
    return f"what is not there {lasting(most)} after the stage began never is, and it {then}"


def _cause(policy: Policy, underway: Underway, sight: Sight) -> tuple[str, str] | None:
    """What keeps data from ever coming, and what can be done about that."""
    return next(_causes(policy, underway, sight), None)


def _causes(policy: Policy, underway: Underway, sight: Sight) -> Iterator[tuple[str, str]]:
    keyless, stage = sight.totals.production.keyless, policy.stages[underway.rollout.stage]
    if keyless and not stage.is_shadow and not sight.assessment.units and policy.unit.missing is Missing.PRODUCTION:
        headers = " or ".join(sight.keys) or "a routing key"
        yield (
            f"callers with a routing key (so far {keyless:,} answers went to callers without one, and those are all production's)",
            f"have callers send {headers}, or start it by a policy with `unit: {{missing: random}}`",
        )
    watching = {guard.rule.metric for guard in policy.watching(stage)}
    if Metric.LATENCY in watching and underway.terms.quantiles and not underway.edges:
        yield "production's latencies to be measured", f"that takes more answers to those who could be in either arm{_keys_needed(policy)}"
    if Metric.OUTPUT in watching and underway.terms.bins is not None and not underway.classes:
        yield "production's answers to be sorted", f"that takes more answers with a label or a score{_keys_needed(policy)}"
    silent = unheard(underway.rollout, sight.assessment)
    rated = [verdict.guard for verdict in silent if policy.guard(verdict.guard).rule.metric is Metric.REWARD]
    if rated:
        onward = _past_guards(underway.rollout, rated)
        yield "feedback on the candidate's answers", f"have callers rate them (POST /v1/feedback), or {onward}"


def _keys_needed(policy: Policy) -> str:
    return ", who are those with a routing key" if policy.unit.missing is Missing.PRODUCTION else ""


def _past_guards(rollout: Rollout, guards: list[str]) -> str:
    named = "".join(f" --override {guard}" for guard in guards)
    return f"`pointsman advance {rollout.family}{named} --reason WHY` goes on all the same"


def _out(rollout: Rollout) -> str:
    return f"take it out: `pointsman supersede {rollout.family}`"
