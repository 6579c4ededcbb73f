"""The runbook of a family's rollback: who may, what sets it off, the exact commands, how to see that it is over, whom to tell.

Pure: out of the policy in force and of how things stand, so it is never older than the moment it was asked for. In Markdown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.control.policies.linting import read
from serving.control.policies.quantities import Duration
from serving.control.readiness import Readiness
from serving.core.authority import Operators, Right, roles_of
from serving.core.drills import Due, Trend
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Action, Guard, Pinned
from serving.core.refusals import named
from serving.core.standing import State

_SHORT = 12
"""Characters of a digest that people compare."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a runbook is made of."""

    record: FamilyRecord
    pinned: Pinned
    readiness: Readiness
    operators: Operators
    webhooks: Sequence[str]
    due: Due | None
    trend: Trend
    at: datetime


def runbook(facts: Facts) -> str:
    """The document."""
    parts = (_head, _now, _authority, _signals, _commands, _over, _without_us, _afterwards, _people, _practice)
    return "\n".join("\n".join(part(facts)) + "\n" for part in parts)


def _head(facts: Facts) -> Iterator[str]:
    family = facts.record.family
    yield f"# Runbook: rolling back {family}"
    yield ""
    yield (
        f"Made on {facts.at:%Y-%m-%d %H:%M:%S} UTC from the policy in force (digest {facts.pinned.digest[:_SHORT]}) and revision "
        f"{facts.record.revision} of the family. Made anew by `pointsman runbook {family}`; a copy on a wiki grows old."
    )


def _now(facts: Facts) -> Iterator[str]:
    record, readiness = facts.record, facts.readiness
    yield "## Now"
    yield ""
    if record.production is None:
        yield "No version is in production: there is nothing to roll back."
        return
    decided = record.production_decided
    since = "" if decided is None else f", since {decided.at:%Y-%m-%d %H:%M} UTC by {decided.actor}: {decided.reason or 'no reason given'}"
    yield f"- In production: **{record.production}**{since}."
    if record.canaries:
        yield f"- Canaries: {named(record.canary_versions)}. A rollback ends them and leaves {record.production} where it is."
    yield f"- {readiness.sentence}."
    if record.rollout is not None:
        yield f"- Rollout {record.rollout.id}: {record.rollout.rollout.state.value.replace('_', ' ')}."
    if record.drill is not None:
        yield f"- A drill of {record.drill.version} is under way; a rollback now makes it serious."


def _authority(facts: Facts) -> Iterator[str]:
    yield "## Who may"
    yield ""
    if facts.operators.is_open:
        yield "Nobody is named under `operators` in the settings, so everybody may everything."
        yield ""
    yield "| right | roles | people |"
    yield "|---|---|---|"
    for right in Right:
        roles = roles_of(facts.pinned.policy.authority, right)
        yield f"| {right.value} | {', '.join(roles) or 'none'} | {', '.join(facts.operators.having(roles)) or _nobody(facts)} |"
    yield ""
    yield "A rollback asks nobody: no approval, no metrics, no readiness."


def _nobody(facts: Facts) -> str:
    return "everybody" if facts.operators.is_open else "nobody"


def _signals(facts: Facts) -> Iterator[str]:
    policy = facts.pinned.policy
    sentences = {guard.id: guard.sentence for guard in read(facts.pinned).guards}

    def line(guard: Guard, more: str = "") -> str:
        return f"- `{guard.id}`: {sentences[guard.id]}{more}"

    yield "## What rolls back by itself"
    yield ""
    yield f"- Tripwire: {policy.tripwire.errors_in_a_row} of the candidate's own failures in a row on one gateway. At once."
    yield from (line(guard) for guard in policy.guards if guard.on.harm is Action.ROLLBACK)
    silent = [guard.id for guard in policy.guards if guard.on.no_data is Action.ROLLBACK]
    if silent:
        yield f"- Nothing heard of the candidate for {Duration(policy.deadline.silence)}: {', '.join(silent)}."
    if policy.deadline.then is Action.ROLLBACK:
        yield f"- A stage that takes longer than {Duration(policy.deadline.per_stage)}."
    yield f"- When the controller is away, the candidate's share lapses to production after {Duration(policy.lease)}."
    yield ""
    yield "## What a person decides on"
    yield ""
    yield "- Callers complain, or errors rise, and the version in production is new: do not wait for a proof. Going back is cheap."
    yield from (line(guard, ". The rollout is held.") for guard in policy.guards if guard.on.harm is Action.HOLD)
    yield (
        f"- A gateway whose reports are refused: nobody counts its failures, and after {Duration(policy.deadline.silence)} the rollout is "
        f"held. `pointsman explain {facts.record.family}` names it and says why; restart it, or roll back."
    )
    yield from _seen(facts)


def _seen(facts: Facts) -> Iterator[str]:
    family = facts.record.family
    yield ""
    if facts.record.rollout is None:
        yield f"How a rollout stands and what its guards see: `pointsman status {family}` and `pointsman explain {family}`. There is none."
        return
    yield "How the rollout stands, what its guards see, and by which policy:"
    yield ""
    yield "```console"
    yield f"$ pointsman status {family}"
    yield f"$ pointsman explain {family}"
    yield f"$ pointsman policy show {family}"
    yield "```"


