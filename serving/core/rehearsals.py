"""Rehearsals: a bad version that is made up on a route of its own, to see that the family's guards catch it. Values alone.

No caller is led there: the route answers whoever knows a key that is made for one rehearsal, and whose digest alone is written down.
Nothing of it counts for a version: not what is asked, not what is answered, and nobody is quarantined.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from registry_client.versions import ModelVersion
from serving.core.injections import SEES, Injection
from serving.core.policy import Action, Counting, Policy, Unit
from serving.core.standing import Receipt
from serving.core.traffic import WHOLE
from serving.core.underway import Terms

PREFIX = "rehearsal:"
"""What a request names in place of a version, with the key behind it. No version, tag or range is written so."""

BAD = "rehearsal-bad"
"""Why whoever names a key was given an answer of the arm that is made bad."""


def key_digest(key: str) -> str:
    """What is written down of a key."""
    return sha256(key.encode()).hexdigest()


def played(policy: Policy) -> int:
    """The stage that is played: the last in which the candidate has a part of the callers and not all, or else the last."""
    parts = [index for index, stage in enumerate(policy.stages) if 0 < stage.weight < WHOLE]
    return parts[-1] if parts else len(policy.stages) - 1


def unseen(policy: Policy, stage: int, injection: Injection) -> str:
    """Why no guard of a policy would have it taken out in a stage; empty where one would."""
    if injection is Injection.ERRORS:
        return ""
    played = policy.stages[stage]
    eyes = [guard for guard in policy.watching(played) if guard.rule.metric in SEES[injection]]
    if not eyes:
        metrics = " or ".join(sorted(SEES[injection]))
        return f"its policy has no guard that could see {injection.value} answers in stage {played.name}: {metrics}"
    if not any(guard.on.harm is Action.ROLLBACK for guard in eyes):
        named = ", ".join(guard.id for guard in eyes)
        return f"its policy only holds when {named} finds {injection.value} answers: no guard would have them taken out"
    return ""


def terms_of(policy: Policy, stage: int, injection: Injection) -> Terms:
    """What gateways count by in a rehearsal: what is needed to see what is made bad, and every request by itself."""
    terms = replace(Terms.of(policy, stage), unit=Unit(count=Counting.REQUEST))
    if injection is not Injection.SLOW:
        terms = replace(terms, quantiles=(), floors=())
    return terms if injection is Injection.CONSTANT else replace(terms, bins=None, checks_answers=False)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One that is under way: production's own version on both arms, of which the candidate's answers are made bad."""

    id: str
    version: ModelVersion
    injection: Injection
    key: str
    """SHA-256 of what a request has to name to be led here."""
    policy: str
    """The policy's canonical document, whose guards are asked."""
    stage: int
    """The stage of the policy that is played."""
    weight: int
    """The candidate's share of what is asked here, in basis points."""
    receipt: Receipt
    """Who asked for it, until it is caught; then what was seen and decided."""
    until: datetime
    """Whoever leads ends it then, if whoever holds it has not."""
    is_caught: bool = False
    """Whether the guards had it taken out: the route is gone."""
    terms: Terms = Terms()  # noqa: RUF009 - frozen
    """What gateways count by."""
    edges: tuple[float, ...] = ()
    """As in a rollout: pinned by production's own answers here."""
    classes: tuple[str, ...] = ()