def _commands(facts: Facts) -> Iterator[str]:
    family = facts.record.family
    yield "## Roll back"
    yield ""
    yield "```console"
    yield f"$ pointsman rollback {family} --dry-run"
    yield f'$ pointsman rollback {family} --reason "INC-123"'
    yield "```"
    yield ""
    yield (
        "The first says what would happen and changes nothing. The second ends the canaries; where there are none, the version before is "
        "in production again. It waits for every gateway, proves it, and leaves a receipt. Exit code 0: done and proven. 1: done, and it "
        "says what is not proven yet. 3: nobody answers; see below."
    )


def _over(facts: Facts) -> Iterator[str]:
    family, verify = facts.record.family, facts.pinned.policy.rollback.verify
    yield "## Is it over?"
    yield ""
    yield "```console"
    yield f"$ pointsman verify {family}"
    yield f"$ pointsman history {family} --limit 5"
    yield "$ pointsman gateways"
    yield "```"
    yield ""
    yield "It is over when"
    yield ""
    yield "- every live gateway serves the change,"
    yield f"- the bad version gave at most {verify.stray} answers in {Duration(verify.quiet)},"
    yield f"- {verify.probes} golden examples asked of the public listener come back right" + ("," if verify.recovered else ".")
    if verify.recovered:
        yield f"- and `{verify.recovered}` is back to what it was, within {Duration(verify.recovery)}."
    yield ""
    yield f"A rollout's rollback that is not verified after {Duration(verify.deadline)} pages somebody."
    yield from _rolled_back(facts)


def _rolled_back(facts: Facts) -> Iterator[str]:
    family, underway = facts.record.family, facts.record.rollout
    yield ""
    if underway is None or underway.rollout.receipt is None:
        yield (
            f"It leaves a receipt, `pointsman receipt {family}`; one that is not verified is flipped and verified once more by "
            f'`pointsman retry {family} --reason "INC-123"`.'
        )
        return
    is_open = underway.rollout.state is State.ROLLING_BACK
    yield "Its receipt, and, while it is not verified, how to flip and verify it once more:" if is_open else "Its receipt:"
    yield ""
    yield "```console"
    yield f"$ pointsman receipt {family}"
    if is_open:
        yield f'$ pointsman retry {family} --reason "INC-123"'
    yield "```"


def _without_us(facts: Facts) -> Iterator[str]:
    family = facts.record.family
    yield "## When the store or the admin API is away"
    yield ""
    yield "On the node, as the user that serves or as root; `DIR` is its data directory:"
    yield ""
    yield "```console"
    yield f'$ pointsman override {family} --data DIR --reason "INC-123"'
    yield "```"
    yield ""
    yield "Gateways carry it out by themselves, and it is written to the store when that is back. On every node that has gateways."


def _afterwards(facts: Facts) -> Iterator[str]:
    family, policy = facts.record.family, facts.pinned.policy
    version = facts.record.production or "VERSION"
    yield "## Afterwards"
    yield ""
    yield f"What was taken out is quarantined, and the next rollout waits for {Duration(policy.rollback.cooldown)}. To let it back:"
    yield ""
    yield "```console"
    yield f'$ pointsman release {family} {version} --reason "it was the database"'
    yield "```"


def _people(facts: Facts) -> Iterator[str]:
    tell = facts.pinned.policy.tell
    told = [name for name in facts.webhooks if not tell.webhooks or name in tell.webhooks]
    yield "## Whom to tell"
    yield ""
    if told:
        occasions = ", ".join((*tell.on, "whatever somebody must look at"))
        yield f"Told by itself: {', '.join(told)}; of {occasions}. Do they hear?"
    else:
        yield "Nobody is told by itself: name `webhooks` in the settings."
    yield ""
    yield "```console"
    yield "$ pointsman webhooks --test" if told else "$ pointsman webhooks"
    yield "```"
    yield ""
    owners = ", ".join(facts.operators.having(roles_of(facts.pinned.policy.authority, Right.START)))
    whom = f"whoever owns the family{f' ({owners})' if owners else ''}"
    yield f"Tell {whom}: what was seen, since when, what was rolled back to what, and the output of `verify`."


def _practice(facts: Facts) -> Iterator[str]:
    family, due, trend = facts.record.family, facts.due, facts.trend
    yield "## Practise it"
    yield ""
    yield "```console"
    yield f'$ pointsman drill {family} --reason "practice"'
    yield f"$ pointsman drill {family} --list"
    yield "```"
    yield ""
    if trend.median is not None:
        took = f"{trend.median:.2f} s in the median, {trend.worst:.2f} s at worst"
        yield f"{trend.passed} of {trend.drills} drills passed; a rollback was verified after {took}."
    else:
        yield "No drill has passed yet."
    if due is not None:
        yield f"The next is due by {due.by:%Y-%m-%d %H:%M} UTC: {due.why}."
